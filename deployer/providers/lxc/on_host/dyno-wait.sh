#!/bin/sh
# Before a start: sit out the back-off that dyno-end wrote down, unless somebody asked for this start.
crashes=${DYNO_RUN:-/run/deployer/dynos/$KEY}.crashes
[ -e "$crashes" ] || exit 0
if [ "$(systemctl show -P NRestarts "deployer.dyno@$KEY")" = 0 ]; then
    rm "$crashes"
    exit
fi
read -r record <"$crashes"
until=${record##*: }
left=$((${until%\}} - $(date +%s)))
[ "$left" -gt 0 ] || exit 0
# a stop meanwhile is no failure
trap 'kill $!; exit 0' TERM
sleep "$left" &
wait $!
