#!/bin/sh
# dyno-drain KEY SECONDS: wait until nobody outside talks to a dyno any more, at most for so long, and say what is left.
# A dyno that is gone, or has no port, is drained.
set -eu
KEY=$1
. "${0%/*}/dyno.sh"

# How many come from outside; false once the dyno is gone. Counts established ones (01), and those whose app has closed
# while its last bytes are still on their way (04), for they would go with the dyno's network.
connections() {
    read -r pid <"$tree$payload/cgroup.procs" || return
    cat "/proc/$pid/net/tcp" "/proc/$pid/net/tcp6" | awk -v port="$port" '
        { split($2, local, ":"); split($3, remote, ":") }
        $4 !~ /^0[14]$/ || local[2] != port { next }
        local[1] == remote[1] || local[1] ~ /(^|FFFF0000)......7F$/ { next }
        { left++ }
        END { print left + 0 }'
} 2>/dev/null

[ -e "$home/dyno.env" ] || exit 0
read_settings
[ "$PORT" != 0 ] || exit 0
group=$(systemctl show -P ControlGroup "deployer.dyno@$KEY")
[ -n "$group" ] || exit 0
find_cgroup "$group"
port=$(printf %04X "$PORT")
clock
last=$((now + 100 * $2))
busy=$now
while left=$(connections); do
    clock
    [ "$left" = 0 ] || busy=$now
    # a router may be about to open its next one
    [ $((now - busy)) -lt 30 ] || exit 0
    [ "$now" -lt $last ] || break
    sleep 0.1
done
case $left in
'' | 0) ;;
1) echo "$TYPE.$N: 1 connection left after $2 s" ;;
*) echo "$TYPE.$N: $left connections left after $2 s" ;;
esac
