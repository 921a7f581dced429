# The app's dependencies: from the cache where nothing changed, otherwise by its package manager. Sourced by bin/compile.

# modules_digest: of all that decides what an install makes.
modules_digest() {
    local files=(package.json npm-shrinkwrap.json package-lock.json yarn.lock pnpm-lock.yaml .npmrc .yarnrc .yarnrc.yml
        pnpm-workspace.yaml .pnpmfile.cjs patches .yarn/patches "$env_dir")
    {
        echo "$node_version $npm_version $manager ${STACK:-}"
        ls "$packages/with-npm" 2>/dev/null || true
        { find "${files[@]}" -type f -print0 2>/dev/null || true; } | LC_ALL=C sort -z | xargs -0 -r sha256sum
    } | sha256sum | cut -d ' ' -f 1
}

install_modules() {
    local digest
    heading "Installing dependencies"
    committed=
    [[ ! -d node_modules ]] || note_committed
    digest=$(modules_digest)
    if [[ $self_contained && $lockfile && -z $committed ]] && restore_modules "$digest"; then
        echo "       node_modules from the cache: nothing changed"
        return
    fi
    "install_${manager%-*}_modules"
    save_modules "$digest"
}

# An archive and not a folder: node_modules are very many small files, and to read them one by one takes long.
restore_modules() {
    [[ -f $kept/modules.digest && $(<"$kept/modules.digest") == "$1" ]] || return 1
    tar -xf "$kept/modules.tar"
}

save_modules() {
    rm -f "$kept/modules.digest"
    [[ $self_contained && $lockfile && -z $committed && -d node_modules ]] || return 0
    tar -cf "$kept/modules.tar" node_modules
    # last: without it the archive does not count
    echo "$1" >"$kept/modules.digest"
}

note_committed() {
    if [[ $manager == npm ]]; then
        committed=yes
        echo "       node_modules is in the source: it is built, not installed"
    else
        warn "node_modules is in the source; it is made anew." "Next: git rm -r --cached node_modules"
        rm -rf node_modules
    fi
}

prune_modules() {
    if [[ $NODE_ENV != production ]]; then
        heading "Keeping development dependencies: NODE_ENV is not production"
    elif [[ $has_dev ]]; then
        heading "Removing development dependencies"
        "prune_${manager%-*}_modules"
    fi
}
