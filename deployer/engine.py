"""The two ways through the house: plan = look, decide; apply = look, decide, act, look again.

The CLI and the pipeline step call these and nothing below them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from deployer import placement, planner, releases, source
from deployer.build.slug import Build, Buildpack
from deployer.facts import Facts
from deployer.fleet import Host
from deployer.model import Event, Plan, Stage, Text
from deployer.problems import (
    DeployerError,
    InputError,
    PartlyAppliedError,
    Problem,
    ReleaseFailedError,
    StalePlanError,
    UnreachableError,
    UnsettledError,
)
from deployer.providers import PROVIDERS
from deployer.releases import Keys
from deployer.source.buildpacks import buildpacks, commit
from deployer.spec import Spec
from deployer.world import Release, Seat, World

if TYPE_CHECKING:
    from deployer.remote.connect import Links
    from deployer.remote.converge import Run

Tell = Callable[[Event], None]
DECISIVE = (Stage.BUILD, Stage.RELEASE, Stage.START)
"""Where it is the release that fails, and not a host or its network."""


@dataclass(frozen=True)
class Sight:
    """What one look at a fleet gave, and the connections to act on it."""

    links: Links
    facts: Mapping[str, Facts]
    hosts: tuple[Host, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Decided:
    """A plan and the world it leads to."""

    plan: Plan
    world: World


def look(spec: Spec, without: tuple[str, ...] = ()) -> Sight:
    """Connect to all hosts and read their facts. Raises UnreachableError naming all that are missing.

    Hosts that the app was on and that left fleet.json are looked at too, with no role: so they are drained.
    """
    hosts = tuple(h for h in spec.fleet.hosts if h.name not in without)
    sight, lost = _see(spec, hosts)
    if not lost and (left := departing(spec, sight.facts, without)):
        sight.links.close()
        sight, lost = _see(spec, (*hosts, *left))
        gone_for_good = {h.name for h in left} & lost.keys()
        notes = tuple(
            f"{name} left fleet.json and does not answer: its dynos are taken to be gone"
            for name in gone_for_good
        )
        present = tuple(h for h in sight.hosts if h.name not in gone_for_good)
        lost = {name: problem for name, problem in lost.items() if name not in gone_for_good}
        sight = replace(sight, hosts=present, notes=notes)
    if lost:
        sight.links.close()
        raise UnreachableError(_named(problem) for problem in lost.values())
    return sight


def _see(spec: Spec, hosts: tuple[Host, ...]) -> tuple[Sight, Mapping[str, Problem]]:
    from deployer.remote.connect import connect
    from deployer.remote.observe import observe

    links = connect(hosts, spec.fleet.known_hosts)
    seen = observe(links, planner.probe(PROVIDERS, spec.fleet.app))
    return Sight(links, seen.facts, hosts), seen.lost


def departing(spec: Spec, facts: Mapping[str, Facts], without: tuple[str, ...]) -> tuple[Host, ...]:
    """Hosts that the app's record on the others names and fleet.json no longer does."""
    known = {h.name for h in spec.fleet.hosts} | set(without)
    path = f"{releases.APPS}/{spec.fleet.app}/app.json"
    records = [facts[name].document(path).get("hosts", {}) for name in sorted(facts)]
    found = {name: row for record in records for name, row in record.items() if name not in known}
    key = next((h.key for h in spec.fleet.hosts if h.key), None)
    rows = ((name, found[name]) for name in sorted(found))
    return tuple(
        Host(name=name, address=row["address"], port=row["port"], user=row["user"], key=key, mesh=row["mesh"])
        for name, row in rows
    )


def _named(problem: Problem) -> Problem:
    return replace(problem, hint=f"{problem.hint}; or go on without it: --without HOST")


def look_again(sight: Sight, spec: Spec) -> Sight:
    """The same hosts over the same connections, as they are now."""
    from deployer.remote.observe import observe

    seen = observe(sight.links, planner.probe(PROVIDERS, spec.fleet.app))
    return replace(sight, facts=seen.facts, hosts=tuple(h for h in sight.hosts if h.name in seen.facts))


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
        raise _failure(spec, after, todo, run, tell)
    left = decided(after)
    if not left.plan.empty:
        raise UnsettledError(_unsettled(left.plan))
    return left


def _failure(spec: Spec, sight: Sight, todo: Decided, run: Run, tell: Tell) -> DeployerError:
    """What a failed run is to its user: a release that did not come up is undone first."""
    problems = tuple(run.failed[name] for name in sorted(run.failed))
    release = todo.world.release
    if release and release.outcome == "pending" and run.stage in DECISIVE:
        if _has_begun(sight, todo.world.app, release):
            _restore(sight, todo.world, release, tell)
        return ReleaseFailedError((*problems, _kept(sight, todo.world)))
    return PartlyAppliedError(problems) if run.failed.keys() < sight.facts.keys() else DeployerError(problems)


def _has_begun(sight: Sight, app: str, release: Release) -> bool:
    return release.number in releases.seen(app, sight.facts.values())


def _restore(sight: Sight, world: World, failed: Release, tell: Tell) -> None:
    """The release that served goes on alone, and the failed one is recorded as such."""
    from deployer.remote.converge import converge

    records = releases.seen(world.app, sight.facts.values())
    bad = replace(failed, outcome="failed")
    old = releases.current(records)
    back = replace(
        world,
        hosts=sight.hosts,
        facts=sight.facts,
        release=old,
        records=releases.kept({**records, bad.number: bad}, old),
        seats=_old_seats(sight, world, old),
        build=None,
        env=None,
    )
    undo = planner.plan(back, PROVIDERS)
    only = tuple(
        c for c in undo.changes if c.address.split("/")[0] in ("release", "lxc", "nginx", "nftables")
    )
    converge(sight.links, replace(undo, changes=only), tell)


def _old_seats(sight: Sight, world: World, old: Release | None) -> tuple[Seat, ...]:
    return placement.present(world.app, sight.facts, old) if old else ()


def _kept(sight: Sight, world: World) -> Problem:
    old = releases.current(releases.seen(world.app, sight.facts.values()))
    if old is None:
        return Problem("the first release failed, and nothing serves yet", hint="deploy logs says more")
    return Problem(
        f"{old.name} goes on serving", hint="deploy logs says why the new one failed", severity="warning"
    )


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
