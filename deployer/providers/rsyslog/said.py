"""What an app's log says of what somebody had the platform do: lines of `app[api]` (contract 3.12)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from deployer.model.steps import Sh, Stage, Step
from deployer.providers.host import BIN
from deployer.world.facts import Facts
from deployer.world.placement import present
from deployer.world.releases import APPS
from deployer.world.world import Release, Seat, World, once

MARK = "said"
"""A file beside a release's record, or the app's: what was said last, so that it is said once in a fleet."""


def step(stage: Stage, app: str, line: str, mark: str = "", wave: int = 0) -> Step:
    """`log-say` on the host; `mark` is the file that then tells the next plan."""
    argv = (f"{BIN}/log-say", app, line, *((mark,) if mark else ()))
    return Step(stage, f"say in the log: {line}", Sh(argv), wave=wave)


def of_release(release: Release) -> tuple[str, ...]:
    """Why there is a release, and that there is one."""
    return tuple(f"{what} by user {release.who}" for what in (release.why, f"Release {release.name} created"))


def scale_mark(app: str) -> str:
    return f"{APPS}/{app}/{MARK}"


@once
def of_scale(world: World) -> Mapping[str, str]:
    """The line of another scale, by `host/key` of the dyno before whose start or stop it is said.

    None where the scale is as it was, or was said by an apply that died.
    """
    there = present(world.app, world.facts)
    if not world.formation or _scale(world.seats) == _scale(there):
        return {}
    line = f"Scaled to {world.formation} by user "
    is_said = _last(world.app, world.facts.values()).startswith(line)
    return {} if is_said else {_first(world, there): line + world.who}


def _first(world: World, before: Iterable[Seat]) -> str:
    """The first that another scale starts, else stops."""
    there = {f"{seat.host}/{seat.key}": seat.memory for seat in before}
    wanted = {f"{seat.host}/{seat.key}": seat.memory for seat in world.seats if seat.host not in world.lost}
    starts = sorted(place for place in wanted if wanted[place] != there.get(place))
    return next(iter((*starts, *sorted(there.keys() - wanted.keys()))), "")


def _scale(seats: Iterable[Seat]) -> set[tuple[str, int, int]]:
    return {(seat.type, seat.n, seat.memory) for seat in seats}


def _last(app: str, facts: Iterable[Facts]) -> str:
    """What a host said last of a scale: each mark begins with the second of it, or was damaged."""
    marks = (host.texts.get(scale_mark(app), "") for host in facts)
    pairs = (mark.strip().partition(" ") for mark in marks if mark)
    return max(((int(at), line) for at, _, line in pairs if at.isdecimal()), default=(0, ""))[1]
