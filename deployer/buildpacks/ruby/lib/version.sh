# Sourced by bin/compile: which Ruby the app asks for, and which it gets.

# The exact version that the app was locked on or names: Gemfile.lock, then .ruby-version.
locked_version() {
    local version
    version=$(awk '/^RUBY VERSION/ { getline; print $2; exit }' Gemfile.lock)
    if [[ -z $version && -f .ruby-version ]]; then
        version=$(sed -e 's/#.*//' -e 's/[[:space:]]//g' -e 's/^ruby-//' -e '/^$/d' .ruby-version | head -n 1)
    fi
    echo "${version%p[0-9]*}"
}

# What the Gemfile's `ruby` line admits: "~> 3.1", or the content of the file that it names.
gemfile_requirement() {
    local line
    line=$(sed -n -E 's/^[[:space:]]*ruby[[:space:](]+//p' Gemfile | sed -e 's/#.*//' | head -n 1)
    case $line in
        file:* | *' file:'*) locked_version ;;
        [\"\']*) grep -o -E "[\"'][^\"']*[\"']" <<<"${line%%[a-z_]*:*}" | tr -d "\"'" | paste -s -d , - ;;
    esac
}

# admits VERSION REQUIREMENT: "3.1.7" by "~> 3.1,!= 3.1.4"
admits() {
    ruby -e 'exit Gem::Requirement.new(ARGV[1].split(",")).satisfied_by?(Gem::Version.new(ARGV[0]))' "$1" "$2"
}

# fits VERSION LOCKED REQUIREMENT: another patch of the locked generation will do, if the Gemfile admits it.
fits() {
    [[ -z $2 || $1 == "$2" || ${1%.*} == "$2" || ${1%.*} == "${2%.*}" ]] || return 1
    [[ -z $3 ]] || admits "$1" "$3"
}

no_such_ruby() {
    fail "This app asks for Ruby $1; the stack ${STACK:-} has Ruby $2, and $1 could not be had: $3." \
        "Next: write ruby \"~> ${2%.*}.0\" into the Gemfile and run: bundle update --ruby;" \
        "or choose a stack that has Ruby $1; or set RUBY_DOWNLOAD_URL to a .tar.gz or .tar.xz of that Ruby, built or in source" \
        "({version}, {generation} and {arch} in it are filled in)."
}

choose_ruby() {
    local stack locked requirement
    stack=$(ruby -e 'print RUBY_VERSION')
    locked=$(locked_version)
    requirement=$(gemfile_requirement)
    if fits "$stack" "$locked" "$requirement"; then
        case $locked in
            '' | "$stack" | "${stack%.*}") heading "Using Ruby $stack of the stack" ;;
            *) heading "Using Ruby $stack of the stack (the app was locked on $locked)" ;;
        esac
    elif [[ $locked =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]]; then
        install_ruby "$locked" "$stack"
    elif [[ $requirement =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]]; then
        install_ruby "$requirement" "$stack"
    else
        no_such_ruby "${locked:-$requirement}" "$stack" "that is not a full version of MRI such as 3.3.9"
    fi
}

# install_ruby VERSION OF_STACK: another Ruby into BUILD_DIR/.heroku/ruby, which comes with it into the slug.
install_ruby() {
    local version=$1 url digest ruby_dir=$build_dir/.heroku/ruby
    url=$(config_var "$env_dir" RUBY_DOWNLOAD_URL \
        'https://cache.ruby-lang.org/pub/ruby/{generation}/ruby-{version}.tar.xz')
    url=${url//\{version\}/$version} url=${url//\{generation\}/${version%.*}} url=${url//\{arch\}/$(uname -m)}
    digest="$version ${STACK:-} $(sha256sum <<<"$url")"
    if restore "$cache_dir" ruby "$digest" "$ruby_dir"; then
        heading "Using Ruby $version from the cache"
    else
        heading "Fetching Ruby $version"
        unpack_ruby "$url" "$ruby_dir" || no_such_ruby "$version" "$2" "the reason is above"
        save "$cache_dir" ruby "$digest" "$ruby_dir"
    fi
    export PATH="$ruby_dir/bin:$PATH"
    [[ $(ruby -e 'print RUBY_VERSION') == "$version" ]] ||
        fail "What RUBY_DOWNLOAD_URL names is not Ruby $version." "Next: correct it, or unset it."
}

# unpack_ruby URL TARGET: what holds bin/ruby is taken as it is, a source is built.
unpack_ruby() {
    local work
    work=$(mktemp -d)
    fetch "$1" "$work/archive" && mkdir "$work/tree" &&
        tar -xf "$work/archive" -C "$work/tree" --strip-components=1 || return 1
    if [[ -x $work/tree/bin/ruby ]]; then
        mkdir -p "$(dirname "$2")" && mv "$work/tree" "$2"
    else
        build_ruby "$work/tree" "$2"
    fi || return 1
    rm -rf "$work"
}

build_ruby() {
    heading "Building it (some minutes; the next build takes it from the cache)"
    (
        set -e
        cd "$1"
        ./configure --prefix="$2" --disable-install-doc --enable-shared --enable-load-relative
        make -j "$(nproc)"
        make install
    ) >"$1/.log" 2>&1 || { tail -n 30 "$1/.log" | indent; return 1; }
}
