"""A plan under way: what is done about hosts that fail on the way, and how the end is proved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from deployer.engine.decision import Decided
from deployer.engine.failure import failed_release, is_of_release
from deployer.engine.sight import Sight, look_again
from deployer.model.events import Tell
from deployer.model.plan import Plan
from deployer.model.steps import Fetch, Stage
from deployer.planning import planner
from deployer.problems import (
    DeployerError,
    InputError,
    LockedError,
    PartlyAppliedError,
    Problem,
    StoppedError,
    UnsettledError,
)
from deployer.providers.lxc.dynos import restarting
from deployer.spec.spec import Spec
from deployer.world.world import Rollout, World

if TYPE_CHECKING:
    from deployer.remote.run import Run
    from deployer.remote.stopping import Stop


Failed = Mapping[str, Problem]
"""Why, by host."""


@dataclass(frozen=True)
class Job:
    """Who asked for what: `decided` is the way from what is seen to the plan."""

    spec: Spec
    tell: Tell
    stop: Stop
    decided: Callable[[Sight], Decided]
    proof: bool = True
    lock: str = ""
    """The id of the lock that its steps need; a build needs none."""


Rest = Callable[[Job, Sight, Sight, Failed, bool], tuple[Failed, Sight]]
"""What is still done when hosts have failed: who has failed then, and what is seen."""


def act(job: Job, sight: Sight, todo: Decided) -> Decided:
    """Run the plan, look again and prove that it is true. Raises for most rows of the exit table."""
    after = _acted(job, sight, todo, _go_on)
    left = _settled(job, after, todo)
    if job.proof:
        _prove(job, after, left.world)
    return left


def act_only(job: Job, sight: Sight, todo: Decided, on: str = "") -> Sight:
    """Run a part of a plan; gives what is seen after it. Nothing else is done when a host fails.

    With `on` only that host counts: what another fails at now, it is asked for again by what comes after.
    """
    return _acted(job, sight, todo, _stay, on)


def _acted(job: Job, sight: Sight, todo: Decided, rest: Rest, on: str = "") -> Sight:
    run = _run(job, sight, todo)
    after = look_again(sight, job.spec)
    if is_of_release(todo.world, run):
        raise failed_release(after, sight, todo.world, run, job.spec.fleet, job.tell, job.lock)
    failed = {host: why for host, why in {**after.missed, **run.failed}.items() if on in ("", host)}
    if run.stopped:
        raise _stopped(job.stop, failed)
    if failed:
        is_refused = run.stage == Stage.ROUTE and bool(run.addresses)
        raise _partly(job, sight, *rest(job, after, sight, failed, is_refused))
    return after


def _run(job: Job, sight: Sight, todo: Decided) -> Run:
    from deployer.remote.converge import converge

    run = converge(sight.links, todo.plan, job.tell, todo.world.hidden, job.stop, job.lock)
    run.event("look", say="look again")
    return run


def _stopped(stop: Stop, failed: Failed) -> DeployerError:
    """What failed before is told too."""
    from deployer.remote.stopping import INTERRUPTED

    hint = "look at it: deploy plan"
    if stop.why != INTERRUPTED:
        why = Problem(stop.why or "the lock is held no longer", detail=stop.detail, hint=hint)
        return LockedError((*failed.values(), why))
    summary = "interrupted; the step that was running is finished, and the lock is free"
    return StoppedError((*failed.values(), Problem(summary, hint=hint)))


def _settled(job: Job, after: Sight, todo: Decided) -> Decided:
    """The next plan, which must be empty; and what this one promised must be what is read back."""
    left = job.decided(after)
    end = Rollout(routes=todo.world.rollout.routes)
    world = replace(todo.world, facts=after.facts, hosts=after.hosts, rollout=end)
    promised = planner.plan(world, todo.providers)
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
    if problems := (*proof.problems, *proving.keep(sight.links, world, proof)):
        raise UnsettledError(problems)


def _partly(job: Job, before: Sight, failed: Failed, now: Sight) -> DeployerError:
    """The remainder goes with it, as the plan that it is."""
    problems = tuple(failed[name] for name in sorted(failed))
    if failed.keys() >= before.facts.keys():
        return DeployerError(problems)
    try:
        return PartlyAppliedError(problems, job.decided(replace(now, lost=frozenset())).plan)
    except InputError as error:  # what is left has no plan as it stands; that comes after why
        return PartlyAppliedError((*problems, *error.problems))


def _stay(_job: Job, after: Sight, before: Sight, failed: Failed, _refused: bool) -> tuple[Failed, Sight]:
    return failed, _without(after, before, failed)


def _go_on(job: Job, after: Sight, before: Sight, failed: Failed, refused: bool) -> tuple[Failed, Sight]:
    """All that can be done without the hosts that failed, until no other one fails."""
    while True:
        now = _without(after, before, failed)
        try:
            todo = job.decided(now)
        except InputError:  # there is no way without them: the remainder says so
            return failed, now
        plan = bearable(todo, refused)
        if plan.empty or now.lost >= before.facts.keys():
            return failed, now
        run = _run(job, now, replace(todo, plan=plan))
        after = look_again(before, job.spec)
        if is_of_release(todo.world, run):
            seen = replace(after, missed={**after.missed, **failed})
            raise failed_release(seen, before, todo.world, run, job.spec.fleet, job.tell, job.lock)
        known, failed = failed, {**after.missed, **run.failed, **failed}
        if run.stopped:
            raise _stopped(job.stop, failed)
        if failed.keys() == known.keys():
            return failed, _without(after, before, failed)


def _without(after: Sight, before: Sight, failed: Failed) -> Sight:
    """Of a host that does not answer, what was seen of it last."""
    return replace(before, facts={**before.facts, **after.facts}, lost=frozenset(failed))


def bearable(todo: Decided, refused: bool = False) -> Plan:
    """What can be done while hosts are lost, and does no harm; `refused` says that a router took no new file.

    Nothing is fetched from a lost host. Nothing switches where all dynos of a type are on lost hosts, or
    where dynos would have to go that a lost router may still hand requests to.
    """
    world, plan = todo.world, todo.plan
    if not world.lost:
        return plan
    fetches = (s.act for c in plan.changes for s in c.steps if isinstance(s.act, Fetch))
    if any(act.source in world.lost for act in fetches):
        return plan.until(Stage.BUILD)
    if {seat.type for seat in world.seats} - {s.type for s in world.seats if s.host not in world.lost}:
        return plan.until(Stage.SHIP)
    if not any("router" in host.roles for host in world.hosts if host.name in world.lost):
        return plan.before(Stage.ROUTE) if refused else plan
    if len(world.rollout.waves) > 1 or restarting(world):
        return plan.until(Stage.SHIP)
    return plan.before(Stage.ROUTE if refused else Stage.RETIRE)
