# Sourced by bin/compile: which Python the app asks for, and an environment on it in BUILD_DIR/.heroku/python.

stacks_have="debian-12 has Python 3.11, debian-13 has Python 3.13"

version_of() { "$1" -c 'import platform; print(platform.python_version())'; }

# pin_in FILE: the version that it asks for; nothing where it asks for none.
pin_in() {
    case $1 in
        runtime.txt) sed -e 's/^python-//' -e 's/[[:space:]]*$//' -e '/^$/d' "$1" ;;
        .python-version) sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$1" ;;
        Pipfile.lock) "$stack_python" "$here/lib/pins.py" pin "$1" || fail "Pipfile.lock cannot be read." "Next: pipenv lock" ;;
    esac
}

# choose_python: sets python_version, and python_url where it is not the stack's own.
choose_python() {
    local file wanted='' stack
    stack_python=$(command -v python3)
    stack=$(version_of "$stack_python")
    python_version=$stack python_url='' patch_differs=''
    for file in runtime.txt .python-version Pipfile.lock; do
        if [[ -f $file ]]; then wanted=$(pin_in "$file"); fi
        [[ ! $wanted ]] || break
    done
    case $wanted in
        '' | "$stack" | "${stack%.*}") heading "Using Python $stack of the stack" ;;
        *) choose_another_python "$file" "$wanted" "$stack" ;;
    esac
    heed_requires_python
}

choose_another_python() {
    local file=$1 wanted=$2 stack=$3 url
    [[ $wanted =~ ^[0-9]+\.[0-9]+(\.[0-9]+)?$ ]] ||
        fail "$file does not say one version of Python, but: ${wanted//$'\n'/ }" "Next: write one line, such as ${stack%.*}."
    url=$(config_var "$env_dir" PYTHON_DOWNLOAD_URL)
    if [[ $url ]]; then
        url=${url//'{version}'/"$wanted"}
        python_version=$wanted python_url=${url//'{arch}'/"$(uname -m)"}
        heading "Using Python $wanted from PYTHON_DOWNLOAD_URL"
    elif [[ $wanted == "${stack%.*}".* ]]; then
        # Heroku has every patch release, and its users pin them. A distribution has one and mends that in place:
        # Debian's 3.11.2 holds the security fixes of later ones, and to refuse 3.11.4 would only keep apps out.
        patch_differs=yes
        warn "$file asks for $wanted: the stack's Python $stack is used, which Debian keeps mended." \
            "Next: ask for ${stack%.*} there, or set PYTHON_DOWNLOAD_URL to have $wanted itself."
    else
        fail "$file asks for Python $wanted; the stack ${STACK:-} has Python $stack ($stacks_have)." \
            "Next: ask for ${stack%.*} there, choose the other stack, or set the config var PYTHON_DOWNLOAD_URL to an" \
            "install_only .tar.gz of python-build-standalone, with {version} and {arch} in their places."
    fi
}

heed_requires_python() {
    local spec
    # which patch release a pin such as 3.12 brings is known after the download; uv and poetry look at it then
    [[ $python_version == *.*.* ]] || return 0
    spec=$("$stack_python" "$here/lib/pins.py" unmet "$python_version" pyproject.toml) ||
        fail "pyproject.toml cannot be read; Python's own words are above."
    [[ ! $spec ]] || fail "pyproject.toml requires Python $spec; this build has $python_version ($stacks_have)." \
        "Next: change requires-python or the stack; or pin a version in .python-version and set PYTHON_DOWNLOAD_URL."
}

# make_python OPTION…: an environment on the stack's Python, or on one that is downloaded into it.
make_python() {
    local base=$stack_python
    if [[ $python_url ]]; then
        base=$python_dir/base/bin/python3
        download_python "$python_dir/base"
    fi
    "$base" -m venv "$@" "$python_dir"
}

download_python() {
    local archive=$cache_dir/python.tar.gz got
    heading "Downloading Python"
    fetch "$python_url" "$archive" ||
        fail "Python $python_version cannot be had from PYTHON_DOWNLOAD_URL; the reason is above." \
            "Next: ask for a version that is there, or mend the config var; {version} and {arch} in it are filled in."
    mkdir -p "$1"
    tar -xzf "$archive" -C "$1" --strip-components 1 || fail "PYTHON_DOWNLOAD_URL does not lead to a .tar.gz."
    rm -rf "$archive" "$1"/lib/python3.*/test
    got=$(version_of "$1/bin/python3") || fail "The downloaded Python does not run on the stack ${STACK:-}."
    [[ $got == "$python_version" || $got == "$python_version".* ]] ||
        fail "PYTHON_DOWNLOAD_URL leads to Python $got, not $python_version." "Next: write {version} into it."
}
