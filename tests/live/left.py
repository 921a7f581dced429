"""What holds finally: when a run has ended, however it ended, and the next one has found nothing to do, none of its tools lies about;
when an app has gone, nothing of it does."""

from __future__ import annotations

from campaign import attach
from here import HOSTS

TOOLS = r"""
find /etc/deployer /etc/nginx /etc/systemd/system /run/deployer /var/lib/deployer \
    \( -name '*.deployer-new' -o -name '*.partial' -o -name '*.new' -o -path /run/deployer/lock \
    -o -path '/var/lib/deployer/guard/*' \) -print -prune \
    -o \( -path '*/stacks/*' -o -path '*/slugs/*' -o -path '*/disk/*' -o -path '/run/deployer/dynos/*/root' \) -prune
ls -d /run/deployer-mesh.* 2>/dev/null
flock --nonblock /run/deployer/runner true || echo 'a step is running'
systemctl list-units --state=failed --plain --no-legend 'deployer.*'
"""
OF_AN_APP = r"""
find /etc/deployer /etc/nginx /etc/systemd/system /run/deployer /var/lib/deployer \
    -path /var/lib/deployer/logs -prune -o \( -name "$app" -o -name "$app.*" -o -name "deployer.$app.*" -o -name "*@$app.*" \) -print -prune \
    -o \( -path '*/stacks/*' -o -path '*/slugs/*' -o -path '*/disk/*' -o -path '/run/deployer/dynos/*/root' \) -prune
nft list tables | grep -F "deployer.$app"
systemctl list-units --all --plain --no-legend "deployer.*@$app.*"
true
"""


def tools() -> dict[str, str]:
    """By host, half-written files, a lock, guards, units that failed and steps that still run."""
    return _found(TOOLS)


def of_an_app(app: str) -> dict[str, str]:
    """By host, files, tables and units that have the app's name. Its log stays: it tells of the end, too."""
    return _found(f"app={app}\n{OF_AN_APP}")


def _found(script: str) -> dict[str, str]:
    found = {host: attach(host, script, check=False).strip() for host in HOSTS}
    return {host: what for host, what in found.items() if what}
