"""What every host needs before it can do anything: packages, and our scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from deployer.model.steps import Sh, Stage, Step
from deployer.providers import parts
from deployer.providers.base import About, packaged, plain_cause
from deployer.spec.fleet import Host
from deployer.spec.spec import Spec
from deployer.world.facts import Facts, Probe
from deployer.world.world import World

BIN = "/var/lib/deployer/bin"
GUARDS = "/var/lib/deployer/guard"
"""A folder for each guarded change (remote/on_host/guard.py) that nobody has confirmed yet."""
EVERYWHERE = ("python3", "openssl", "zstd", "nftables", "rsyslog", "rsyslog-relp", "iproute2")
PACKAGES = {
    "router": ("nginx-light", "libnginx-mod-http-lua"),
    "dynos": ("lxc", "dbus"),
    "build": ("lxc", "dbus", "mmdebstrap"),
}
SCRIPTS = (
    "lxc/on_host/dyno-wait.sh",
    "lxc/on_host/dyno-run.sh",
    "lxc/on_host/dyno-up.sh",
    "lxc/on_host/dyno-end.sh",
    "lxc/on_host/dyno-init.sh",
    "lxc/on_host/dyno-isolate.sh",
    "lxc/on_host/dyno-once.py",
    "lxc/on_host/dyno-attach.py",
    "stack/on_host/stack-make.py",
    "stack/on_host/stack-sources.py",
    "slug/on_host/slug-build.py",
    "slug/on_host/unpack.py",
    "slug/on_host/slug-compile.sh",
    "slug/on_host/slug-relay.py",
    "share/on_host/share.py",
    "share/on_host/fetch.py",
    "rsyslog/on_host/log-rotate.sh",
    "rsyslog/on_host/log-tail.py",
    "rsyslog/on_host/log-lost.py",
    "rsyslog/on_host/log-say.sh",
    "nginx/on_host/mesh-take.sh",
    "certificates/on_host/certify.py",
    "certificates/on_host/certify-order.py",
    "router/on_host/mesh-put.sh",
    "nftables/on_host/wall-take.sh",
)
"""What steps, units and other scripts call by name: on every host, under that name without its ending."""
ROLLOUT_SCRIPTS = ("lxc/on_host/dyno-drain.sh", "lxc/on_host/dyno-watch.py")
SOURCED = ("lxc/on_host/dyno.sh", "lxc/on_host/dyno.conf")
"""What other scripts read in, under its whole name."""
_UNCONFIRMED = "a change to the connection that nobody has confirmed"
_GUARD = (
    "What the connection hangs on changes under a guard, which puts it back unless a new connection "
    "confirms it. An apply that was cut off leaves one; the next apply, which got in, ends it."
)


@dataclass(frozen=True)
class GuardSeen:
    """What an apply that was cut off left behind; one that is `armed` would put its files back."""

    key: str
    armed: bool


class HostProvider:
    name = "host"
    base = ("package:*", "file:*")

    def desire(self, world: World, host: Host) -> Iterator[Any]:
        if not host.roles:
            return
        for package in sorted(packages(host, world.facts[host.name])):
            yield parts.Package(package)
        yield from _scripts("dynos" in host.roles)

    def probe(self, app: str) -> Probe:
        names = {*EVERYWHERE, *(p for row in PACKAGES.values() for p in row), "apparmor"}
        return Probe(
            files=frozenset({f"{BIN}/*", f"{GUARDS}/*/guard.json", f"{GUARDS}/*/restored"}),
            folders=frozenset({f"{GUARDS}/*"}),
            packages=frozenset(names),
        )

    def observe(self, app: str, facts: Facts) -> Iterator[Any]:
        yield from parts.see_packages(facts, facts.packages)
        yield from parts.see_files(facts, (f"{BIN}/",))
        yield from _guards(facts)

    def converge(self, want: Any, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        """Packages and scripts serve every app of a host, so no app's plan removes one."""
        if isinstance(have, GuardSeen):
            return _disarm(have)
        return parts.converge(want, have, differs) if want else ()

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        if isinstance(have, GuardSeen):
            return _UNCONFIRMED if have.armed else "what is left of a change to the connection"
        return plain_cause(want, have, differs)

    def about(self, spec: Spec, host: Host, key: str) -> About:
        if key.startswith("guard:"):
            token = key.removeprefix("guard:")
            return About((), (f"{GUARDS}/{token}/", f"deployer.guard-{token}.timer"), _GUARD)
        rule = (
            "A host holds the packages of its roles and the scripts of the steps; no app's plan removes them."
        )
        return parts.about(spec, host, key, rule)


@cache
def _scripts(has_dynos: bool) -> tuple[parts.File, ...]:
    """The same on all hosts."""
    called = (*SCRIPTS, *(ROLLOUT_SCRIPTS if has_dynos else ()))
    return (
        *(parts.File(f"{BIN}/{PurePosixPath(source).stem}", packaged(source), 0o755) for source in called),
        *(parts.File(f"{BIN}/{PurePosixPath(source).name}", packaged(source)) for source in SOURCED),
    )


def _guards(facts: Facts) -> Iterator[GuardSeen]:
    for folder in sorted(path for path in facts.folders if path.startswith(f"{GUARDS}/")):
        armed = f"{folder}/guard.json" in facts.files and f"{folder}/restored" not in facts.files
        yield GuardSeen(f"guard:{folder.removeprefix(f'{GUARDS}/')}", armed)


def _disarm(have: GuardSeen) -> Iterator[Step]:
    """The connection that this runs over is newer than the change: that it came about is the proof."""
    folder = f"{GUARDS}/{have.key.removeprefix('guard:')}"
    if have.armed:
        disarm = Sh(("python3", f"{folder}/guard.py", "disarm"))
        yield Step(Stage.PREPARE, "disarm the guard that was left behind", disarm)
    else:
        yield parts.remove(folder, Stage.PREPARE)


def packages(host: Host, facts: Facts) -> set[str]:
    """What this host needs for its roles; apparmor where the kernel has it."""
    needed = {package for role in host.roles for package in PACKAGES.get(role, ())}
    return needed | set(EVERYWHERE) | ({"apparmor"} if facts.apparmor and "lxc" in needed else set())
