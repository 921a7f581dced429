#!/bin/sh
# First process of the app's user in a dyno: dyno-init COMMAND yes|no (with profile scripts or without).
# The environment comes in Heroku's order: that of the platform, config vars (shell assignments on descriptor 3),
# /etc/profile.d, .profile.d, .profile.

# The last lines below would end every process of a host.
[ -e /.dyno-init ] || exit 2
# The app gets every signal itself; this shell stays to the end, to report its status.
trap : HUP INT QUIT USR1 USR2
trap stopping=yes TERM
# what this shell would say of a signal is not the app's output
exec 4>&2 2>/dev/null
# In a shell of their own config vars may have any name: none is one of this shell's variables, or of LXC's, or of the loop's.
(
	exec 2>&4 4>&-
	unset container
	eval "$(cat <&3)"
	exec 3<&-
	exec /bin/bash -c '
[ "$2" = no ] || eval "$(for profile in /etc/profile.d/*.sh "$HOME"/.profile.d/*.sh "$HOME/.profile"; do
    printf "if [ -r %q ]; then . %q; fi\n" "$profile" "$profile"
done)"
exec /bin/bash -c "$1"' dyno "$1" "$2"
)
status=$?

# On a stop every process has its grace, also after the first has ended; dyno-run ends it after 30 s.
tenths=${stopping:+350}
while [ "${tenths:-0}" -gt 0 ] && kill -s 0 -- -1; do
    sleep 0.1
    tenths=$((tenths - 1))
done
# Else what the app left in the background would keep the dyno alive.
kill -s KILL -- -1
exit $status
