"""What should be: from the user's files and what was seen to a World, and to the plan that leads there."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from deployer import source
from deployer.engine.sight import Sight
from deployer.model.plan import Plan
from deployer.model.steps import Stage, Text
from deployer.planning import obstacles, planner, rollout
from deployer.problems import InputError, Problem
from deployer.providers import PROVIDERS
from deployer.providers.base import Provider
from deployer.source import data
from deployer.source.buildpacks import commit, shared
from deployer.spec import drains
from deployer.spec.packs import Buildpack, label
from deployer.spec.slug import Build, Slug
from deployer.spec.spec import Spec
from deployer.world import certificates, claims, placement, releases, rollback, slugs
from deployer.world.facts import Facts
from deployer.world.releases import Keys
from deployer.world.world import Release, Task, World


@dataclass(frozen=True)
class Decided:
    """A plan and the world it leads to."""

    plan: Plan
    world: World
    providers: tuple[Provider, ...] = PROVIDERS
    """Those that the plan asked: a command about one thing leaves the rest as it is."""


def decide(spec: Spec, sight: Sight) -> Decided:
    """The World that the spec asks for, and what differs from it."""
    world = build_world(spec, sight)
    expiring = certificates.notes(world.certificates.items(), certificates.clock(world.now))
    more = (*obstacles.notes(sight.hosts, sight.facts), *rollback.notes(spec, world.release), *expiring)
    return Decided(planner.plan(world, PROVIDERS, (*sight.notes, *more)), world)


def build_world(spec: Spec, sight: Sight) -> World:
    """Pure but for fresh randomness where the app has no keys yet. Raises InputError."""
    app, facts = spec.fleet.app, sight.facts
    records, settings = releases.seen(app, facts.values()), releases.seen_platform(app, facts.values())
    spec = rollback.returned(spec, records, sight.hosts, facts) if spec.to else spec
    keys = _keys(spec, facts)
    config = {**spec.config, **{n: Text(keys.generated[n], secret=True) for n in spec.generated}}
    claim, lacking = claims.of(spec.fleet, settings), source.missing(spec, platform=tuple(config))
    if problems := lacking or obstacles.in_the_way(spec, claim, sight.hosts, facts, now()):
        raise InputError(problems)
    spec, slug, build = _slug(spec, facts)
    release = _release(spec, slug, releases.digests(config, keys.seal), records)
    world = replace(
        bare(spec, sight),
        release=release,
        records=releases.kept(records, release, spec.to),
        seats=placement.seats(spec.app, spec.fleet, sight.hosts, facts, release),
        base=placement.base(app, facts),
        claims=claim,
        platform=settings,
        drains=drains.chosen(spec.drains, settings, keys.seal, spec.drain_ca),
        keys=keys.text(),
        sealed=releases.seen_keys(app, facts.values()) is not None,
        env=releases.env_file(config, releases.metadata(app, release, spec.fleet.default_domain)),
        config=config,
        build=build,
        tasks=_tasks(spec, release, records),
        health=spec.fleet.health,
        routing=spec.fleet.routing,
        routers=spec.fleet.with_role("router"),
    )
    return rollout.rolled(_told(certificates.secured(world, spec, now()), spec), spec.fleet.rollout)


def _told(world: World, spec: Spec) -> World:
    """With what the app's log says of whoever asks for it."""
    from deployer.remote.holding import who

    words = placement.in_words(placement.formation(spec.app, spec.fleet))
    return replace(world, who=who(), formation=words)


def _keys(spec: Spec, facts: Mapping[str, Facts]) -> Keys:
    known = releases.seen_keys(spec.fleet.app, facts.values()) or Keys(secrets.token_hex(32), {})
    made = {n: known.generated.get(n) or secrets.token_hex(32) for n in spec.generated}
    return Keys(known.seal, {**known.generated, **made})


def _slug(spec: Spec, facts: Mapping[str, Facts]) -> tuple[Spec, Slug, Build | None]:
    """The slug that is wanted, how it is made, and the spec with the processes and stack that go with it."""
    if spec.slug:
        return (*_promoted(spec, facts), None)
    build = build_of(spec)
    known = slugs.record(build.digest, facts) if spec.defaults is None else None
    processes = known.processes if known else spec.app.processes
    slug = Slug(build.digest, spec.stack.name, spec.stack.definition, processes, build.source_version)
    if known:
        _check_formation(spec, processes)
    return _with_processes(spec, processes), slug, build


def _check_formation(spec: Spec, processes: Mapping[str, str]) -> None:
    """For process types that only a build could tell, what the files say of them is checked only now."""
    unknown = sorted({*spec.app.formation, *spec.fleet.formation} - processes.keys())
    if unknown:
        summary = f"formation names {', '.join(unknown)}, which the slug does not have"
        raise InputError(Problem(summary, hint=f"The slug has {', '.join(sorted(processes))}."))


