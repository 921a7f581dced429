# Packages of the npm registry, as folders in the cache: $packages/NAME/VERSION. Sourced by bin/compile.

registry() {
    local address=${NPM_CONFIG_REGISTRY:-${npm_config_registry:-https://registry.npmjs.org}}
    echo "${address%/}"
}

# offers NAME: the file in which stands what the registry has of a package.
offers() {
    local file=$scratch/${1//\//+}.json
    if [[ ! -f $file ]]; then
        curl --fail --silent --show-error --location --compressed --retry 2 --connect-timeout 15 --max-time 120 \
            --header 'Accept: application/vnd.npm.install-v1+json' --output "$file" "$(registry)/${1/\//%2f}" ||
            fail "The npm registry does not say which versions of $1 there are; curl's own words are above." \
                "Next: build again, or name a registry that has it in the config var NPM_CONFIG_REGISTRY."
    fi
    echo "$file"
}

# download NAME VERSION: the package into the cache, if it is not there; nothing counts that is not what was promised.
download() {
    local folder=$packages/$1/$2 file address integrity
    echo "$folder" >>"$scratch/used"
    [[ ! -d $folder ]] || return 0
    file=$(offers "$1")
    read -r address integrity < <(python3 "$here/lib/registry.py" dist "$file" "$2" "$(registry)")
    fetch "$address" "$scratch/package.tgz" ||
        fail "$1 $2 cannot be downloaded; curl's own words are above." "Next: build again."
    python3 "$here/lib/registry.py" verify "$scratch/package.tgz" "$integrity" ||
        fail "$1 $2 is not what the registry promised: its sha512 is another." "Next: build again, or ask who runs it."
    rm -rf "$folder.part"
    mkdir -p "$folder.part"
    "keep_${1%%-*}" "$scratch/package.tgz" "$folder.part"
    # last: a folder with the right name is whole
    mv "$folder.part" "$folder"
}

# What is installed from where: node is one big file, npm many small ones, which come faster out of their archive.
keep_node() { unpack "$1" "$2" package && rm "$1"; }
keep_npm() { unpack "$1" "$2" package/node_modules/semver && mv "$1" "$2/package.tgz"; }

# unpack ARCHIVE FOLDER MEMBER: without what no app needs.
unpack() {
    mkdir -p "$2"
    tar -xzf "$1" --strip-components 1 --no-same-owner -C "$2" --exclude='*.map' --exclude='package/docs' \
        --exclude='package/man' --exclude='*/archs/[!l]*' "$3"
}

# any NAME MAJOR: a folder of the package, of whatever version the cache has, else the newest of MAJOR.
any() {
    local folder file version
    mkdir -p "$packages/$1"
    folder=$(find "$packages/$1" -mindepth 1 -maxdepth 1 -name '[0-9]*' ! -name '*.part' | sort | head -n 1)
    if [[ ! $folder ]]; then
        file=$(offers "$1")
        version=$(python3 "$here/lib/registry.py" newest "$file" "$2")
        [[ $version ]] || fail "The npm registry has no $1 $2." "Next: name another in the config var NPM_CONFIG_REGISTRY."
        download "$1" "$version"
        folder=$packages/$1/$version
    fi
    echo "$folder" | tee -a "$scratch/used"
}

# resolve WHAT NAME ASKED PREFERRED BOUND NODE: the version of package NAME, as lib/resolve.js has it.
resolve() {
    local what=$1 name=$2 file said status=0
    shift 2
    # what is exact and already here needs no registry
    if [[ $1 =~ ^[0-9]+\.[0-9]+\.[0-9]+$ && -d $packages/$name/$1 ]]; then
        echo "$1"
        return
    fi
    file=$(offers "$name")
    said=$("$any_node" "$here/lib/resolve.js" "$any_npm/node_modules/semver" "$file" "$@") || status=$?
    case $status in
        0) echo "$said" ;;
        3) fail "package.json asks for $what \"$1\", which is no version range." \
            "Next: write one such as \"24.x\" (https://semver.npmjs.com)." ;;
        4) fail "package.json asks for $what \"$1\"; the npm registry has none that fits." \
            "There are: $said, and older ones." "Next: change the version in package.json." ;;
        *) fail "The version of $what could not be chosen; the reason is above." ;;
    esac
}

# forget_unused: of the packages in the cache keep those of this build.
forget_unused() {
    local folder
    find "$packages" -mindepth 2 -maxdepth 3 -type d -regex '.*/[0-9]+\.[0-9]+\.[^/]*' | while read -r folder; do
        grep -qxF "$folder" "$scratch/used" || rm -rf "$folder"
    done
}
