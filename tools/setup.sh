#!/bin/sh
# setup.sh VENV: the deployer and its locked packages in a virtual environment.
set -eu
venv=$1
echo "setting up $venv"
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
pip() { "$venv/bin/pip" install -q --disable-pip-version-check --no-compile "$@"; }
pip --require-hashes -r requirements.lock
pip --no-deps --no-build-isolation -e .
# pip compiles one file after another
"$venv/bin/python" -m compileall -q -j 0 -x deployer/buildpacks/ "$venv"/lib/*/site-packages deployer
