"""What is done about a release that does not come up: the one that served goes on alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from deployer import placement, planner, releases, rollout
from deployer.events import Tell
from deployer.facts import Facts
from deployer.fleet import Rollout as Limits
from deployer.model import Stage, Text
from deployer.plan import Plan
from deployer.problems import DeployerError, Problem, ReleaseFailedError
from deployer.providers import PROVIDERS
from deployer.providers.dynos import is_up
from deployer.sight import Sight, secret
from deployer.world import Release, World

if TYPE_CHECKING:
    from deployer.remote.converge import Run

DECISIVE = (Stage.BUILD, Stage.RELEASE, Stage.START, Stage.WATCH)
"""Where it is the release that fails, and not a host or its network."""
UNDONE_BY = ("release", "slug", "lxc", "nginx", "nftables")
LAST_LINES = 10


def is_of_release(world: World, run: Run) -> bool:
    """Whether a step that makes or breaks the new release said no; one that is silent or busy did not."""
    is_new = world.release is not None and world.release.outcome == "pending"
    return is_new and run.stage in DECISIVE and not run.addresses.keys().isdisjoint(run.failed)


def failed_release(after: Sight, before: Sight, world: World, run: Run, tell: Tell) -> DeployerError:
    """The error to raise, once what the failed release has begun is undone."""
    problems = tuple(run.failed[name] for name in sorted(run.failed))
    said = _last_words(after, world, run)
    has_begun = world.release is not None and world.release.number in _records(after, world)
    if has_begun:
        _restore(after, before, world, tell)
    return ReleaseFailedError((*problems, *said, _kept(after, world, has_begun)))


def _records(sight: Sight, world: World) -> dict[int, Release]:
    return releases.seen(world.app, sight.facts.values())


def _last_words(sight: Sight, world: World, run: Run) -> tuple[Problem, ...]:
    """The latest log lines of the dynos that did not come up, or did not stay up."""
    if run.stage not in (Stage.START, Stage.WATCH):
        return ()
    from deployer.remote.tail import last_lines

    names = sorted(_silent(sight.facts, world, run))
    logs = [h.name for h in world.with_role("logplex") if h.name in sight.facts]
    lines = {name: last_lines(sight.links, logs, world.app, name, LAST_LINES) for name in names}
    return tuple(
        Problem(f"the last lines of {name}", detail="\n".join(lines[name]), severity="warning")
        for name in names
        if lines[name]
    )


def _silent(facts: Mapping[str, Facts], world: World, run: Run) -> set[str]:
    """Of the hosts that failed, the dynos that are down; all where a restart was faster than this look."""
    new = [seat for seat in world.seats if seat.host in run.failed and seat.host in facts]
    down = {seat.name for seat in new if not is_up(seat.key, facts[seat.host])}
    return down or {seat.name for seat in new}


def _restore(sight: Sight, before: Sight, world: World, tell: Tell) -> None:
    """The release that served goes on alone, and the failed one is recorded as such."""
    from deployer.remote.converge import converge

    undo = undoing(sight, before, world)
    converge(sight.links, undo, tell, (world.config or {}).values())


def undoing(sight: Sight, before: Sight, world: World) -> Plan:
    """From what a failed release has left to the one that served: its dynos, and those that had stopped."""
    records = _records(sight, world)
    bad = {
        n: replace(r, outcome="failed")
        for n, r in records.items()
        if world.release and n == world.release.number
    }
    old = releases.current(records)
    seats = placement.present(world.app, before.facts, old) if old else ()
    still = placement.present(world.app, sight.facts, old) if old else ()
    back = replace(
        world,
        hosts=sight.hosts,
        facts=sight.facts,
        release=old,
        records=releases.kept({**records, **bad}, old),
        seats=tuple(seat for seat in seats if seat.host in sight.facts),
        standing=frozenset(seat.key for seat in still),
        build=None,
        env=_env(sight, world, old),
        tasks=(),
    )
    plan = planner.plan(rollout.rolled(back, Limits(watch=0, drain=world.rollout.drain)), PROVIDERS)
    return replace(plan, changes=tuple(c for c in plan.changes if c.address.split("/")[0] in UNDONE_BY))


def _env(sight: Sight, world: World, old: Release | None) -> Text | None:
    """The config vars of the old release, as a host keeps them."""
    path = f"{releases.APPS}/{world.app}/releases/{old.name}/env" if old else ""
    return secret(sight, path) if old else None


def _kept(sight: Sight, world: World, had_begun: bool) -> Problem:
    old = releases.current(_records(sight, world))
    if old is None and not had_begun:
        return Problem("nothing was released", hint="mend the build, then run the command again")
    if old is None:
        return Problem("the first release failed, and nothing serves yet", hint="deploy logs says more")
    hint = "deploy logs says why the new one failed" if had_begun else "what the build said is above"
    return Problem(f"{old.name} goes on serving", hint=hint, severity="warning")
