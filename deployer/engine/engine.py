"""The two ways through the house: plan = look, decide; apply = look, decide, act, look again.

The CLI and the pipeline step call these and nothing below them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from deployer.engine.acting import Job, act, act_only
from deployer.engine.decision import Decided, decide, gone
from deployer.engine.sight import Sight, look_again
from deployer.model import stale
from deployer.model.events import Tell
from deployer.model.plan import Change, Plan
from deployer.model.steps import Sh, Stage, Step
from deployer.planning import planner
from deployer.problems import DeployerError, StalePlanError, UnreachableError
from deployer.providers import PROVIDERS
from deployer.spec.spec import Spec
from deployer.world.releases import APPS

if TYPE_CHECKING:
    from deployer.remote.stopping import Stop


BUILD_LOCK = "/var/lib/deployer/.build.lock"
"""Held by whoever builds on a host (slug/on_host/slug-build.py)."""


@dataclass(frozen=True)
class Order:
    """What the user has agreed to, and how it is to be done. `lock_wait` is in seconds."""

    agreed: Plan
    tell: Tell
    lock_wait: int = 0
    proof: bool = True
    exact: bool = False
    """Somebody has agreed to these very changes: not even one that is done meanwhile may be missing."""


def apply(spec: Spec, sight: Sight, order: Order) -> Decided:
    """Make the plan that was agreed to true and prove it. Raises for each row of the exit table but 0.

    Under the lock everything is looked at and decided anew; anything but the agreed plan is refused. A build
    comes first and has no lock: it changes nothing that serves, and it is long.
    """
    return _apply(spec, sight, order, lambda s: decide(spec, s))


def destroy(spec: Spec, sight: Sight, order: Order) -> Decided:
    """The same for the world without the app."""

    def nothing(now: Sight) -> Decided:
        world = gone(now, spec)
        return Decided(planner.plan(world, PROVIDERS), world)

    return _apply(spec, sight, replace(order, proof=False), nothing)


def change(spec: Spec, sight: Sight, order: Order, decided: Callable[[Sight], Decided]) -> Decided:
    """The same for a part of the world that a command is about (`settling.settled`)."""
    return _apply(spec, sight, replace(order, proof=False), decided)


def build(spec: Spec, sight: Sight, order: Order) -> Decided:
    """Only what makes the slug, on the build host; nothing that serves is touched."""
    from deployer.remote.bootstrap import bootstrap
    from deployer.remote.stopping import interruptible

    bootstrap(sight.links, sight.facts, order.tell)
    with interruptible(sight.links, order.tell) as stop:
        now = _build(spec, sight, order, stop, lambda s: building(spec, s))
    return building(spec, now)


def building(spec: Spec, sight: Sight) -> Decided:
    """The part of the whole plan that ends with the slug on the build host."""
    todo = decide(spec, sight)
    return Decided(_of_build(todo.plan, todo.world.builder.name), todo.world)


def purge_cache(spec: Spec, sight: Sight, tell: Tell, lock_wait: int = 0) -> None:
    """Have the next build begin with nothing (Heroku contract 7.3); a host that is fresh has no cache."""
    from deployer.remote.converge import converge
    from deployer.remote.holding import locked

    host = next((h.name for h in sight.hosts if "build" in h.roles and sight.facts[h.name].python), None)
    if host is None:
        return
    rm = ("rm", "-rf", "--one-file-system", "--", f"{APPS}/{spec.fleet.app}/cache")
    argv = ("flock", "-w", "300", BUILD_LOCK, *rm)
    step = Step(Stage.PREPARE, "purge the build cache", Sh(argv))
    change = Change(f"slug/{host}/cache", "delete", host, "asked for", (), (step,))
    plan = Plan(spec.fleet.app, "", (change,), 0, (host,))
    with locked(sight.links, f"purge the cache of {spec.fleet.app}", lock_wait, tell) as lock:
        run = converge(sight.links, plan, tell, lock=lock)
    if run.failed:
        raise DeployerError(run.failed.values())


def _apply(spec: Spec, sight: Sight, order: Order, decided: Callable[[Sight], Decided]) -> Decided:
    from deployer.remote.bootstrap import bootstrap
    from deployer.remote.holding import locked
    from deployer.remote.stopping import interruptible

    bootstrap(sight.links, sight.facts, order.tell)
    with interruptible(sight.links, order.tell) as stop:
        if any(step.stage == Stage.BUILD for change in order.agreed.changes for step in change.steps):
            sight = _build(spec, sight, order, stop, decided)
            order = replace(order, agreed=_without_build(order.agreed, decided(sight).plan))
        with locked(sight.links, _doing(order), order.lock_wait, order.tell, stop) as lock:
            now, todo = _decided_anew(spec, sight, order, decided)
            return act(Job(spec, order.tell, stop, decided, order.proof, lock), now, todo)


def _build(spec: Spec, sight: Sight, order: Order, stop: Stop, decided: Callable[[Sight], Decided]) -> Sight:
    """What a build stands on is put there under the lock; the build itself holds nobody up."""
    from deployer.remote.holding import locked

    job = Job(spec, order.tell, stop, decided, proof=False)
    with locked(sight.links, _doing(order), order.lock_wait, order.tell, stop) as lock:
        now, todo = _decided_anew(spec, sight, order, decided)
        builder = todo.world.builder.name
        part = _of_build(todo.plan, builder)
        base = part.until(Stage.IMAGE) if order.exact else _with_bases(part.until(Stage.IMAGE), todo.plan)
        act_only(replace(job, lock=lock), now, replace(todo, plan=base), on=builder)
    return act_only(job, now, replace(todo, plan=part.at(Stage.BUILD)))


def _with_bases(part: Plan, whole: Plan) -> Plan:
    """While the build host makes images, which is long, the other hosts get their packages and scripts."""
    if not part.at(Stage.IMAGE).changes:
        return part
    bases = (c for c in whole.changes if c.address.startswith("host/") and c.host not in part.hosts)
    return replace(part, changes=(*part.changes, *map(_at_image, bases)), hosts=whole.hosts)


def _at_image(change: Change) -> Change:
    return replace(change, steps=tuple(replace(step, stage=Stage.IMAGE) for step in change.steps))


def _of_build(plan: Plan, builder: str) -> Plan:
    """Records and keys are no part of it: nothing is released yet."""
    part = plan.on(builder).until(Stage.BUILD)
    changes = tuple(c for c in part.changes if not c.address.startswith("release/"))
    return replace(part, changes=changes)


def _without_build(agreed: Plan, now: Plan) -> Plan:
    """What is left when the build is done: it put things on its host that other steps would have seen to."""
    builders = {c.host for c in agreed.changes for s in c.steps if s.stage == Stage.BUILD}
    left = {c.address for c in now.changes}
    return replace(
        agreed, changes=tuple(c for c in agreed.changes if c.host not in builders or c.address in left)
    )


def _decided_anew(
    spec: Spec, sight: Sight, order: Order, decided: Callable[[Sight], Decided]
) -> tuple[Sight, Decided]:
    """Under the lock. Raises StalePlanError naming what moved; of a fresh host nothing was known."""
    now = look_again(sight, spec)
    if now.missed:
        raise UnreachableError(now.missed.values())
    todo = decided(now)
    was_fresh = any(not facts.python for facts in sight.facts.values())
    agreed = order.agreed.as_dict()
    is_left = not order.exact and stale.is_remainder(agreed, todo.plan)
    if not (was_fresh or is_left) and (problems := stale.moved(agreed, todo.plan)):
        raise StalePlanError(problems)
    return now, todo


def _doing(order: Order) -> str:
    return f"apply {order.agreed.app} {order.agreed.release}".strip()
