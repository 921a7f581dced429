#!/bin/sh
# After a start: wait until the dyno is up. A web dyno is up when it accepts on its port and, where HEALTH is set,
# answers a GET of that path with HEALTH_STATUS; any other when it has lived for 1.5 s.
set -eu
. "${0%/*}/dyno.sh"
find_cgroup

# Cheap to ask, often too, and unlike a connect it never hangs on an address that is not there yet.
listens() {
    read -r pid <"$tree$payload/cgroup.procs" || return
    found=no
    for table in tcp tcp6; do
        while read -r _ local _ state _; do
            case $state:$local in
            0A:0100007F:* | 0A:00000000000000000000000001000000:*) ;;
            0A:*:"$port") found=yes ;;
            esac
        done <"/proc/$pid/net/$table"
    done
    [ $found = yes ]
}

is_up() {
    said=
    if [ "$PORT" = 0 ]; then [ $elapsed -ge 150 ]; else listens && accepts && is_healthy; fi
} 2>/dev/null

# An app that answers, but not yet well, is not to be kept busy by our asking.
pause() {
    if [ -n "$said" ]; then sleep 0.2; elif [ $elapsed -lt 200 ]; then sleep 0.02; else sleep 0.1; fi
}

give_up() {
    line="Error R10 (Boot timeout) -> Web process failed to bind to \$PORT within 60 seconds of launch"
    why="did not accept on port $PORT within 60 s"
    if [ -n "$said" ]; then
        right=${HEALTH_STATUS:-200}
        line="Health check GET $HEALTH failed: $said, not $right"
        why="did not answer GET $HEALTH with $right within 60 s (it said $said)"
    fi
    : >"$run/killed"
    say "$line" "Stopping process with SIGKILL"
    signal KILL || true
    fail "$why"
}

fail() {
    : >"$run/failed"
    echo "dyno $KEY $1" >&2
    exit 1
}

# a stop meanwhile is no failure
trap 'exit 0' TERM
port=$(printf %04X "$PORT")
clock
began=$now
elapsed=0
until is_up; do
    if [ -e "$run/status" ] || has_ended "$MAINPID"; then fail "ended before it was up"; fi
    if [ "$PORT" != 0 ] && [ $elapsed -ge 6000 ]; then give_up; fi
    pause
    clock
    elapsed=$((now - began))
done
: >"$run/up"
say "State changed from starting to up"
