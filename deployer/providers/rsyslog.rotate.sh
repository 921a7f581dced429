#!/bin/sh
# log-rotate FILE: rsyslog calls this when a log has reached its size; one older part is kept.
set -eu
mv -f -- "$1" "$1.1"
