"""What a command puts on the platform: one edit, on the app as it runs."""

from __future__ import annotations

from collections.abc import Mapping

from deployer import (
    certificates,
    claims,
    drains,
    obstacles,
    placement,
    planner,
    platform,
    releases,
    rollback,
    rollout,
)
from deployer.decision import Decided, now
from deployer.model import Text
from deployer.platform import Edit
from deployer.problems import InputError, Problem
from deployer.providers import PROVIDERS
from deployer.providers.pages import ERROR, MAINTENANCE
from deployer.sight import Sight
from deployer.spec import Spec
from deployer.world import Release, World


def settled(spec: Spec, sight: Sight, edit: Edit, names: frozenset[str]) -> Decided:
    """What an edit of the platform changes for these providers; nothing is released or moved."""
    providers = tuple(p for p in PROVIDERS if p.name in names)
    world = _standing(spec, sight, edit)
    return Decided(planner.plan(world, providers, sight.notes), world, providers)


def _standing(spec: Spec, sight: Sight, edit: Edit) -> World:
    """The app as it runs, with an edited platform. Raises InputError for one that does not run yet."""
    app, facts = spec.fleet.app, sight.facts
    records = releases.seen(app, facts.values())
    release, keys = releases.current(records), releases.seen_keys(app, facts.values())
    if not release or not keys:
        raise InputError(Problem(f"{app} serves nothing yet", hint="release it first: deploy apply"))
    settings = platform.edited(releases.seen_platform(app, facts.values()), edit)
    claim = claims.of(spec.fleet, settings)
    if problems := obstacles.to_claims(app, claim, sight.hosts, facts):
        raise InputError(problems)
    seats = placement.present(app, facts)
    world = World(
        app=app,
        hosts=sight.hosts,
        facts=facts,
        stack=spec.stack,
        release=release,
        records=releases.kept(records, release),
        seats=seats,
        base=placement.base(app, facts),
        network=spec.fleet.dyno_network,
        claims=claim,
        allow=spec.fleet.allow,
        platform=settings,
        drains=drains.chosen(spec.drains, settings, keys.seal, spec.drain_ca),
        keys=keys.text(),
        sealed=True,
        config=_pages(app, release, sight),
        routing=spec.fleet.routing,
        health=spec.fleet.health,
        standing=frozenset(seat.key for seat in seats),
        lost=sight.lost,
    )
    return rollout.rolled(certificates.secured(world, spec, now()), spec.fleet.rollout)


def _pages(app: str, release: Release, sight: Sight) -> Mapping[str, Text]:
    """Of the config that the release runs with, what is in the routers' files."""
    if not {ERROR, MAINTENANCE} & release.config.keys():
        return {}
    return rollback.recalled(app, release, sight.hosts, sight.facts)
