"""What a run that failed leaves behind: the release that served goes on alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from deployer import placement, planner, releases
from deployer.events import Tell
from deployer.model import Stage
from deployer.problems import DeployerError, PartlyAppliedError, Problem, ReleaseFailedError
from deployer.providers import PROVIDERS
from deployer.world import Release, Seat, World

if TYPE_CHECKING:
    from deployer.decision import Decided
    from deployer.remote.converge import Run
    from deployer.sight import Sight

DECISIVE = (Stage.BUILD, Stage.RELEASE, Stage.START)
"""Where it is the release that fails, and not a host or its network."""
UNDONE_BY = ("release", "slug", "lxc", "nginx", "nftables")


def failure(sight: Sight, todo: Decided, run: Run, tell: Tell) -> DeployerError:
    """What a failed run is to its user: a release that did not come up is undone first."""
    problems = tuple(run.failed[name] for name in sorted(run.failed))
    release = todo.world.release
    if release and release.outcome == "pending" and run.stage in DECISIVE:
        has_begun = _has_begun(sight, todo.world.app, release)
        if has_begun:
            _restore(sight, todo.world, release, tell)
        return ReleaseFailedError((*problems, _kept(sight, todo.world, has_begun)))
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
        tasks=(),
    )
    undo = planner.plan(back, PROVIDERS)
    only = tuple(c for c in undo.changes if c.address.split("/")[0] in UNDONE_BY)
    converge(sight.links, replace(undo, changes=only), tell, (world.config or {}).values())


def _old_seats(sight: Sight, world: World, old: Release | None) -> tuple[Seat, ...]:
    return placement.present(world.app, sight.facts, old) if old else ()


def _kept(sight: Sight, world: World, had_begun: bool) -> Problem:
    old = releases.current(releases.seen(world.app, sight.facts.values()))
    if old is None and not had_begun:
        return Problem("nothing was released", hint="mend the build, then run the command again")
    if old is None:
        return Problem("the first release failed, and nothing serves yet", hint="deploy logs says more")
    hint = "deploy logs says why the new one failed" if had_begun else "what the build said is above"
    return Problem(f"{old.name} goes on serving", hint=hint, severity="warning")
