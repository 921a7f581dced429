# Sourced by the scripts of our own buildpacks, which are bash with `set -euo pipefail`.

heading() { echo "-----> $*"; }
indent() { sed -u 's/^/       /'; }
warn() { printf ' !     %s\n' "$@"; }

fail() {
    warn "$@" >&2
    exit 1
}

# export_config_vars ENV_DIR: the app's config vars, but for those that would break the build (Heroku contract 7.5).
export_config_vars() {
    local file name value
    for file in "$1"/*; do
        name=${file##*/}
        [[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || continue
        case $name in
            PATH | HOME | IFS | BASH_ENV | ENV | SHELLOPTS | GIT_DIR | STACK) continue ;;
            CPATH | CPPATH | LD_PRELOAD | LD_LIBRARY_PATH | LIBRARY_PATH) continue ;;
            PYTHONHOME | PYTHONPATH | VIRTUAL_ENV | RUBYOPT | RUBYLIB | GEM_HOME | GEM_PATH) continue ;;
            NODE_OPTIONS | JAVA_OPTS | JAVA_TOOL_OPTIONS | GOROOT | GOPATH) continue ;;
            build_dir | cache_dir | env_dir | here) continue ;;
        esac
        # command substitution would eat the newlines at the end of a value
        IFS= read -r -d '' value <"$file" || true
        export "$name=$value"
    done
}

# config_var ENV_DIR NAME [DEFAULT]: one config var, to be read before anything is exported.
config_var() {
    if [[ -f $1/$2 ]]; then cat "$1/$2"; else printf '%s' "${3:-}"; fi
}

# fetch URL FILE: download; false, and the reason said, where it cannot be had.
fetch() {
    curl --fail --silent --show-error --location --retry 2 --connect-timeout 15 --max-time 300 --output "$2" "$1"
}

# restore CACHE NAME DIGEST TARGET: what was saved under this digest; false where there is nothing.
restore() {
    [[ -f $1/$2/digest && $(<"$1/$2/digest") == "$3" ]] || return 1
    mkdir -p "$(dirname "$4")"
    cp -a "$1/$2/content" "$4"
}

# save CACHE NAME DIGEST SOURCE: keep a folder for the next build.
save() {
    rm -rf "${1:?}/$2"
    mkdir -p "$1/$2"
    cp -a "$4" "$1/$2/content"
    # last: without it the copy above does not count
    echo "$3" >"$1/$2/digest"
}
