"""What a command puts on the platform: one edit, on the app as it runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from deployer.engine.decision import Decided, bare, now
from deployer.engine.sight import Sight
from deployer.model.steps import Text
from deployer.planning import obstacles, planner
from deployer.problems import InputError, Problem
from deployer.providers import PROVIDERS, nginx
from deployer.providers.nginx.pages import ERROR, MAINTENANCE
from deployer.spec import drains, platform
from deployer.spec.fleet import Host
from deployer.spec.platform import Edit
from deployer.spec.spec import Spec
from deployer.world import certificates, claims, placement, releases, rollback
from deployer.world.facts import Facts
from deployer.world.world import Release, Rollout, World


def settled(spec: Spec, sight: Sight, edit: Edit, names: frozenset[str]) -> Decided:
    """What an edit of the platform changes for these providers; nothing is released or moved."""
    providers = tuple(p for p in PROVIDERS if p.name in names)
    world = _standing(spec, sight, edit)
    return Decided(planner.plan(world, providers, sight.notes), world, providers)


def _standing(spec: Spec, sight: Sight, edit: Edit) -> World:
    """The app as it runs, what routers lead to included. Raises InputError for one that does not run yet."""
    app, facts = spec.fleet.app, sight.facts
    records = releases.seen(app, facts.values())
    release, keys = releases.current(records), releases.seen_keys(app, facts.values())
    if not release or not keys:
        raise InputError(Problem(f"{app} serves nothing yet", hint="release it first: deploy apply"))
    before = releases.seen_platform(app, facts.values())
    settings, hosts = platform.edited(before, edit), tuple(_as_they_are(app, sight))
    routers = [facts[host.name] for host in hosts if "router" in host.roles]
    claim = claims.standing(app, spec.fleet, before, settings, routers)
    if problems := obstacles.to_claims(app, claim, hosts, facts):
        raise InputError(problems)
    seats = placement.present(app, facts)
    world = replace(
        bare(spec, sight),
        hosts=hosts,
        release=release,
        records=releases.kept(records, release),
        seats=seats,
        base=placement.base(app, facts),
        claims=claim,
        platform=settings,
        drains=drains.chosen(spec.drains, settings, keys.seal, spec.drain_ca),
        keys=keys.text(),
        sealed=True,
        config=_pages(app, release, sight),
        routing=spec.fleet.routing,
        health=spec.fleet.health,
        standing=frozenset(seat.key for seat in seats),
        rollout=Rollout(routes=_routes(app, routers)),
    )
    return certificates.secured(world, spec, now())


def _routes(app: str, routers: Iterable[Facts]) -> Mapping[str, str]:
    return next((routes for facts in routers if (routes := nginx.served(app, facts))), {})


def _as_they_are(app: str, sight: Sight) -> Iterator[Host]:
    """The hosts that the app was applied to; a router is one that serves it, whatever the files say."""
    for host in sight.hosts:
        facts = sight.facts[host.name]
        serves = facts.sha(nginx.SITE.format(app)) or claims.path(app) in facts.texts
        if facts.document(f"{releases.APPS}/{app}/app.json"):
            roles = host.roles - {"router"} | ({"router"} if serves else set())
            yield host.model_copy(update={"roles": roles})


def _pages(app: str, release: Release, sight: Sight) -> Mapping[str, Text]:
    """Of the config that the release runs with, what is in the routers' files."""
    if not {ERROR, MAINTENANCE} & release.config.keys():
        return {}
    return rollback.recalled(app, release, sight.hosts, sight.facts)
