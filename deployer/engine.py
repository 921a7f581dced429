"""The two ways through the house: plan = look, decide; apply = look, decide, act, look again.

The CLI and the pipeline step call these and nothing below them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deployer import obstacles, placement, planner, releases, source
from deployer.build.slug import Build, Buildpack
from deployer.facts import Facts
from deployer.failure import failure
from deployer.model import Event, Plan, Text
from deployer.problems import (
    InputError,
    Problem,
    StalePlanError,
    UnsettledError,
)
from deployer.providers import PROVIDERS
from deployer.releases import Keys
from deployer.sight import Sight, look_again
from deployer.source.buildpacks import buildpacks, commit
from deployer.spec import Spec
from deployer.world import Release, World

if TYPE_CHECKING:
    pass

Tell = Callable[[Event], None]


@dataclass(frozen=True)
class Decided:
    """A plan and the world it leads to."""

    plan: Plan
    world: World


def decide(spec: Spec, sight: Sight) -> Decided:
    """The World that the spec asks for, and what differs from it."""
    world = build_world(spec, sight)
    return Decided(planner.plan(world, PROVIDERS, sight.notes), world)


def build_world(spec: Spec, sight: Sight) -> World:
    """Pure but for fresh randomness where the app has no keys yet. Raises InputError."""
    app, facts = spec.fleet.app, sight.facts
    keys = _keys(spec, facts)
    config = {**spec.config, **{n: Text(keys.generated[n], secret=True) for n in spec.generated}}
    if lacking := source.missing(spec, platform=tuple(config)):
        raise InputError(lacking)
    if problems := obstacles.found(spec, sight.hosts, facts):
        raise InputError(problems)
    build = _build(spec)
    records = releases.seen(app, facts.values())
    release = _release(spec, build, releases.digests(config, keys.seal), records)
    return World(
        app=app,
        hosts=sight.hosts,
        facts=facts,
        stack=spec.stack,
        release=release,
        records=releases.kept(records, release),
        seats=placement.seats(spec.app, spec.fleet, sight.hosts, facts, release),
        base=placement.base(app, facts),
        network=spec.fleet.dyno_network,
        domains=spec.fleet.domains,
        allow=spec.fleet.allow,
        keys=keys.text(),
        sealed=releases.seen_keys(app, facts.values()) is not None,
        env=releases.env_file(config),
        config=config,
        build=build,
    )


def _keys(spec: Spec, facts: Mapping[str, Facts]) -> Keys:
    known = releases.seen_keys(spec.fleet.app, facts.values()) or Keys(secrets.token_hex(32), {})
    made = {n: known.generated.get(n) or secrets.token_hex(32) for n in spec.generated}
    return Keys(known.seal, {**known.generated, **made})


def _build(spec: Spec) -> Build:
    packs = tuple(Buildpack(name, tree) for name, tree in buildpacks())
    return Build(
        source=spec.tree,
        source_sha=spec.source_sha,
        stack=spec.stack,
        buildpacks=packs,
        detect=True,
        source_version=commit(spec.folder),
    )


def _release(spec: Spec, build: Build, config: Mapping[str, str], records: Mapping[int, Release]) -> Release:
    from deployer.remote.holding import who

    wanted = Release(
        number=0,
        slug=build.digest,
        stack=f"{spec.stack.name}.{spec.stack.digest}",
        processes=dict(sorted(spec.app.processes.items())),
        config=config,
        commit=build.source_version[:8],
    )
    before = releases.current(records)
    wanted = replace(wanted, why=releases.why(wanted, before), who=who(), when=_now())
    return releases.decide(wanted, records)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def gone(sight: Sight, spec: Spec) -> World:
    """The world without the app: what destroy leads to."""
    return World(
        app=spec.fleet.app,
        hosts=sight.hosts,
        facts=sight.facts,
        stack=spec.stack,
        release=None,
        records=(),
        seats=(),
        base=0,
        network=spec.fleet.dyno_network,
        allow=spec.fleet.allow,
    )


def apply(spec: Spec, sight: Sight, agreed: Plan, tell: Tell, lock_wait: int = 0) -> Decided:
    """Make `agreed` true and prove it. Raises for each row of the exit table but 0.

    Under the lock everything is looked at and decided anew; anything but the agreed plan is refused.
    """
    return _apply(spec, sight, agreed, tell, lock_wait, lambda s: decide(spec, s))


def destroy(spec: Spec, sight: Sight, agreed: Plan, tell: Tell, lock_wait: int = 0) -> Decided:
    """The same for the world without the app."""

    def nothing(now: Sight) -> Decided:
        world = gone(now, spec)
        return Decided(planner.plan(world, PROVIDERS), world)

    return _apply(spec, sight, agreed, tell, lock_wait, nothing)


def _apply(
    spec: Spec, sight: Sight, agreed: Plan, tell: Tell, wait: int, decided: Callable[[Sight], Decided]
) -> Decided:
    from deployer.remote.bootstrap import bootstrap
    from deployer.remote.holding import locked

    bootstrap(sight.links, sight.facts, tell)
    with locked(sight.links, f"apply {agreed.app} {agreed.release}", wait):
        now = look_again(sight, spec)
        fresh = any(not f.python for f in sight.facts.values())
        todo = decided(now)
        if todo.plan.digest != agreed.digest and not fresh:
            raise StalePlanError(_stale(agreed))
        return _act(spec, now, todo, tell, decided)


def _act(spec: Spec, sight: Sight, todo: Decided, tell: Tell, decided: Callable[[Sight], Decided]) -> Decided:
    from deployer.remote.converge import converge

    run = converge(sight.links, todo.plan, tell)
    run.event("look", say="look again")
    after = look_again(sight, spec)
    if run.failed:
        raise failure(after, todo, run, tell)
    left = decided(after)
    if not left.plan.empty:
        raise UnsettledError(_unsettled(left.plan))
    return left


def _stale(agreed: Plan) -> Problem:
    return Problem(
        "the hosts or the files have changed since this plan was made; nothing was changed",
        detail=f"the plan's digest was {agreed.digest[:12]}",
        hint="look at a new one: deploy plan",
    )


def _unsettled(plan: Plan) -> list[Problem]:
    hint = "run deploy plan to see it, and deploy apply to try again"
    return [
        Problem(f"{c.address} did not settle: {c.cause}", detail=_fields(c), hint=hint) for c in plan.changes
    ]


def _fields(change: object) -> str:
    rows = getattr(change, "fields", ())
    return "\n".join(f"{f.name}: {f.before} → {f.after}" for f in rows)
