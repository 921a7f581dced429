"""World and facts in, Plan out: the same few lines for every provider."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from functools import reduce
from typing import Any

from deployer.model import diff
from deployer.model.plan import Action, Change, Plan
from deployer.providers.base import Provider
from deployer.spec.fleet import Host
from deployer.world.facts import Facts, Probe
from deployer.world.world import World

MANY = 100
"""Entries past which a field that comes or goes is told by its size: an app names all its hosts on each."""


def probe(providers: Iterable[Provider], app: str) -> Probe:
    """All that the providers want to know of a host, as one request."""
    return reduce(lambda a, b: a | b, (p.probe(app) for p in providers), Probe())


def plan(world: World, providers: Iterable[Provider], notes: tuple[str, ...] = ()) -> Plan:
    """Everything that differs on all hosts. Equal worlds and facts give equal plans."""
    hosts = [host for host in world.hosts if host.name not in world.lost]
    found = [_compare(p, world, host) for host in hosts for p in providers]
    changes = [change for changes, _ in found for change in changes]
    return Plan(
        app=world.app,
        release=world.release.name if world.release else "",
        changes=tuple(changes),
        in_sync=sum(same for _, same in found),
        hosts=tuple(host.name for host in world.hosts),
        notes=notes,
        capacity=world.rollout.capacity,
    )


def _compare(provider: Provider, world: World, host: Host) -> tuple[list[Change], int]:
    wanted, seen = sides(provider, world, host)
    keys = [*wanted, *sorted(seen.keys() - wanted.keys())]
    changes = [c for key in keys if (c := _change(provider, world, host, key, wanted, seen))]
    return changes, len(wanted) - sum(c.action != "delete" for c in changes)


def sides(provider: Provider, world: World, host: Host) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a provider wants on a host, and what it sees there, both by key."""
    facts: Facts = world.facts[host.name]
    wanted = {d.key: d for d in provider.desire(world, host)}
    return wanted, {o.key: o for o in provider.observe(world.app, facts)}


def _change(
    provider: Provider, world: World, host: Host, key: str, wanted: Mapping[str, Any], seen: Mapping[str, Any]
) -> Change | None:
    want, have = wanted.get(key), seen.get(key)
    expected = want.expect() if want else None  # nothing is expected of what is to go
    differing = diff.differs(expected, have)
    if not differing or (expected is None and have is None):
        return None
    steps = tuple(provider.converge(want, have, differing))
    if want is None and not steps:
        return None  # shared with other apps: seen, and not this app's to remove
    return Change(
        address=f"{provider.name}/{host.name}/{key}",
        action=_action(expected, have),
        host=host.name,
        cause=provider.cause(world, want, have, differing),
        fields=diff.shown(expected, have, MANY),
        steps=steps,
        relies=diff.relied(have, world.seal),
        base=any(fnmatchcase(key, pattern) for pattern in provider.base),
    )


def _action(expected: Any, have: Any) -> Action:
    if expected is None:
        return "delete"
    return "create" if have is None else "update"
