# Apps of pnpm. Sourced by bin/compile.

# pnpm_usual: the pnpm whose lockfile this is.
pnpm_usual() {
    local format
    format=$(sed -n "s/^lockfileVersion:[[:space:]]*'\{0,1\}\([0-9]*\).*/\1/p" pnpm-lock.yaml 2>/dev/null | head -n 1 || true)
    case $format in 5) echo 7.x ;; 6) echo 8.x ;; *) echo 10.x ;; esac
}

pnpm_version() {
    local asked=${manager_version:-$asked_pnpm} usual
    usual=$(pnpm_usual)
    echo "pnpm@$(resolve pnpm pnpm "${asked:-$usual}" "$usual" "" "$node_version")"
}

prepare_pnpm() {
    # pnpm below 11 reads the one, from 11 on the other
    export npm_config_store_dir=$kept/pnpm-store pnpm_config_store_dir=$kept/pnpm-store
    export npm_config_cache_dir=$kept/pnpm-cache pnpm_config_cache_dir=$kept/pnpm-cache
    export npm_config_registry pnpm_config_registry
    npm_config_registry=$(registry)/ pnpm_config_registry=$(registry)/
    # the version was chosen; pnpm is not to choose once more
    export npm_config_manage_package_manager_versions=false pnpm_config_manage_package_manager_versions=false
    export pnpm_config_verify_deps_before_run=${pnpm_config_verify_deps_before_run:-warn}
}

install_pnpm_modules() {
    local how=(install --prod=false --frozen-lockfile)
    if [[ -z $lockfile ]]; then
        warn "No lockfile: each build installs the newest versions that package.json admits." \
            "Next: run pnpm install, and commit pnpm-lock.yaml."
        how=(install --prod=false --no-frozen-lockfile)
    fi
    echo "       pnpm ${how[*]}"
    # for pnpm alone: other tools take warnings for errors under CI
    CI=true pnpm "${how[@]}" 2>&1 | indent ||
        fail "pnpm install failed; its own words are above." \
            "Next: if package.json and pnpm-lock.yaml differ, run pnpm install and commit both."
}

prune_pnpm_modules() {
    if [[ ${PNPM_SKIP_PRUNING:-} == true ]]; then
        echo "       Not pruned: PNPM_SKIP_PRUNING is set"
    elif grep -q '^packages:' pnpm-workspace.yaml 2>/dev/null; then
        warn "Development dependencies stay: pnpm cannot remove them from a workspace."
    else
        CI=true pnpm prune --prod --ignore-scripts 2>&1 | indent || fail "pnpm prune failed; its own words are above."
    fi
}
