# Sourced by bin/compile: what the app itself brings, its hooks, Django's static files, and what it must not bring.

refuse_committed_environments() {
    local folder
    for folder in venv .venv .heroku/python; do
        if [[ -e $folder/pyvenv.cfg || -e $folder/bin/python ]]; then
            fail "$folder/ is a virtual environment that was committed; it cannot work here." \
                "Next: git rm -r --cached $folder, and add $folder/ to .gitignore."
        fi
    done
}

run_hook() {
    [[ -f bin/$1 ]] || return 0
    heading "Running bin/$1"
    chmod +x "bin/$1"
    "./bin/$1" 2>&1 | indent || fail "bin/$1 failed; its own words are above."
}

collect_static_files() {
    local manage said
    manage=$(find . -maxdepth 3 -name manage.py -not -path './.heroku/*' | LC_ALL=C sort | head -n 1)
    [[ $manage ]] && python -c 'import django' 2>/dev/null || return 0
    if [[ ${DISABLE_COLLECTSTATIC:-} ]]; then
        heading "Skipping collectstatic: DISABLE_COLLECTSTATIC is set"
    elif said=$(python "$manage" help collectstatic 2>&1); then
        heading "python $manage collectstatic --noinput"
        python "$manage" collectstatic --noinput --traceback 2>&1 | sed -u -e '/^$/d' -e 's/^/       /' ||
            fail "collectstatic failed; its own words are above." "Next: mend it, or set DISABLE_COLLECTSTATIC=1."
    elif [[ $said != *"Unknown command"* ]]; then
        indent <<<"$said"
        fail "The Django settings cannot be loaded." "Next: mend them, or set DISABLE_COLLECTSTATIC=1."
    fi
}
