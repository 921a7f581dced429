#!/bin/sh
# Before a start: sit out the back-off that dyno-end wrote down.
crashes=/run/deployer/dynos/$KEY.crashes
[ -e "$crashes" ] || exit 0
read -r record <"$crashes"
until=${record##*: }
left=$((${until%\}} - $(date +%s)))
[ $left -le 0 ] || exec sleep $left
