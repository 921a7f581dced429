#!/bin/sh
# /var/lib/deployer/bin/log-rotate [BYTES [FOLDER]]: each log file that reached its size becomes the old one.
# rsyslogd runs it between two writes. 16 MB are more than 1,500 lines of the longest kind, so those are always kept.
set -eu
bytes=${1:-16777216}
cd "${2:-/var/lib/deployer/logs}"
for log in *.log; do
    if [ -f "$log" ] && [ "$(stat -c %s "$log")" -ge "$bytes" ]; then mv -f "$log" "$log.1"; fi
done
