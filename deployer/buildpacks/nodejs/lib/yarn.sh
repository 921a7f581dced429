# Apps of Yarn: classic (1.x) and berry (from 2 on). Sourced by bin/compile.

yarn_generation() {
    local asked=$asked_yarn
    [[ -z $manager_version ]] || asked=$manager_version
    if [[ -f yarn.lock ]]; then
        if grep -q '^__metadata:' yarn.lock; then echo berry; else echo classic; fi
    elif [[ -f .yarnrc.yml || $asked =~ ^[^0-9]*[2-9] ]]; then
        echo berry
    else
        echo classic
    fi
}

# yarn_path: the Yarn that lies in the source, if .yarnrc.yml names one; any other Yarn hands over to it.
yarn_path() {
    local file
    file=$(sed -n "s/^yarnPath:[[:space:]]*[\"']\{0,1\}\([^\"']*\)[\"']\{0,1\}[[:space:]]*$/\1/p" .yarnrc.yml 2>/dev/null || true)
    [[ -z $file || -f $file ]] || fail ".yarnrc.yml names $file, which is not there." "Next: commit it (.gitignore may hide it)."
    echo "$file"
}

yarn_version() {
    local asked=${manager_version:-$asked_yarn} package=yarn bound="<2" preferred=1.22.x own
    if [[ $manager == yarn-berry ]]; then
        package=@yarnpkg/cli-dist bound="" preferred=4.x
        own=$(yarn_path)
        [[ -z $own ]] || asked=""
    fi
    echo "$package@$(resolve Yarn "$package" "${asked:-$preferred}" "$preferred" "$bound" "$node_version")"
}

prepare_yarn() {
    export YARN_ENABLE_TELEMETRY=0 YARN_CACHE_FOLDER=$kept/yarn
    [[ $manager == yarn-berry ]] || return 0
    # Yarn berry refuses settings that it does not know, and those of classic's are such
    skip_prune=${YARN_PRODUCTION:-}
    unset YARN_PRODUCTION
    export YARN_ENABLE_GLOBAL_CACHE=false YARN_GLOBAL_FOLDER=$kept/yarn-berry YARN_NPM_REGISTRY_SERVER
    YARN_NPM_REGISTRY_SERVER=${YARN_NPM_REGISTRY_SERVER:-$(registry)}
    linker=${YARN_NODE_LINKER:-$(sed -n 's/^nodeLinker:[[:space:]]*["'\'']\{0,1\}\([a-z-]*\).*/\1/p' .yarnrc.yml 2>/dev/null || true)}
    # what Plug'n'Play loads at run time is the cache itself
    [[ $linker == node-modules ]] || export YARN_CACHE_FOLDER=$build_dir/.yarn/cache
}

install_yarn_modules() {
    local how=(install --frozen-lockfile --ignore-engines --non-interactive "--production=${YARN_PRODUCTION:-false}")
    if [[ $manager == yarn-berry ]]; then
        how=(install --immutable)
        [[ ! -d .yarn/cache ]] || how+=(--immutable-cache)
        [[ $lockfile ]] || how=(install --no-immutable)
        [[ -d .yarn/cache || $linker == node-modules ]] || restore "$kept" yarn-pnp any .yarn/cache || true
    fi
    [[ $lockfile ]] || warn "No lockfile: each build installs the newest versions that package.json admits." \
        "Next: run yarn install, and commit yarn.lock."
    echo "       yarn ${how[*]}"
    yarn "${how[@]}" 2>&1 | indent ||
        fail "yarn install failed; its own words are above." \
            "Next: if package.json and yarn.lock differ, run yarn install and commit both."
    [[ $manager == yarn-classic || $linker == node-modules ]] || save "$kept" yarn-pnp any .yarn/cache
}

prune_yarn_modules() {
    local how=(install --frozen-lockfile --ignore-engines --ignore-scripts --prefer-offline --non-interactive --production)
    [[ $manager == yarn-classic ]] || how=(workspaces focus --all --production)
    if [[ ${YARN_PRODUCTION:-${skip_prune:-}} || ${YARN2_SKIP_PRUNING:-} == true ]]; then
        echo "       Not pruned: YARN_PRODUCTION or YARN2_SKIP_PRUNING is set"
    elif [[ $manager == yarn-berry && $(yarn --version) == [23].* ]]; then
        warn "Development dependencies stay: this Yarn cannot remove them; Yarn 4 can."
    else
        yarn "${how[@]}" 2>&1 | indent || fail "yarn ${how[*]} failed; its own words are above."
    fi
}
