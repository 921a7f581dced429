"""What every host needs before it can do anything: packages, and our scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from deployer.facts import Facts, Probe
from deployer.fleet import Host
from deployer.model import Step, Text
from deployer.providers import parts
from deployer.providers.base import About, packaged, plain_cause
from deployer.spec import Spec
from deployer.world import World

BIN = "/var/lib/deployer/bin"
EVERYWHERE = ("python3", "openssl", "zstd", "nftables", "rsyslog", "rsyslog-relp", "iproute2")
PACKAGES = {
    "router": ("nginx-light",),
    "dynos": ("lxc", "dbus"),
    "build": ("lxc", "dbus", "mmdebstrap"),
}
SCRIPTS = {
    "dyno-wait": "lxc.dyno-wait.sh",
    "dyno-run": "lxc.dyno-run.sh",
    "dyno-up": "lxc.dyno-up.sh",
    "dyno-end": "lxc.dyno-end.sh",
    "dyno-init": "lxc.dyno-init.sh",
    "dyno-isolate": "lxc.dyno-isolate.sh",
    "dyno-once": "lxc.dyno-once.py",
    "stack-make": "stack.make.py",
    "stack-sources": "stack.sources.py",
    "slug-build": "slug.build.py",
    "unpack": "slug.unpack.py",
    "slug-compile": "slug.compile.sh",
    "slug-relay": "slug.relay.py",
    "share": "share.serve.py",
    "fetch": "share.fetch.py",
    "log-rotate": "rsyslog.rotate.sh",
    "log-tail": "rsyslog.tail.py",
    "log-lost": "rsyslog.lost.py",
    "mesh-take": "nginx.take.sh",
    "wall-take": "nftables.take.sh",
}
ROLLOUT_SCRIPTS = {"dyno-drain": "lxc.dyno-drain.sh", "dyno-watch": "lxc.dyno-watch.py"}
SOURCED = {"dyno.sh": "lxc.dyno.sh", "dyno.conf": "lxc.dyno.conf"}


class HostProvider:
    name = "host"

    def desire(self, world: World, host: Host) -> Iterator[Any]:
        if not host.roles:
            return
        for package in sorted(packages(host, world.facts[host.name])):
            yield parts.Package(package)
        for name, source in (SCRIPTS | (ROLLOUT_SCRIPTS if "dynos" in host.roles else {})).items():
            yield parts.File(f"{BIN}/{name}", Text(packaged(source)), 0o755)
        for name, source in SOURCED.items():
            yield parts.File(f"{BIN}/{name}", Text(packaged(source)))

    def probe(self, app: str) -> Probe:
        names = {*EVERYWHERE, *(p for row in PACKAGES.values() for p in row), "apparmor"}
        return Probe(files=frozenset({f"{BIN}/*"}), packages=frozenset(names))

    def observe(self, app: str, facts: Facts) -> Iterator[Any]:
        yield from parts.see_packages(facts, facts.packages)
        yield from parts.see_files(facts, (f"{BIN}/",))

    def converge(self, want: Any, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        """Packages and scripts serve every app of a host, so no app's plan removes one."""
        return parts.converge(want, have, differs) if want else ()

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        return plain_cause(want, have, differs)

    def about(self, spec: Spec, host: Host, key: str) -> About:
        rule = (
            "A host holds the packages of its roles and the scripts of the steps; no app's plan removes them."
        )
        return parts.about(spec, host, key, rule)


def packages(host: Host, facts: Facts) -> set[str]:
    """What this host needs for its roles; apparmor where the kernel has it."""
    needed = {package for role in host.roles for package in PACKAGES.get(role, ())}
    return needed | set(EVERYWHERE) | ({"apparmor"} if facts.apparmor and "lxc" in needed else set())
