# Sourced by the dyno-* scripts of a host. Their environment: KEY and the lines of dyno.env.

home=${DYNO_HOME:-/var/lib/deployer/dynos/$KEY}
disk=${DYNO_DISK:-$home/disk}
upper=$disk/upper
run=${DYNO_RUN:-/run/deployer/dynos/$KEY}
log=${LOG:-all} # all; events: no output of the app; none
crashes=$run.crashes
unreachable=${run%/*}/unreachable.${ADDRESS:-}

# say LINE...: platform lines to the logplex. One that is stuck must not stop a dyno.
say() {
    [ "$log" = none ] || printf '%s\n' "$@" | timeout 5 \
        logger -u /run/deployer/log --socket-errors=off -t "$APP/heroku/$TYPE.$N" -p local0.info -S 10000 || true
}

# For a script outside of the dyno's unit: what systemd gives those inside.
read_settings() {
    while IFS= read -r line; do export "$line"; done <"$home/dyno.env"
}

# find_cgroup [CGROUP]: where the processes of a unit are, of our own unless told. `tree` has all of them under either
# version of cgroups, `payload` those of the dyno; `leaf` is dyno-run's.
find_cgroup() {
    path=${1:-}
    [ -n "$path" ] || while IFS=: read -r _ kind path; do
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

# The host has no curl. Without a listener at an address that is not there yet, a connect hangs.
accepts() {
    timeout 2 bash -c ': <"/dev/tcp/$0/$1"' "$ADDRESS" "$PORT"
} 2>/dev/null

# is_healthy: `said` is then the status that the dyno answered its health path with, if it has one, or "nothing".
is_healthy() {
    said=
    [ -n "${HEALTH:-}" ] || return 0
    said=$(ask "$ADDRESS" "$PORT" "$HEALTH") || said=nothing
    [ "$said" = "${HEALTH_STATUS:-200}" ]
}

# ask ADDRESS PORT PATH: prints the status of the answer. The shell's own printf would send each line by itself.
ask() {
    timeout 5 bash -c '
exec 3<>"/dev/tcp/$0/$1" || exit
env printf "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: deployer-health\r\nConnection: close\r\n\r\n" "$2" >&3
read -r version status _ <&3
status=${status%%[!0-9]*}
[ "${version%?}" = HTTP/1. ] && [ -n "$status" ] && echo "$status"' "$@"
} 2>/dev/null

# Hundredths of a second since the host booted.
clock() {
    read -r now _ </proc/uptime
    now=${now%.*}${now#*.}
}

# Routers learn at once that nobody is there and try another dyno; else each waits 5 s for an answer.
refuse() {
    if [ "$PORT" = 0 ] || [ -e "$unreachable" ]; then return; fi
    : >"$unreachable"
    ip route replace unreachable "$ADDRESS/32" || true # it says why, in the journal
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

# What a host that lost its power left of it is gone first.
make_folders() {
    if [ -e "$run" ] || [ -e "$disk" ]; then rm -rf "$run" "$disk"; fi
    mkdir -p "$run/root" "$run/cgroup/memory" "$disk/work" "$upper/etc" "$leaf"
}

# The upper layer is on disk: what an app writes must not be charged to the host's memory.
make_root() {
    mkfifo -m 620 "$run/output"
    # the app's group may write there: apps open /dev/stdout
    chown "$BASE:$((BASE + 1000))" "$upper" "$run/output"
    mount -t overlay -o "volatile,lowerdir=$LOWER,upperdir=$upper,workdir=$disk/work" overlay "$run/root"
    # Buildpacks look here for the size of the dyno, also where the host has no such file (Heroku contract 3.1).
    echo $((MEMORY * 1048576)) >"$run/cgroup/memory/memory.limit_in_bytes"
    name_things "$upper/etc"
}

# systemd's local stub resolver answers on the host's own loopback only: take what is behind it.
name_things() {
    echo "$HOST" >"$1/hostname"
    printf '%s\n' "127.0.0.1 localhost" "::1 localhost ip6-localhost ip6-loopback" "$ADDRESS $HOST" >"$1/hosts"
    servers=/run/systemd/resolve/resolv.conf
    [ -e $servers ] || servers=/etc/resolv.conf
    while read -r line || [ -n "$line" ]; do
        case $line in 'nameserver 127.'* | 'nameserver ::1') ;; *) printf '%s\n' "$line" ;; esac
    done <$servers >"$1/resolv.conf"
}
