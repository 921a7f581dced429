#!/bin/sh
# The supervisor of one dyno, ExecStart of its unit: mounts its root, runs it, stops it in order on SIGTERM.
# Status: the dyno's, or 0 when it was told to stop (a one-off's in any case); 125 when it could not be started.
set -eu
. "${0%/*}/dyno.sh"
find_cgroup

# LXC goes into this unit's own cgroup, so nothing of a dyno outlives its unit. cgroup v2 wants processes in leaves
# only. v1 forgets with the cgroup why a process was killed, so the limit is one level up, where it stays to be seen.
place() {
    bytes=$((${LIMIT:-$MEMORY} * 1048576))
    if [ $tree = /sys/fs/cgroup ]; then
        echo 0 >"$leaf/cgroup.procs"
        echo '+memory +pids' >"$tree$cgroup/cgroup.subtree_control"
        set -- cgroup2.memory.max=$bytes cgroup2.memory.swap.max=0 cgroup2.memory.oom.group=1 \
            "cgroup2.pids.max=$PIDS"
    else
        echo $bytes >"$leaf/memory.limit_in_bytes"
        set -- "cgroup.pids.max=$PIDS"
    fi
    set -- "uts.name=$HOST" "cgroup.dir.monitor=${cgroup#/}/monitor" "cgroup.dir.container=${payload#/}" "$@"
    options=
    for setting; do options="$options -s lxc.$setting"; done
}

# Lines over 10,000 bytes are split. The pipe stays open for reading while a `logger` that died is replaced, or the
# app would get SIGPIPE.
to_logplex() {
    exec <"$run/output"
    until logger -u /run/deployer/log --socket-errors=off -t "$APP/app/$TYPE.$N" -p local7.info -S 10000; do
        sleep 0.2
    done
}

contain() {
    exec 3<"$ENV_FILE"
    exec lxc-execute -q -n "$KEY" -f "$home/config" -o "$run/lxc.log" -l ERROR $options -- \
        /bin/sh /.dyno-init "$command" "${PROFILE:-yes}"
}

# The shell reads it itself: a process for that would cost every start a millisecond.
read_command() {
    command=
    while IFS= read -r line || [ -n "$line" ]; do
        command="$command${command:+
}$line"
    done <"$home/command"
}

start() {
    read_command
    if [ -n "${ONCE:-}" ]; then
        { read -r _ <"$home/alive" || kill $$; } &
        exec 4<&0
        contain <&4 4<&- &
    else
        to_logplex &
        logger=$!
        contain </dev/null >"$run/output" 2>&1 &
    fi
    dyno=$!
}

# Who had this address before may have crashed.
be_reachable() {
    [ -e "$unreachable" ] || return 0
    ip route delete unreachable "$ADDRESS/32" || true
    rm -f "$unreachable"
}

# What the running dyno was started with, to be compared with what is on the disk.
note_loaded() {
    sum=$(cat "$home/config" "$home/command" "$home/dyno.env" "$ENV_FILE" | sha256sum)
    echo "${sum%% *}" >"$run.loaded.new"
    mv "$run.loaded.new" "$run.loaded"
}

# Only $PORT is shown with its value: other variables of the command may be secret.
announce() {
    [ ! -e "$crashes" ] || say "State changed from crashed to starting"
    shown=$command
    [ "$PORT" = 0 ] || shown=$(printf '%s\n' "$command" | sed "s/[$]PORT\b\|[$]{PORT}/$PORT/g")
    say "Starting process with command \`$shown\`"
    [ -n "${ONCE:-}" ] || return 0
    : >"$run/up"
    say "State changed from starting to up"
}

# Heroku contract 3.9: SIGTERM to every process, 30 s for all of them, SIGKILL.
stop() {
    trap '' TERM
    asked=yes
    # of a failed start systemd stops what has ended already
    [ ! -e "$run/failed" ] || return 0
    : >"$run/stopping"
    [ -n "$dyno" ] || { trap - EXIT; exit 0; }
    say_stop &
    until signal TERM || has_ended "$dyno"; do sleep 0.1; done
    ends_within 30 "$dyno" || finish_off
}

# A restart is one job of systemd's, and the dyno never counts as down.
say_stop() {
    set -- "Stopping all processes with SIGTERM"
    if systemctl list-jobs --no-legend "deployer.dyno@$KEY.service" | grep -q ' restart '; then
        : >"$run/restarting"
        set -- Restarting "State changed from up to starting" "$@"
    fi
    say "$@"
}

finish_off() {
    : >"$run/killed"
    signal KILL || true
    say "Error R12 (Exit timeout) -> At least one process failed to exit within 30 seconds of SIGTERM" \
        "Stopping remaining processes with SIGKILL"
}

await() {
    status=0
    wait "$dyno" || status=$?
    if [ -n "$asked" ]; then
        # 127: the first `wait` saw the end itself, the signal came after it
        again=0
        wait "$dyno" || again=$?
        [ $again = 127 ] || status=$again
    fi
    # LXC may have been killed itself
    signal KILL || true
    # 1 may be the app's word or that of LXC, which then says why
    [ $status != 1 ] || [ ! -s "$run/lxc.log" ] || status=125
    # when init is killed as well, LXC says 1
    [ ! -e "$run/killed" ] || status=137
    if ran_out_of_memory; then
        status=137
        peak >"$run/memory"
    fi
    # nothing is left to be stopped, whatever systemd does about a failed start
    trap '' TERM
    echo "$status" >"$run/status"
}

# cgroup v1 only knows that the limit was reached, so there it takes a kill that was not ours as well.
ran_out_of_memory() {
    if [ $tree = /sys/fs/cgroup ]; then
        grep -q '^oom_kill [1-9]' "$tree$cgroup/memory.events"
    else
        [ "$status" = 137 ] && [ ! -e "$run/killed" ] && ! grep -qx 0 "$leaf/memory.failcnt"
    fi
}

# The most memory that the dyno had, in bytes. cgroup v2 has it from Linux 5.19 on; the limit is what it was killed at.
peak() {
    if [ $tree != /sys/fs/cgroup ]; then cat "$leaf/memory.max_usage_in_bytes"
    elif [ -e "$tree$cgroup/memory.peak" ]; then cat "$tree$cgroup/memory.peak"
    else echo $((${LIMIT:-$MEMORY} * 1048576)); fi
}

# The last lines have 10 s to reach the logplex; a longer wait would keep a dyno from its restart.
drain() {
    wait "$notes" || true
    [ -z "$logger" ] || ends_within 10 "$logger" || echo "dyno $KEY: the logplex does not take its last lines" >&2
}

asked='' dyno='' logger=''
trap 'exit 125' EXIT
make_folders
trap stop TERM
clock
echo "$now" >"$run/began"
make_root
place
be_reachable
start
trap - EXIT
{ announce; [ -n "${ONCE:-}" ] || note_loaded; } &
notes=$!
await
[ -n "$asked" ] || refuse
drain
[ -z "$asked" ] || [ -n "${ONCE:-}" ] || status=0
exit $status
