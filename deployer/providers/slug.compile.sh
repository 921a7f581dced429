#!/bin/bash
# In the build dyno: run the buildpacks on /app (Heroku contract 7.5).
# usage: slug-compile first|all BUILDPACK…     the first that fits, or all of them in order
# leaves /tmp/result/{buildpacks,release}; exit 20 no buildpack fits, 21 a buildpack failed
set -u
packs=/tmp/buildpacks
want=$1
shift

fail() {
    echo " !     $2"
    exit "$1"
}

chosen=()
for name in "$@"; do
    if said=$("$packs/$name/bin/detect" /app); then
        chosen+=("$name")
        echo "-----> ${said:-$name} app detected"
        [ "$want" = first ] && break
    elif [ "$want" = all ]; then
        fail 20 "This app is not one for the buildpack $name."
    fi
done
((${#chosen[@]})) || fail 20 "No buildpack fits this app; tried: $*."

compiled=()
for name in "${chosen[@]}"; do
    echo "-----> Using buildpack: $name"
    (
        for earlier in "${compiled[@]}"; do
            [ -f "$packs/$earlier/export" ] && . "$packs/$earlier/export"
        done
        exec "$packs/$name/bin/compile" /app /tmp/cache /tmp/env
    ) || fail 21 "The buildpack $name failed with status $?."
    compiled+=("$name")
done

# the last one decides the default process types
"$packs/$name/bin/release" /app >/tmp/result/release || fail 21 "bin/release of the buildpack $name failed."
printf '%s\n' "${chosen[@]}" >/tmp/result/buildpacks
