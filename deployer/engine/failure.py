"""What is done about a release that does not come up: the one that served goes on alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from deployer.engine.sight import Sight, secret
from deployer.model.events import Event, Tell
from deployer.model.plan import Plan
from deployer.model.steps import Stage, Text
from deployer.planning import planner, rollout
from deployer.problems import DeployerError, Problem, ReleaseFailedError
from deployer.providers import PROVIDERS
from deployer.providers.lxc.dynos import is_up
from deployer.spec.fleet import Fleet
from deployer.spec.fleet import Rollout as Limits
from deployer.world import placement, releases
from deployer.world.facts import Facts
from deployer.world.world import Release, Seat, World

if TYPE_CHECKING:
    from deployer.remote.run import Run

DECISIVE = {Stage.BUILD: "slug", Stage.RELEASE: "task", Stage.START: "lxc", Stage.WATCH: "release"}
"""Whose step at which stage speaks for the release, and not for its host or network."""
UNDONE_BY = ("release", "slug", "lxc", "nginx", "nftables")
LAST_LINES = 10


def is_of_release(world: World, run: Run) -> bool:
    """Whether a step that makes or breaks the new release said no; a host that fell silent did not."""
    is_new = world.release is not None and world.release.outcome == "pending"
    speaker = DECISIVE.get(run.stage) if run.stage else None
    return is_new and any(address.split("/")[0] == speaker for address in run.addresses.values())


def failed_release(
    after: Sight, before: Sight, world: World, run: Run, fleet: Fleet, tell: Tell, lock: str = ""
) -> DeployerError:
    """The error to raise, once what the failed release has begun is undone. It tells of missing hosts too."""
    failed = {**after.missed, **run.failed}
    problems = tuple(failed[name] for name in sorted(failed))
    said = _last_words(after, world, run)
    has_begun = world.release is not None and world.release.number in _records(after, world)
    undone = _restore(after, before, world, fleet, tell, lock) if has_begun else ()
    return ReleaseFailedError((*problems, *said, *(undone or (_kept(after, world, has_begun),))))


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


def _restore(
    sight: Sight, before: Sight, world: World, fleet: Fleet, tell: Tell, lock: str
) -> tuple[Problem, ...]:
    """The release that served goes on alone, and the failed one is recorded so; what went wrong with that."""
    from deployer.remote.converge import converge

    old = releases.current(_records(sight, world))
    env = _env(sight, world, old)
    secrets = (Text(value, secret=True) for value in releases.read_env(env.reveal()).values()) if env else ()
    undo = undoing(sight, before, world, env, fleet)
    tell(Event("undo", say=f"undo what {world.release.name if world.release else 'the release'} has begun"))
    run = converge(sight.links, undo, tell, (*(world.config or {}).values(), *secrets), lock=lock)
    return tuple(run.failed[name] for name in sorted(run.failed))


def undoing(sight: Sight, before: Sight, world: World, env: Text | None, fleet: Fleet) -> Plan:
    """From what a failed release has left to the one that served: its dynos, and those that had stopped.

    `env` are the config vars of the old release. Hosts that no longer answer keep what they have.
    """
    facts = {**before.facts, **sight.facts}
    records = _records(sight, world)
    failed = world.release.number if world.release else 0
    bad = {n: replace(r, outcome="failed") for n, r in records.items() if n == failed}
    old = releases.current(records)
    still = placement.present(world.app, facts, old) if old else ()
    back = replace(
        world,
        hosts=before.hosts,
        facts=facts,
        lost=frozenset(facts.keys() - sight.facts.keys()),
        release=old,
        records=releases.kept({**records, **bad}, old),
        seats=_old_seats(before, facts, world, old, fleet) if old else (),
        standing=frozenset(seat.key for seat in still),
        build=None,
        formation="",
        env=env,
        tasks=(),
    )
    limits = Limits(watch=0, drain=world.rollout.drain)
    back = rollout.rolled(back, limits)
    plan = planner.plan(back, PROVIDERS)
    undo = replace(plan, changes=tuple(c for c in plan.changes if c.address.split("/")[0] in UNDONE_BY))
    return undo.before(Stage.RETIRE) if _are_led_to(back) else undo


def _are_led_to(world: World) -> bool:
    """Whether a lost router may lead to the failed dynos, which can stay: none has to make room."""
    is_lost = any(host.name in world.lost for host in world.with_role("router"))
    return is_lost and len(world.rollout.waves) < 2


def _old_seats(
    before: Sight, facts: Mapping[str, Facts], world: World, old: Release, fleet: Fleet
) -> tuple[Seat, ...]:
    """Those that were there before this run, and one for each that an earlier run had stopped already."""
    seats = placement.present(world.app, before.facts, old)
    if world.release is None or world.release.number not in _records(before, world):
        return seats
    places = {(seat.type, seat.n) for seat in seats}
    gone = [s for s in world.seats if s.type in old.processes and (s.type, s.n) not in places]
    return (*seats, *placement.anew(gone, old, before.hosts, facts, fleet))


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
