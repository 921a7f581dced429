"""What plan, apply and build begin with: the files, one look at the hosts, and what follows from both."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from deployer.cli import options as o

if TYPE_CHECKING:
    from pathlib import Path

    from deployer.engine.decision import Decided
    from deployer.engine.sight import Sight
    from deployer.spec.spec import Spec


def seen(
    folder: Path,
    environment: str | None,
    without: list[str] | None,
    accept_new: bool,
    slug: str = "",
    buildpacks: list[str] | None = None,
    to: str = "",
) -> tuple[Spec, Sight]:
    from deployer.engine.sight import look
    from deployer.world.rollback import pinned

    spec = o.load(folder, environment, tuple(buildpacks or ()), slug, to)
    if accept_new:
        _pin(spec)
    sight = look(spec, tuple(without or ()))
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


def built_first(spec: Spec, sight: Sight, as_json: bool, lock_wait: int) -> Sight:
    """The build comes before the plan where only a build can tell which process types there are."""
    from deployer.engine import engine
    from deployer.engine.decision import has_unknown_types, unknown_types
    from deployer.engine.sight import look_again
    from deployer.views import text

    if not has_unknown_types(spec, sight):
        return sight
    text.show(f"{unknown_types(spec)} So the build comes first, and then the plan.", err=True)
    agreed = engine.building(spec, sight).plan
    engine.build(spec, sight, engine.Order(agreed, o.teller(as_json), lock_wait))
    return look_again(sight, spec)


def _pin(spec: Spec) -> None:
    from deployer.remote.hostkeys import pin
    from deployer.views import text

    for line in pin(spec.fleet.hosts, spec.fleet.known_hosts):
        text.show(line, err=True)
