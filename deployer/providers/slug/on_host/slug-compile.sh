#!/bin/bash
# In the build dyno: run the buildpacks on /app, one after another (Heroku contract 7.5).
# usage: slug-compile BUILDPACK…
# leaves /tmp/result/{release,procfile}; exit 20 a buildpack does not fit, 21 a buildpack failed
set -u
packs=/tmp/buildpacks

fail() {
    printf ' !     %s\n' "${@:2}"
    exit "$1"
}

# A kill that reaches a process and not all of the dyno is that of a host with cgroup v1, when memory is short.
failed() {
    [ "$1" != 137 ] || exit 137
    fail 21 "The buildpack $name failed with status $1."
}

# What a buildpack writes into `export` is for those that come after it.
with_exports() (
    set +u
    for earlier in "${compiled[@]}"; do
        [ ! -f "$packs/$earlier/export" ] || . "$packs/$earlier/export"
    done
    exec "$@"
)

compiled=()
for name in "$@"; do
    said=$("$packs/$name/bin/detect" /app) || fail 20 "App not compatible with buildpack: $name" "${said:-Its bin/detect says no.}"
    echo "-----> ${said:-$name} app detected"
    echo "-----> Using buildpack: $name"
    with_exports "$packs/$name/bin/compile" /app /tmp/cache /tmp/env || failed $?
    compiled+=("$name")
done

# a buildpack may have written it
: >/tmp/result/procfile
[ ! -f /app/Procfile ] || cat /app/Procfile >/tmp/result/procfile
# the last one decides the default process types
: >/tmp/result/release
if [ -x "$packs/$name/bin/release" ]; then
    "$packs/$name/bin/release" /app >/tmp/result/release || fail 21 "bin/release of the buildpack $name failed."
fi
