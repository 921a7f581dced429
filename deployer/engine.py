"""The two ways through the house: plan = look, decide; apply = look, decide, act, look again.

The CLI and the pipeline step call these and nothing below them.
"""

from __future__ import annotations

from collections.abc import Callable

from deployer import planner
from deployer.decision import Decided, decide, gone
from deployer.events import Tell
from deployer.failure import failure
from deployer.model import Change, Plan, Sh, Stage, Step
from deployer.problems import DeployerError, Problem, StalePlanError, UnsettledError
from deployer.providers import PROVIDERS
from deployer.releases import APPS
from deployer.sight import Sight, look_again
from deployer.spec import Spec


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


def build(spec: Spec, sight: Sight, agreed: Plan, tell: Tell, lock_wait: int = 0) -> Decided:
    """Only what makes the slug, on the build host; nothing that serves is touched."""
    return _apply(spec, sight, agreed, tell, lock_wait, lambda s: building(spec, s))


def building(spec: Spec, sight: Sight) -> Decided:
    """The part of the whole plan that ends with the slug on the build host."""
    todo = decide(spec, sight)
    return Decided(todo.plan.until(todo.world.builder.name, Stage.BUILD), todo.world)


def purge_cache(spec: Spec, sight: Sight, tell: Tell, lock_wait: int = 0) -> None:
    """Have the next build begin with nothing (Heroku contract 7.3); a host that is fresh has no cache."""
    from deployer.remote.converge import converge
    from deployer.remote.holding import locked

    host = next((h.name for h in sight.hosts if "build" in h.roles and sight.facts[h.name].python), None)
    if host is None:
        return
    argv = ("rm", "-rf", "--one-file-system", "--", f"{APPS}/{spec.fleet.app}/cache")
    step = Step(Stage.PREPARE, "purge the build cache", Sh(argv))
    change = Change(f"slug/{host}/cache", "delete", host, "asked for", (), (step,))
    with locked(sight.links, f"purge the cache of {spec.fleet.app}", lock_wait):
        run = converge(sight.links, Plan(spec.fleet.app, "", (change,), 0, (host,)), tell)
    if run.failed:
        raise DeployerError(run.failed.values())


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

    run = converge(sight.links, todo.plan, tell, (todo.world.config or {}).values())
    run.event("look", say="look again")
    after = look_again(sight, spec)
    if run.failed:
        raise failure(after, todo, run, tell)
    left = decided(after)
    if not left.plan.empty:
        raise UnsettledError(_unsettled(left.plan))
    return left


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
