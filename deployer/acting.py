"""A plan under way: what is done about hosts that fail on the way, and how the end is proved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from deployer import planner
from deployer.decision import Decided
from deployer.events import Tell
from deployer.failure import failed_release, is_of_release
from deployer.model import Stage
from deployer.plan import Plan
from deployer.problems import (
    DeployerError,
    LockedError,
    PartlyAppliedError,
    Problem,
    StoppedError,
    UnsettledError,
)
from deployer.providers import PROVIDERS
from deployer.sight import Sight, look_again
from deployer.spec import Spec
from deployer.world import World

if TYPE_CHECKING:
    from deployer.remote.converge import Run
    from deployer.remote.stopping import Stop


@dataclass(frozen=True)
class Job:
    """Who asked for what: `decided` is the way from what is seen to the plan."""

    spec: Spec
    tell: Tell
    stop: Stop
    decided: Callable[[Sight], Decided]
    proof: bool = True


def act(job: Job, sight: Sight, todo: Decided) -> Decided:
    """Run the plan, look again and prove that it is true. Raises for most rows of the exit table."""
    run = _run(job, sight, todo)
    after = look_again(sight, job.spec)
    if run.failed:
        raise _failure(job, after, sight, todo, run)
    left = _settled(job, after, todo)
    if job.proof:
        _prove(job, after, left.world)
    return left


def act_only(job: Job, sight: Sight, todo: Decided) -> Sight:
    """Run a part of a plan; gives what is seen after it."""
    run = _run(job, sight, todo)
    after = look_again(sight, job.spec)
    if run.failed and is_of_release(todo.world, run):
        raise failed_release(after, sight, todo.world, run, job.tell)
    if run.failed:
        left = job.decided(_without(after, sight, frozenset()))
        raise PartlyAppliedError(run.failed.values(), left.plan)
    return after


def _run(job: Job, sight: Sight, todo: Decided) -> Run:
    from deployer.remote.converge import converge

    run = converge(sight.links, todo.plan, job.tell, (todo.world.config or {}).values(), job.stop)
    if run.stopped:
        raise _stopped(job.stop.why or "")
    run.event("look", say="look again")
    return run


def _stopped(why: str) -> DeployerError:
    if why != "interrupted":
        return LockedError(Problem(why, hint="what is left is the next plan: deploy plan"))
    summary = "interrupted; the step that was running is finished, and the lock is free"
    return StoppedError(Problem(summary, hint="what is left is the next plan: deploy plan"))


def _settled(job: Job, after: Sight, todo: Decided) -> Decided:
    """The next plan, which must be empty; and what this one promised must be what is read back."""
    left = job.decided(after)
    promised = planner.plan(replace(todo.world, facts=after.facts, hosts=after.hosts), PROVIDERS)
    plan = promised if left.plan.empty else left.plan
    if not plan.empty:
        raise UnsettledError(_unsettled(plan))
    return left


def _unsettled(plan: Plan) -> list[Problem]:
    hint = "run deploy plan to see it, and deploy apply to try again"
    return [
        Problem(
            f"{c.address} did not settle: {c.cause}",
            detail="\n".join(f"{f.name}: {f.before} → {f.after}" for f in c.fields),
            hint=hint,
        )
        for c in plan.changes
    ]


def _prove(job: Job, sight: Sight, world: World) -> None:
    from deployer.remote import proving

    if not world.seats:
        return
    proof = proving.prove(sight.links, world, job.tell)
    proving.keep(sight.links, world, proof)
    if not proof.ok:
        raise UnsettledError(proof.problems)


def _failure(job: Job, after: Sight, before: Sight, todo: Decided, run: Run) -> DeployerError:
    """A release that did not come up is undone; a host that failed ends only what depends on it."""
    if is_of_release(todo.world, run):
        return failed_release(after, before, todo.world, run, job.tell)
    failed, now = _go_on(job, after, before, dict(run.failed))
    problems = tuple(failed[name] for name in sorted(failed))
    left = job.decided(replace(now, lost=frozenset())).plan
    if failed.keys() < before.facts.keys():
        return PartlyAppliedError(problems, left)
    return DeployerError(problems)


def _go_on(
    job: Job, after: Sight, before: Sight, failed: dict[str, Problem]
) -> tuple[dict[str, Problem], Sight]:
    """All that can be done without the hosts that failed, until no other one fails."""
    while True:
        now = _without(after, before, frozenset(failed))
        todo = job.decided(now)
        plan = _bearable(todo)
        if plan.empty or now.lost >= before.facts.keys():
            return failed, now
        run = _run(job, now, replace(todo, plan=plan))
        after = look_again(before, job.spec)
        if not run.failed.keys() - failed.keys():
            return failed, _without(after, before, frozenset(failed))
        failed |= run.failed


def _without(after: Sight, before: Sight, lost: frozenset[str]) -> Sight:
    """Of a host that does not answer, what was seen of it last."""
    return replace(before, facts={**before.facts, **after.facts}, lost=lost)


def _bearable(todo: Decided) -> Plan:
    """Without a router that may still serve, what it serves stays; without all dynos of a type all stays."""
    world = todo.world
    if not world.lost:
        return todo.plan
    alive = {seat.type for seat in world.seats if seat.host not in world.lost}
    if {seat.type for seat in world.seats} - alive:
        return todo.plan.until(Stage.LOGS)
    if any("router" in host.roles for host in world.hosts if host.name in world.lost):
        return todo.plan.before(Stage.RETIRE)
    return todo.plan
