"""What apps claim of the routers that they share: each app's record on a host tells the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deployer.facts import Facts
from deployer.fleet import Fleet, Host
from deployer.problems import Problem, Where
from deployer.releases import APPS
from deployer.world import Claims


def of(fleet: Fleet) -> Claims:
    return Claims(fleet.names, fleet.virtual_address, fleet.routing.proxy_protocol)


def read(document: Mapping[str, Any]) -> Claims:
    """Of an app's record; one from before there were claims has none."""
    kept = document.get("claims", {})
    domains, ranges = (tuple(kept.get(name, ())) for name in ("domains", "proxy_protocol"))
    return Claims(domains, kept.get("virtual_address", ""), ranges)


def others(app: str, facts: Facts) -> Mapping[str, Claims]:
    """By name, what the other apps of a host claim."""
    found = facts.documents(APPS, "app.json")
    return {name: read(document) for name, document in found if name != app}


def conflicts(fleet: Fleet, hosts: tuple[Host, ...], facts: Mapping[str, Facts]) -> Iterator[Problem]:
    """Domains that two apps claim on one router: nginx would give all requests to one of them in silence."""
    for host in hosts:
        if "router" not in host.roles:
            continue
        for app, claims in sorted(others(fleet.app, facts[host.name]).items()):
            for domain in sorted({*fleet.names} & {*claims.domains}):
                hint = f'take it from "domains" here, or from those of {app} and apply {app} first'
                where = Where(f"{host.name}/{host.address}")
                yield Problem(f"{domain} is a domain of the app {app} already", where, hint=hint)
