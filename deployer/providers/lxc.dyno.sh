# Sourced by the dyno-* scripts of a host. Their environment: KEY and the lines of dyno.env.

home=${DYNO_HOME:-/var/lib/deployer/dynos/$KEY}
disk=${DYNO_DISK:-$home/disk}
run=${DYNO_RUN:-/run/deployer/dynos/$KEY}
log=${LOG:-all} # all; events: no output of the app; none
crashes=$run.crashes

# say LINE...: platform lines to the logplex. One that is stuck must not stop a dyno.
say() {
    [ "$log" = none ] || printf '%s\n' "$@" | timeout 5 \
        logger -u /run/deployer/log --socket-errors=off -t "$APP/heroku/$TYPE.$N" -p local0.info -S 10000 || true
}

# Where the processes of this unit are: `tree` names all of them under either version of cgroups, `payload` those of the
# dyno, and in `leaf` dyno-run works.
find_cgroup() {
    while IFS=: read -r _ kind path; do
        case $kind in '' | name=systemd) break ;; esac
    done </proc/self/cgroup
    cgroup=${path%/.control}
    tree=/sys/fs/cgroup
    payload=$cgroup/payload
    leaf=$tree$cgroup/boot
    [ ! -e $tree/cgroup.controllers ] || return 0
    leaf=$tree/memory$cgroup/dyno
    tree=$tree/systemd
    payload=$cgroup/dyno/payload
}

# signal NAME: to every process of the dyno but its init, which would cut the grace short; KILL spares nobody.
# False if there was none yet.
signal() {
    reached=1
    while read -r pid; do
        [ "$1" = KILL ] || ! is_init "$pid" || continue
        kill -s "$1" "$pid" && reached=0
    done <"$tree$payload/cgroup.procs"
    return $reached
} 2>/dev/null

is_init() {
    while read -r field ids; do
        [ "$field" != NSpid: ] || break
    done <"/proc/$1/status"
    [ "${ids##*[!0-9]}" = 1 ]
}

# Hundredths of a second since the host booted.
clock() {
    read -r now _ </proc/uptime
    now=${now%.*}${now#*.}
}

# has_ended PID: of a child, before or after the shell has noticed.
has_ended() {
    read -r stat <"/proc/$1/stat" || return 0
    case ${stat##*') '} in Z*) ;; *) return 1 ;; esac
} 2>/dev/null

# ends_within SECONDS PID: whether this child ends in time; `wait` alone knows no limit.
ends_within() {
    clock
    last=$((now + 100 * $1))
    until has_ended "$2"; do
        [ "$now" -lt $last ] || return 1
        sleep 0.05
        clock
    done
}