def build_of(spec: Spec) -> Build:
    """How the source of a spec becomes a slug. Raises InputError for buildpacks that cannot be fetched."""
    from deployer.remote.packs import fetched

    packs = fetched(spec.buildpacks)
    return Build(
        source=spec.tree,
        source_sha=spec.source_sha,
        stack=spec.stack,
        buildpacks=packs,
        shared=tuple(shared(packs)),
        source_version=commit(spec.folder),
        limits=spec.fleet.build,
    )


def _promoted(spec: Spec, facts: Mapping[str, Facts]) -> tuple[Spec, Slug]:
    """A slug that was built before, maybe for another app: its processes and its stack come with it."""
    slug = slugs.record(spec.slug, facts)
    if slug is None:
        raise InputError(_no_slug(spec, facts))
    stack = data.stack(slug.stack).model_copy(update={"updates": spec.fleet.stack_updates})
    if (stack.name, stack.definition) != (slug.stack, slug.definition):
        summary = (
            f"the slug {slug.digest} was built on {slug.stack} {slug.definition}, which is not known here"
        )
        raise InputError(Problem(summary, hint="build it again from its source: deploy build"))
    spec = replace(spec, stack=stack)
    if spec.to:
        return spec, slug
    _check_formation(spec, slug.processes)
    return _with_processes(spec, slug.processes), slug


def _no_slug(spec: Spec, facts: Mapping[str, Facts]) -> Problem:
    held = sorted({digest for seen in facts.values() for _, digest in slugs.held(seen)})
    hint = f"these are there: {', '.join(held)}" if held else "build one: deploy build"
    if spec.to:
        hint = "choose another release (deploy releases), or build its source anew: deploy apply"
    return Problem(f"no host of this fleet has the slug {spec.slug}", hint=hint)


def _with_processes(spec: Spec, processes: Mapping[str, str]) -> Spec:
    return replace(spec, app=spec.app.model_copy(update={"processes": dict(processes)}))


def has_unknown_types(spec: Spec, sight: Sight) -> bool:
    """Whether only a build can tell which process types the app has."""
    if spec.slug or spec.to:
        return False
    return spec.defaults is None and not slugs.record(build_of(spec).digest, sight.facts)


def unknown_types(spec: Spec) -> str:
    """What a reader of a plan must know while that is so."""
    others = [pack for pack in spec.buildpacks if not isinstance(pack, Buildpack) or not pack.ours]
    names = " and ".join(pack.name if isinstance(pack, Buildpack) else label(pack) for pack in others)
    return f"Which process types {names} may add is known once the app is built."


def _release(spec: Spec, slug: Slug, config: Mapping[str, str], records: Mapping[int, Release]) -> Release:
    from deployer.remote.holding import who

    wanted = Release(
        number=0,
        slug=slug.digest,
        stack=f"{spec.stack.name}.{spec.stack.digest}",
        processes=dict(sorted(spec.app.processes.items())),
        config=config,
        commit=slug.commit,
    )
    before = releases.current(records)
    wanted = replace(wanted, why=releases.why(wanted, before), who=who(), when=now())
    if spec.to:
        wanted = rollback.repeated(wanted, rollback.target(spec.to, records))
    return releases.decide(wanted, records)


def now() -> str:
    """ISO 8601, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _tasks(spec: Spec, release: Release, records: Mapping[int, Release]) -> tuple[Task, ...]:
    """The release phase of each release, and postdeploy with the first (Heroku contract 7.1, 1.5)."""
    if release.outcome != "pending":
        return ()
    commands = {(placement.RELEASE, Stage.RELEASE): release.processes.get(placement.RELEASE)}
    if releases.current(records) is None:
        commands["postdeploy", Stage.POSTDEPLOY] = spec.app.scripts.get("postdeploy")
    size = placement.size_of(placement.RELEASE, spec.app, spec.fleet)
    return tuple(
        Task(name, stage, command, size.memory, size.limit, size.pids)
        for (name, stage), command in commands.items()
        if command
    )


def gone(sight: Sight, spec: Spec) -> World:
    """The world without the app: what destroy leads to."""
    limits = spec.fleet.rollout.model_copy(update={"floor": None})
    return rollout.rolled(bare(spec, sight), limits)


def bare(spec: Spec, sight: Sight) -> World:
    """The hosts as they are seen, and what the fleet says of them, with nothing of the app's own."""
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
        metrics=spec.fleet.metrics,
        lost=sight.lost,
    )
