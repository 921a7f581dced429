"""What commands begin with: the files, one look at the hosts, and what follows from both."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from deployer.cli.telling import acting

if TYPE_CHECKING:
    from deployer.cli import options as o
    from deployer.engine.decision import Decided
    from deployer.engine.sight import Sight
    from deployer.spec.platform import Platform
    from deployer.spec.spec import Spec


def known(told: o.Files) -> Spec:
    """The spec for whoever builds nothing: source that is wrong is no reason not to look, or to leave."""
    from deployer import source

    return source.load(told.folder, told.environment, builds=False)


def load(told: o.Files, buildpacks: tuple[str, ...] = (), slug: str = "", to: str = "") -> Spec:
    """The spec, with its warnings on standard error."""
    from deployer import source
    from deployer.problems import InputError, Problem
    from deployer.views import text

    if slug and to:
        hint = "leave one of them out: a release brings the slug that it had"
        raise InputError(Problem("--slug and --to ask for two different things", hint=hint))
    spec = source.load(told.folder, told.environment, buildpacks, slug, to=to)
    for warning in spec.warnings:
        text.show(text.problem(warning, text.terminal(err=True)), err=True)
    return spec


def look(told: o.Look, spec: Spec) -> Sight:
    """One look at the hosts, but for those to go on without."""
    from deployer.engine import sight

    return sight.look(spec, tuple(told.without or ()))


def looked(told: o.Look, spec: Spec) -> tuple[Sight, Platform]:
    """One look, and what commands have put on the platform until now."""
    from deployer.world.releases import seen_platform

    sight = look(told, spec)
    return sight, seen_platform(spec.fleet.app, sight.facts.values())


def seen(
    told: o.Look,
    accept_new: bool = False,
    slug: str = "",
    to: str = "",
    buildpacks: list[str] | None = None,
    compares: bool = False,
) -> tuple[Spec, Sight]:
    """Files and hosts, for whoever makes a release."""
    from deployer.world.rollback import pinned

    spec = replace(load(told, tuple(buildpacks or ()), slug, to), compares=compares)
    if accept_new:
        _pin(spec)
    sight = look(told, spec)
    return pinned(spec, sight.facts), sight


def decided(spec: Spec, sight: Sight) -> Decided:
    """The plan; it says so where only a build can tell some process types. Raises InputError for none."""
    from deployer.engine.decision import decide, has_unknown_types, unknown_types
    from deployer.problems import InputError, Problem

    if not has_unknown_types(spec, sight):
        return decide(spec, sight)
    if not spec.app.processes:
        raise InputError(
            Problem(unknown_types(spec), hint="deploy build, then deploy plan; deploy apply does both")
        )
    return decide(spec, replace(sight, notes=(*sight.notes, unknown_types(spec))))


def built_first(told: o.Act, spec: Spec, sight: Sight) -> Sight:
    """The build comes before the plan where only a build can tell which process types there are."""
    from deployer.engine import engine
    from deployer.engine.decision import has_unknown_types, unknown_types
    from deployer.engine.sight import look_again
    from deployer.views import text

    if not has_unknown_types(spec, sight):
        return sight
    text.show(f"{unknown_types(spec)} So the build comes first, and then the plan.", err=True)
    with acting(told, engine.building(spec, sight).plan) as order:
        engine.build(spec, sight, order)
    return look_again(sight, spec)


def _pin(spec: Spec) -> None:
    from deployer.remote.hostkeys import pin
    from deployer.views import text

    for line in pin(spec.fleet.hosts, spec.fleet.known_hosts):
        text.show(line, err=True)
