# Sourced after buildpack.sh by the buildpacks of Java apps: the JDK that builds, and the smaller Java of the dynos.
# Uses their build_dir, cache_dir, env_dir and here.

ADOPTIUM='https://api.adoptium.net/v3/binary/latest/{version}/ga/linux/{arch}/jdk/hotspot/normal/eclipse'
SERVER_MODULES=(
    java.se jdk.accessibility jdk.attach jdk.charsets jdk.crypto.cryptoki jdk.crypto.ec jdk.dynalink jdk.httpserver
    jdk.jcmd jdk.jdwp.agent jdk.jfr jdk.localedata jdk.management jdk.management.agent jdk.management.jfr
    jdk.naming.dns jdk.naming.rmi jdk.net jdk.nio.mapmode jdk.sctp jdk.security.auth jdk.security.jgss
    jdk.unsupported jdk.xml.dom jdk.zipfs
)

# system_property NAME: what system.properties says.
system_property() {
    [[ -f system.properties ]] || return 0
    sed -n -E "s/^[[:space:]]*${1//./\\.}[[:space:]]*[=:][[:space:]]*([^[:space:]]*).*/\1/p" system.properties |
        tail -n 1
}

wanted_java() {
    local wanted
    wanted=$(system_property java.runtime.version)
    wanted=${wanted#openjdk-}
    [[ $wanted == 1.8 ]] && wanted=8
    [[ $wanted =~ ^([0-9]+(\.[0-9]+)*)?$ ]] ||
        fail "system.properties asks for java.runtime.version=$wanted, which is no version." \
            "Next: write a number, such as java.runtime.version=17."
    echo "$wanted"
}

# admits PIN VERSION: 17 admits 17.0.9, an empty pin admits all.
admits() { [[ -z $1 || $2 == "$1" || $2 == "$1".* ]]; }

javac_version() { "$1" -version 2>&1 | sed -n 's/^javac //p' | sed 's/^1\.8\./8./'; }

# use_jdk: the stack's JDK, or the one that system.properties asks for, becomes JAVA_HOME and comes first on the PATH.
use_jdk() {
    local wanted have
    wanted=$(wanted_java)
    have=$(javac_version javac 2>/dev/null) || fail "The stack ${STACK:-} has no JDK."
    if admits "$wanted" "$have"; then
        heading "Using Java $have of the stack"
        JAVA_HOME=$(dirname "$(dirname "$(readlink -f "$(command -v javac)")")")
    else
        download_jdk "$wanted" "$have"
    fi
    export JAVA_HOME PATH="$JAVA_HOME/bin:$PATH"
    printf 'export JAVA_HOME=%q PATH=%q:$PATH\n' "$JAVA_HOME" "$JAVA_HOME/bin" >"$here/export"
}

jdk_url() {
    local arch=x64 url
    [[ $(uname -m) == x86_64 ]] || arch=$(uname -m)
    url=$(config_var "$env_dir" JAVA_DOWNLOAD_URL "$ADOPTIUM")
    url=${url//'{version}'/$1}
    echo "${url//'{arch}'/$arch}"
}

no_such_jdk() {
    fail "system.properties asks for Java $1; the stack ${STACK:-} has Java $2, and $3." \
        "Next: write java.runtime.version=${2%%.*}, choose a stack that has Java $1, or set JAVA_DOWNLOAD_URL" \
        "to the address of a JDK as .tar.gz; {version} and {arch} (x64, aarch64) in it are filled in."
}

# download_jdk WANTED STACKS
download_jdk() {
    local url have
    url=$(jdk_url "$1")
    if [[ $1 == *.* && ! -f $env_dir/JAVA_DOWNLOAD_URL ]]; then
        no_such_jdk "$1" "$2" "Adoptium gives the latest release of a generation only (java.runtime.version=${1%%.*})"
    fi
    JAVA_HOME=$cache_dir/jdk-$(sha256sum <<<"$url" | cut -c 1-16)
    if [[ ! -x $JAVA_HOME/bin/javac ]]; then
        heading "Downloading Java $1"
        unpack_download "$url" "$JAVA_HOME" "$cache_dir"/jdk-* || no_such_jdk "$1" "$2" "the download failed"
    fi
    have=$(javac_version "$JAVA_HOME/bin/javac") || no_such_jdk "$1" "$2" "what was downloaded is no JDK"
    admits "$1" "$have" || no_such_jdk "$1" "$2" "what was downloaded is Java $have"
    heading "Using Java $have"
}

# unpack_download URL FOLDER OLD…: the one folder of a .tar.gz; what lay in the old places is given up.
unpack_download() {
    local archive
    archive=$(mktemp)
    fetch "$1" "$archive" || return 1
    rm -rf "${@:3}" "$2.part"
    mkdir -p "$2.part"
    tar -xzf "$archive" -C "$2.part" --strip-components=1 --no-same-owner || return 1
    rm "$archive"
    mv "$2.part" "$2"
}

# install_runtime_java: the Java of the dynos, as .jdk in the slug.
install_runtime_java() {
    local digest
    digest=$({
        "$JAVA_HOME/bin/java" -version
        echo "${STACK:-} ${SERVER_MODULES[*]}"
    } 2>&1 | sha256sum | cut -d ' ' -f 1)
    rm -rf "$build_dir/.jdk"
    if ! restore "$cache_dir" runtime-java "$digest" "$build_dir/.jdk"; then
        heading "Making the Java of the dynos"
        make_runtime_java
        save "$cache_dir" runtime-java "$digest" "$build_dir/.jdk"
    fi
    mkdir -p "$build_dir/.profile.d"
    cp "$here"/../.ours/java.profile.d/*.sh "$build_dir/.profile.d/"
}

make_runtime_java() {
    # Java 8 has no jlink
    if [[ -d $JAVA_HOME/jre ]]; then
        cp -a "$JAVA_HOME/jre" "$build_dir/.jdk"
    else
        link_runtime_java 2>&1 | indent || fail "jlink could not make a run-time Java; its own words are above."
        # classes read ahead: starts in half the time
        "$build_dir/.jdk/bin/java" -Xshare:dump >/dev/null 2>&1 || true
    fi
    if [[ -f /etc/ssl/certs/java/cacerts ]]; then
        cp -L /etc/ssl/certs/java/cacerts "$build_dir/.jdk/lib/security/cacerts"
    fi
}

link_runtime_java() {
    local modules compress=2 generation
    # a generation may lack a few of them
    modules=$("$JAVA_HOME/bin/java" --list-modules | sed 's/@.*//' | grep -Fx "$(printf '%s\n' "${SERVER_MODULES[@]}")")
    generation=$(javac_version "$JAVA_HOME/bin/javac")
    ((${generation%%.*} < 21)) || compress=zip-6
    "$JAVA_HOME/bin/jlink" --add-modules "$(paste -s -d , <<<"$modules")" --strip-debug --no-header-files \
        --no-man-pages --compress="$compress" --output "$build_dir/.jdk"
}
