#!/bin/sh
# All measures, one line each: benchmarks/run.sh FOLDER, the folder of an app that is deployed and in sync.
set -eu
here=$(dirname "$0")
folder=${1:-.deployer/hello}
python=${PYTHON:-python3}
echo "$(date -u +%F), $(uname -sr), $(nproc) cores"
"$python" "$here/help.py"
for measure in empty_plan memory many_apps dyno_start wire builds uplink logplex router; do
    "$python" "$here/$measure.py" -C "$folder"
done
