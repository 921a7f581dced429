# Sourced by bin/compile: which package manager the app uses, that manager, and the packages by it.

# choose_manager: sets manager and lock, the file that it installs from.
choose_manager() {
    local file found=()
    for file in requirements.txt Pipfile.lock poetry.lock uv.lock; do
        if [[ -f $file ]]; then found+=("$file"); fi
    done
    if [[ -f Pipfile && ! -f Pipfile.lock ]]; then found+=(Pipfile); fi
    lock=${found[0]:-}
    ((${#found[@]} < 2)) || fail "$lock and ${found[*]:1} both say what to install." \
        "Next: keep $lock and delete ${found[*]:1}, or the other way round."
    case $lock in
        requirements.txt) manager=pip ;;
        Pipfile.lock) manager=pipenv && need Pipfile ;;
        poetry.lock) manager=poetry && need pyproject.toml ;;
        uv.lock) manager=uv && need pyproject.toml ;;
        Pipfile) fail "Pipfile has no Pipfile.lock beside it." "Next: pipenv lock, and commit Pipfile.lock." ;;
        *) fail_without_manager ;;
    esac
}

need() {
    [[ -f $1 ]] || fail "$lock has no $1 beside it." "Next: commit $1, too."
}

fail_without_manager() {
    local next="write a requirements.txt (it may be empty)."
    if [[ -f pyproject.toml ]] && grep -q '^\[tool\.poetry' pyproject.toml; then
        next="poetry lock, and commit poetry.lock."
    elif [[ -f pyproject.toml ]]; then
        next="uv lock, and commit uv.lock; or write a requirements.txt with the line: ."
    elif [[ -f setup.py ]]; then
        next="write a requirements.txt with the line: ."
    fi
    fail "No requirements.txt, Pipfile.lock, poetry.lock or uv.lock says what to install." "Next: $next"
}

# environment_digest: an environment that was kept under the same one can be gone on from.
environment_digest() {
    {
        echo "$manager ${STACK:-} $python_version $python_url"
        case $manager in
            pip) find . -maxdepth 3 -type f \( -name '*requirements*.txt' -o -name '*constraints*.txt' \
                -o -path './requirements/*' \) -print0 | LC_ALL=C sort -z | xargs -0 sha256sum ;;
            pipenv) sha256sum Pipfile.lock ;;
            # these two take out what is no longer asked for, but hold a folder for the one that they know
            *) if grep -Eq '^type = "directory"|source = \{ directory' "$lock"; then date +%s.%N; fi ;;
        esac
    } | sha256sum | cut -d ' ' -f 1
}

make_environment() {
    digest=$(environment_digest) restored=''
    if restore "$cache_dir" python "$digest" "$python_dir"; then
        restored=yes
        heading "Restoring packages from the cache"
    elif [[ $manager == pip ]]; then
        make_python
    else
        make_python --without-pip
    fi
}

keep_environment() {
    local packages seen=$cache_dir/python/packages
    packages=$(sha256sum "$lock")
    if [[ ! $restored || ! -f $seen || $(<"$seen") != "$packages" ]]; then
        save "$cache_dir" python "$digest" "$python_dir"
        echo "$packages" >"$seen"
    fi
}

install_packages() {
    local other
    for other in pip pipenv poetry uv; do
        if [[ $other != "$manager" ]]; then rm -rf "${cache_dir:?}/$other"; fi
    done
    [[ $manager == pip ]] || install_manager
    export VIRTUAL_ENV=$python_dir
    "install_with_$manager"
}

# install_manager: it stays in the cache, and last on the PATH: its folder has a python, too.
install_manager() {
    local home=$cache_dir/manager pin wanted
    pin=$(grep "^$manager==" "$here/managers.txt")
    wanted="$pin on $("$stack_python" -V)"
    PATH=$PATH:$home/bin
    if [[ -x $home/bin/$manager && -f $home/complete && $(<"$home/complete") == "$wanted" ]]; then
        heading "Using ${pin/==/ } from the cache"
        return
    fi
    heading "Installing ${pin/==/ }"
    rm -rf "$home"
    "$stack_python" -m venv "$home"
    "$home/bin/pip" install --quiet --no-input --disable-pip-version-check --no-cache-dir "$pin" 2>&1 | indent ||
        fail "$pin could not be installed; pip's own words are above." "Next: see that PyPI can be reached, and build again."
    echo "$wanted" >"$home/complete"
}

# run COMMAND…: with its downloads in the cache; HOME is the slug.
run() {
    XDG_CACHE_HOME=$cache_dir/$manager XDG_DATA_HOME=$cache_dir/$manager "$@" 2>&1 |
        sed -u -e '/^Requirement already satisfied/d' -e '/^$/d' -e 's/^/       /' ||
        fail "$manager could not install what $lock says; its own words are above." \
            "Next: if they say that the lock is out of date, lock anew and commit it."
}

# requirements.txt holds versions alone: no folder, file or URL that may have changed, none of pip's options
versions_alone() {
    ! grep -Evq '^[[:space:]]*(#.*)?$|^[A-Za-z0-9][A-Za-z0-9._-]*(\[[^]]*\])?[[:space:]]*[<>=!~]=?[^@/\\-]*$' requirements.txt
}

install_with_pip() {
    if [[ $restored ]] && versions_alone; then
        heading "requirements.txt is unchanged: nothing to install"
        return
    fi
    heading "Installing requirements.txt with pip"
    run python -m pip install --no-input --disable-pip-version-check --progress-bar off --exists-action w \
        --src "$build_dir/.heroku/src" -r requirements.txt
}

install_with_pipenv() {
    # packages are to go where VIRTUAL_ENV says, whatever the app's config vars hold for other machines
    unset PIPENV_IGNORE_VIRTUALENVS PIPENV_ACTIVE PIPENV_VENV_IN_PROJECT
    export PIPENV_NOSPIN=1 PIPENV_VERBOSITY=-1 PIP_SRC=$build_dir/.heroku/src
    if [[ $patch_differs ]]; then
        # what --deploy does, but for its refusal of another patch release than Pipfile's
        heading "Installing Pipfile.lock with pipenv verify, pipenv sync"
        run pipenv verify
        run pipenv sync
    else
        heading "Installing Pipfile.lock with pipenv install --deploy"
        run pipenv install --deploy
    fi
}

install_with_poetry() {
    heading "Installing poetry.lock with poetry sync --only main"
    run poetry sync --only main --compile --no-ansi --no-interaction
}

install_with_uv() {
    heading "Installing uv.lock with uv sync --locked --no-default-groups"
    export UV_PROJECT_ENVIRONMENT=$python_dir UV_PYTHON=$python_dir/bin/python UV_PYTHON_DOWNLOADS=never
    export UV_PYTHON_PREFERENCE=only-system UV_LINK_MODE=copy
    run uv sync --locked --no-default-groups --compile-bytecode --no-progress
}
