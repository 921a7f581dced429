"""What stands in the way of a deployment on these hosts, found before anything is planned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from deployer.problems import Problem, Where
from deployer.providers.keepalived import interface
from deployer.providers.router import defaults
from deployer.providers.rsyslog import RELP_PORT
from deployer.spec.fleet import Host
from deployer.spec.spec import Spec
from deployer.world import certificates, claims
from deployer.world.facts import Facts
from deployer.world.world import Claims

NEEDED_MB = 1500
"""Free disk for packages, an image and a slug on a host that has none yet."""
PORTS = (("logplex", RELP_PORT, "rsyslogd"), ("router", 80, "nginx"))
"""The port that a role needs, and the process that may hold it."""
TLS_PORTS = (("router", 443, "nginx"),)


def in_the_way(
    spec: Spec, claim: Claims, hosts: tuple[Host, ...], facts: Mapping[str, Facts], now: str
) -> tuple[Problem, ...]:
    """Everything for which a release is not begun."""
    unfit = certificates.unfit(spec, claim.domains, certificates.clock(now))
    is_secured = spec.fleet.tls.acme is not None or bool(spec.fleet.certificates)
    return (*found(hosts, facts, is_secured), *to_claims(spec.fleet.app, claim, hosts, facts), *unfit)


def found(
    hosts: tuple[Host, ...], facts: Mapping[str, Facts], is_secured: bool = False
) -> tuple[Problem, ...]:
    """All obstacles at once: roles without a host, taken ports (443 for certificates), full disks."""
    ports = (*PORTS, *(TLS_PORTS if is_secured else ()))
    here = [problem for host in hosts for problem in _on(host, facts[host.name], ports)]
    return (*_unmanned(hosts), *here)


def to_claims(
    app: str, claim: Claims, hosts: tuple[Host, ...], facts: Mapping[str, Facts]
) -> tuple[Problem, ...]:
    """What the app asks of its routers and cannot have there."""
    return (*_unheld(claim, hosts, facts), *claims.conflicts(app, claim, hosts, facts))


def _unheld(claim: Claims, hosts: tuple[Host, ...], facts: Mapping[str, Facts]) -> Iterator[Problem]:
    """Routers that cannot send from the address under which the others would listen for them."""
    for host in hosts if claim.virtual_address else ():
        seen = facts[host.name]
        if "router" in host.roles and seen.python and not interface(seen, host.mesh):
            known = ", ".join(seen.addresses) or "none"
            hint = f'write one of its own ({known}) as "private_address", or take "virtual_address" out'
            where = Where(f"{host.name}/{host.address}")
            yield Problem(f"no network interface of {host.name} has {host.mesh}", where, hint=hint)


def notes(hosts: tuple[Host, ...], facts: Mapping[str, Facts]) -> tuple[str, ...]:
    """What is the user's own and stays, though it changes what the mesh does."""
    routers = (host for host in hosts if "router" in host.roles)
    return tuple(
        f"{host.name}: hosts that no app has go to {path}, which is default_server on port 80"
        for host in routers
        for path in defaults(facts[host.name])
    )


def _unmanned(hosts: tuple[Host, ...]) -> Iterator[Problem]:
    """Roles that no host is left for, after --without."""
    hint = "give the role to a host that is there, or leave another one out"
    for role in ("build", "dynos"):
        if not any(role in host.roles for host in hosts):
            yield Problem(f"no host with the role {role} is left", hint=hint)


def _on(host: Host, facts: Facts, ports: Iterable[tuple[str, int, str]]) -> Iterator[Problem]:
    where = Where(f"{host.name}/{host.address}")
    for role, port, owner in ports:
        holder = facts.listeners.get(port, owner)
        if role in host.roles and holder not in (owner, ""):
            hint = f"stop {holder} on {host.name}, or take the role {role} from it"
            yield Problem(
                f"port {port} of {host.name}, which a {role} needs, is taken by {holder}", where, hint=hint
            )
    if "dynos" in host.roles and facts.python and facts.disk_free < NEEDED_MB and not _has_image(facts):
        hint = f"free at least {NEEDED_MB} MB under /var/lib"
        yield Problem(f"{host.name} has only {facts.disk_free} MB of disk left", where, hint=hint)


def _has_image(facts: Facts) -> bool:
    return any(folder.endswith(".run") for folder in facts.folders)
