#!/bin/sh
# log-say APP LINE [MARK]: a line of `app[api]`, what somebody had the platform do, to the logplex.
# MARK is a file that then holds when and what: the next plan reads there that it was said.
# A logplex that takes no line must not stop an apply, so that is said and no failure.
set -eu
line=$(printf %s "$2" | tr '\n' ' ')
printf '%s\n' "$line" |
    timeout 5 logger -u /run/deployer/log --socket-errors=on -t "$1/app/api" -p local0.info -S 10000 || {
    echo "the logplex of this host does not take the line: $line" >&2
    exit 0
}
[ -n "${3:-}" ] || exit 0
mkdir -p "${3%/*}"
echo "$(date +%s) $line" >"$3.new"
mv "$3.new" "$3"
