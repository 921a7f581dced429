"""What apps claim of the routers that they share: each app's record on a host tells the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from deployer.facts import Facts
from deployer.fleet import Fleet, Host
from deployer.problems import Problem, Where
from deployer.releases import APPS


@dataclass(frozen=True)
class Claims:
    """Domains are one app's alone; the address and the ranges hold as long as one app asks for them."""

    domains: tuple[str, ...] = ()
    virtual_address: str = ""
    proxy_protocol: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Only what is claimed."""
        return {name: value for name, value in asdict(self).items() if value}


def of(fleet: Fleet) -> Claims:
    return Claims(fleet.names, fleet.virtual_address, fleet.routing.proxy_protocol)


def read(document: Mapping[str, Any]) -> Claims:
    """Of an app's record; one from before there were claims has none."""
    kept = document.get("claims", {})
    given = {f.name: kept[f.name] for f in fields(Claims) if f.name in kept}
    return Claims(**{name: tuple(value) if isinstance(value, list) else value for name, value in given.items()})


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
