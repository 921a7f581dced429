# Apps of npm. Sourced by bin/compile.

# npm_dev: the option that has development dependencies installed, or not.
npm_dev() {
    local wanted=true
    [[ ${NPM_CONFIG_PRODUCTION:-} != true ]] || wanted=false
    if ((${npm_version%%.*} < 7)); then
        [[ $wanted == true ]] && echo --production=false || echo --production=true
    else
        [[ $wanted == true ]] && echo --include=dev || echo --omit=dev
    fi
}

install_npm_modules() {
    local how=(ci)
    if [[ $committed ]]; then
        how=(rebuild)
    elif [[ -z $lockfile || ${USE_NPM_INSTALL:-} == true ]]; then
        [[ $lockfile ]] || warn "No lockfile: each build installs the newest versions that package.json admits." \
            "Next: run npm install, and commit package-lock.json."
        how=(install)
    fi
    echo "       npm ${how[*]}"
    npm "${how[@]}" "$(npm_dev)" --no-audit --no-fund 2>&1 | indent ||
        fail "npm ${how[*]} failed; its own words are above." \
            "Next: if package.json and lockfile differ, run npm install and commit both."
}

prune_npm_modules() {
    if [[ ${NPM_CONFIG_PRODUCTION:-} ]]; then
        echo "       Not pruned: NPM_CONFIG_PRODUCTION is set"
    else
        npm prune --no-audit --no-fund 2>&1 | indent || fail "npm prune failed; its own words are above."
    fi
}
