# Sourced by dyno-run: the root of a dyno, its slug over its stack under a layer of its own that goes with it.

upper=$disk/upper

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
