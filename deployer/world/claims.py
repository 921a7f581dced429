"""What apps claim of the routers that they share: a record of each app on them tells the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from deployer.problems import Problem, Where
from deployer.spec.fleet import Fleet, Host
from deployer.spec.platform import Platform
from deployer.world.facts import Facts
from deployer.world.releases import APPS
from deployer.world.world import Claims


def path(app: str) -> str:
    """Of the record, on every router."""
    return f"{APPS}/{app}/claims.json"


def of(fleet: Fleet, settings: Platform) -> Claims:
    """Domains of the files come first, then those that commands have added."""
    domains = tuple(dict.fromkeys((*fleet.names, *settings.domains)))
    return Claims(domains, fleet.virtual_address, fleet.routing.proxy_protocol)


def standing(app: str, fleet: Fleet, before: Platform, after: Platform, facts: Iterable[Facts]) -> Claims:
    """What the app claims as the routers have it, and what an edit of the platform makes of that.

    What the files say otherwise meanwhile is for the next apply.
    """
    kept = next((host.document(path(app)) for host in facts if path(app) in host.texts), None)
    if kept is None:
        return of(fleet, after)
    found, gone = read(kept), {*before.domains} - {*after.domains, *fleet.names}
    domains = dict.fromkeys((*(d for d in found.domains if d not in gone), *after.domains))
    return replace(found, domains=tuple(domains))


def read(kept: Mapping[str, Any]) -> Claims:
    """The inverse of `Claims.as_dict`."""
    domains, ranges = (tuple(kept.get(name, ())) for name in ("domains", "proxy_protocol"))
    return Claims(domains, kept.get("virtual_address", ""), ranges)


def others(app: str, facts: Facts) -> Mapping[str, Claims]:
    """By name, what the other apps of a host claim."""
    found = facts.documents(APPS, "claims.json")
    return {name: read(document) for name, document in found if name != app}


def conflicts(
    app: str, claim: Claims, hosts: tuple[Host, ...], facts: Mapping[str, Facts]
) -> Iterator[Problem]:
    """Domains that two apps claim on one router: nginx would give all requests to one of them in silence."""
    for host in hosts:
        if "router" not in host.roles:
            continue
        for other, theirs in sorted(others(app, facts[host.name]).items()):
            for domain in sorted({*claim.domains} & {*theirs.domains}):
                hint = f"take it from the domains of {app}, or from those of {other} and apply {other} first"
                where = Where(f"{host.name}/{host.address}")
                yield Problem(f"{domain} is a domain of the app {other} already", where, hint=hint)
