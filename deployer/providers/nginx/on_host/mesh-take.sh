#!/bin/sh
# mesh-take FILE: puts standard input in FILE if nginx accepts it there, and has nginx take it in.
# Without input the file stays as it is. Exit: 0; 40 nginx refused it, and the file is as it was; 41 nginx did not start.
# Returns when new workers serve: who retires a dyno next must not meet old ones that still choose it.
set -eu
file=$1
before=$(mktemp /run/deployer-mesh.XXXXXX)
trap 'rm -f "$before" "$file.new"' EXIT
had=no
[ ! -e "$file" ] || { cp -p -- "$file" "$before"; had=yes; }
cat >"$file.new"
if [ -s "$file.new" ]; then mv -f -- "$file.new" "$file"; fi
if ! said=$(nginx -t -q 2>&1); then
	if [ "$had" = yes ]; then mv -f -- "$before" "$file"; else rm -f -- "$file"; fi
	printf '%s\n' "$said"
	exit 40
fi
# Units that an apply which was killed has not had read again.
[ "$(systemctl show -p NeedDaemonReload --value nginx)" = no ] || systemctl daemon-reload
systemctl is-active -q nginx || { systemctl restart nginx && exit 0 || exit 41; }
master=$(cat /run/nginx.pid)
workers() { cat "/proc/$master/task/$master/children"; }
old=$(workers)
# Between starting new workers and closing old ones nginx waits 100 ms, in which both choose dynos.
closing() { for pid in $old; do [ ! -e "/proc/$pid" ] || grep -qa 'shutting down' "/proc/$pid/cmdline" || return 1; done; }
systemctl reload nginx
i=0
while [ $i -lt 1200 ]; do # with the files of a thousand apps nginx takes seconds to come up
	new=
	for pid in $(workers); do case " $old " in *" $pid "*) ;; *) new=$pid ;; esac; done
	if [ -n "$new" ] && closing; then exit 0; fi
	sleep 0.05
	i=$((i + 1))
done
exit 41
