#!/bin/sh
# mesh-put FILE [DIGEST…]: puts standard input in FILE if nginx accepts it there; the reload is another step's.
# Debian's own default site makes way, if its SHA-256 is one of these: only one server can answer for unknown hosts.
# Exit: 0; 40 nginx refused it, and all is as it was.
set -eu
file=$1
shift
site=/etc/nginx/sites-enabled/default
kept=$(mktemp -d /run/deployer-mesh.XXXXXX)
trap 'rm -rf -- "$kept"; rm -f -- "$file.new"' EXIT
[ ! -e "$file" ] || cp -p -- "$file" "$kept/file"
if [ -f "$site" ]; then
	case " $* " in
	*" $(sha256sum <"$site" | cut -d' ' -f1) "*) mv -- "$site" "$kept/site" ;;
	esac
fi
mkdir -p -- "$(dirname "$file")"
cat >"$file.new"
chmod 644 "$file.new"
mv -f -- "$file.new" "$file"
if ! said=$(nginx -t -q 2>&1); then
	if [ -e "$kept/file" ]; then mv -f -- "$kept/file" "$file"; else rm -f -- "$file"; fi
	if [ -e "$kept/site" ] || [ -L "$kept/site" ]; then mv -- "$kept/site" "$site"; fi
	printf '%s\n' "$said"
	exit 40
fi
