#!/bin/sh
# debian.sh: Debian's packages that the deployer needs on this machine, where they are missing.
set -eu
need=
dpkg-query -W -f '${db:Status-Status}' git 2>/dev/null | grep -q ^installed || need="$need git"
python3 -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || need="$need python3 python3-venv"
command -v curl >/dev/null || need="$need curl"
if [ -n "$need" ]; then
	echo "installing$need"
	apt-get -q update >/dev/null
	DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends ca-certificates $need >/dev/null
fi
