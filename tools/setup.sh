#!/bin/sh
# setup.sh VENV: the deployer and its locked packages in a virtual environment; Debian's packages where they are missing.
set -eu
venv=$1
need=
dpkg-query -W -f '${db:Status-Status}' git 2>/dev/null | grep -q ^installed || need="$need git"
python3 -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || need="$need python3 python3-venv"
command -v curl >/dev/null || need="$need curl"
if [ -n "$need" ]; then
	echo "installing$need"
	apt-get -q update >/dev/null
	DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends ca-certificates $need >/dev/null
fi
echo "setting up $venv"
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/pip" install -q --disable-pip-version-check --require-hashes -r requirements.lock
"$venv/bin/pip" install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
# as pip does for a package that is not only linked
"$venv/bin/python" -m compileall -q -x deployer/buildpacks/ deployer
