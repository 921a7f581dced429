# The databases' addresses as Java wants them (Heroku contract 9.5); what the user has set wins.
# Sourced by bash.

url_decoded() {
    local text=${1//\\/\\\\}
    printf '%b' "${text//%/\\x}"
}

# set_jdbc URL PREFIX: PREFIX_URL, PREFIX_USERNAME and PREFIX_PASSWORD
set_jdbc() {
    local pattern='^(postgres|mysql|mariadb)://([^:@/]+):([^@/]+)@([^/?#]+)(/[^?#]*)?(\?[^#]*)?(#.*)?$'
    [[ $1 =~ $pattern ]] || return 0
    local kind=${BASH_REMATCH[1]} user=${BASH_REMATCH[2]} password=${BASH_REMATCH[3]}
    local place=${BASH_REMATCH[4]}${BASH_REMATCH[5]} query=${BASH_REMATCH[6]#\?}
    [[ $kind == postgres ]] && kind=postgresql
    # a sslmode in the address is the user's: a database of one's own may have no TLS
    if [[ $kind == postgresql && ${CI:-} != true && "&$query" != *"&sslmode="* ]]; then
        query=${query:+$query&}sslmode=require
    fi
    export "$2_URL=jdbc:$kind://$place?user=$user&password=$password${query:+&$query}"
    export "$2_USERNAME=$(url_decoded "$user")" "$2_PASSWORD=$(url_decoded "$password")"
}

set_database() {
    local url=${DATABASE_CONNECTION_POOL_URL:-}
    [[ -n ${DATABASE_URL:-} ]] || url=
    [[ -z $url ]] || set_jdbc "$url" DATABASE_CONNECTION_POOL_JDBC
    url=${url:-${DATABASE_URL:-${JAWSDB_URL:-${JAWSDB_MARIA_URL:-${CLEARDB_DATABASE_URL:-}}}}}
    [[ -n ${JDBC_DATABASE_URL:-} ]] || set_jdbc "$url" JDBC_DATABASE
}

set_named_databases() {
    local name
    for name in $(compgen -A export HEROKU_POSTGRESQL_); do
        case $name in *_JDBC_URL) ;; *_URL) set_jdbc "${!name}" "${name%_URL}_JDBC" ;; esac
    done
}

set_spring() {
    if [[ ${DISABLE_SPRING_DATASOURCE_URL:-} != true && -n ${JDBC_DATABASE_URL:-} &&
        -z ${SPRING_DATASOURCE_URL:-}${SPRING_DATASOURCE_USERNAME:-}${SPRING_DATASOURCE_PASSWORD:-} ]]; then
        export SPRING_DATASOURCE_URL=$JDBC_DATABASE_URL
        export SPRING_DATASOURCE_USERNAME=${JDBC_DATABASE_USERNAME:-}
        export SPRING_DATASOURCE_PASSWORD=${JDBC_DATABASE_PASSWORD:-}
    fi
    if [[ ${DISABLE_SPRING_REDIS_URL:-} != true && -n ${REDIS_URL:-} ]]; then
        export SPRING_REDIS_URL=${SPRING_REDIS_URL:-$REDIS_URL}
        export SPRING_DATA_REDIS_URL=${SPRING_DATA_REDIS_URL:-$REDIS_URL}
    fi
}

set_database
set_named_databases
set_spring
unset -f url_decoded set_jdbc set_database set_named_databases set_spring
