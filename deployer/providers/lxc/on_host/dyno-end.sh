#!/bin/sh
# ExecStopPost, whatever the dyno ended of: report it, write down a crash with its back-off, leave nothing behind.
set -eu
. "${0%/*}/dyno.sh"
find_cgroup

# Heroku contract 3.7: the first crash restarts at once, further ones after 10, 20, 40… minutes, at most a day.
# A dyno that had run for ten minutes starts at once, and with a clean record.
note_crash() {
    clock
    read -r began <"$run/began"
    lived=$(((now - began) / 100))
    count=0 restarts=0
    if [ -e "$crashes" ]; then
        read -r record <"$crashes"
        count=${record#*: }
        count=${count%%,*}
        restarts=${record#*'"restarts": '}
        restarts=${restarts%%,*}
        case $restarts in *[!0-9]*) restarts=0 ;; esac
    fi
    restarts=$((restarts + 1))
    count=$((count + 1))
    [ $lived -lt 600 ] || count=0
    pause=0
    [ "$count" -lt 2 ] || pause=600
    for _ in $(seq 3 "$count"); do
        pause=$((pause * 2))
        [ $pause -lt 86400 ] || { pause=86400; break; }
    done
    now=$(date +%s)
    echo "{\"count\": $count, \"last\": $now, \"restarts\": $restarts, \"status\": $status, \"until\": $((now + pause))}" >"$crashes.new"
    mv "$crashes.new" "$crashes"
}

# report [STATE]: the lines that Heroku writes; without a STATE the dyno goes on under its name.
report() {
    before=starting
    [ ! -e "$run/up" ] || before=up
    state=${1:-}
    set -- "Process exited with status $status"
    [ -z "$state" ] || set -- "$@" "State changed from $before to $state"
    if [ -s "$run/memory" ]; then
        read -r bytes <"$run/memory"
        tenths=$((bytes * 1000 / (MEMORY * 1048576)))
        set -- "Process running mem=$((bytes / 1048576))M($((tenths / 10)).$((tenths % 10))%)" \
            "Error R15 (Memory quota vastly exceeded)" "Stopping process with SIGKILL" "$@"
    fi
    say "$@"
    # it holds something if LXC itself failed
    [ ! -s "$run/lxc.log" ] || cat "$run/lxc.log" >&2
}

# What a dyno that was stopped is now: nothing new if it restarts, or if one of another release has its name.
ending() {
    [ ! -e "$run/restarting" ] || return 0
    for other in "${home%/*}/$APP.$TYPE.$N".v*; do
        if [ -e "$other" ] && [ "$other" != "$home" ]; then return 0; fi
    done
    echo down
}

# What LXC and systemd leave, more of it when LXC itself was killed.
sweep() {
    [ ! -e "/sys/class/net/$VETH" ] || ip link delete "$VETH" || true
    [ $tree = /sys/fs/cgroup ] || for part in dyno/payload dyno monitor ''; do
        rmdir /sys/fs/cgroup/*"$cgroup/$part" || true
    done
    rm -rf "$run" "$disk"
} 2>/dev/null

status=137
[ ! -e "$run/status" ] || read -r status <"$run/status"

if [ -n "${ONCE:-}" ]; then
    report complete
    rm -rf "$home"
elif [ ! -e "$run/began" ]; then
    # stopped while it sat out a back-off: whoever starts it next wants it now
    rm -f "$crashes" "$run.loaded"
elif [ -e "$run/stopping" ]; then
    report "$(ending)"
    rm -f "$crashes" "$run.loaded"
else
    report crashed
    note_crash
    refuse
fi
sweep
