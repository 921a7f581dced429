"""An apply without a network: the real way through the house on simulated machines, and what goes wrong on it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from fleets import Fleet
from machine import Refused

from deployer.engine import acting, decision, engine
from deployer.engine.sight import Sight
from deployer.model.plan import Plan
from deployer.model.steps import Act, Barrier, Fetch, Stage
from deployer.problems import DeployerError, Problem
from deployer.remote import bootstrap, holding, observe, stopping
from deployer.spec.spec import Spec
from deployer.world.facts import Probe

FINE, NO, SILENT, STOP = "fine", "no", "silent", "stop"


class Killed(Exception):
    """Whoever applies dies before a step."""


class At(NamedTuple):
    """A step that is about to be done."""

    host: str
    stage: Stage
    wave: int
    address: str
    say: str
    act: Act


Upset = Callable[[At], str]
"""What becomes of a step: it is FINE, the host says NO or falls SILENT, or somebody has it be the last: STOP."""


def nothing(_: At) -> str:
    return FINE


@dataclass
class Ran:
    """What `deployer.remote.converge.Run` says of a run."""

    failed: dict[str, Problem] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    addresses: dict[str, str] = field(default_factory=dict)
    stage: Stage | None = None
    stopped: bool = False

    def event(self, *_: object, **__: object) -> None:
        pass


@dataclass
class Applies:
    """Applies to one fleet. `begun` are all steps that hosts were told to do, `plans` what they were part of."""

    seen: Fleet
    upset: Upset = nothing
    watcher: Callable[[At, Plan], None] = lambda *_: None
    """Looks at the fleet before each step."""
    down: set[str] = field(default_factory=set)
    """Hosts that answer nothing any more."""
    blind: set[str] = field(default_factory=set)
    """Hosts that do not answer when they are looked at."""
    begun: list[At] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    stop: Any = field(default_factory=lambda: SimpleNamespace(why=None, detail=""))

    def sight(self, wanted: Spec) -> Sight:
        sight = self.seen.sight(wanted)
        return replace(sight, links=tuple(sight.facts))  # type: ignore[arg-type]

    def apply(self, wanted: Spec, upset: Upset = nothing) -> DeployerError | None:
        """What an apply under the lock ends with, None for the exit code 0. Everybody answers when it begins."""
        self._begin(upset)
        sight = self.sight(wanted)
        job = acting.Job(wanted, lambda _: None, self.stop, lambda s: decision.decide(wanted, s), proof=False)
        return ending(lambda: acting.act(job, sight, decision.decide(wanted, sight)))

    def order(
        self, wanted: Spec, *blind: str, upset: Upset = nothing, exact: bool = False
    ) -> DeployerError | None:
        """The same by way of the engine, where the `blind` answer no more once there is a plan."""
        self._begin(upset)
        sight = self.sight(wanted)
        order = engine.Order(decision.decide(wanted, sight).plan, lambda _: None, proof=False, exact=exact)
        self.blind.update(blind)
        return ending(lambda: engine.apply(wanted, sight, order))

    def _begin(self, upset: Upset) -> None:
        self.upset, self.stop.why = upset, None
        for last in (self.down, self.blind, self.begun, self.plans):
            last.clear()

    def observe(self, links: tuple[str, ...], probe: Probe) -> observe.Look:
        there = [name for name in links if name not in self.down | self.blind]
        lost = {name: Problem(f"the connection to {name} broke") for name in links if name not in there}
        return observe.Look({name: self.seen.machines[name].look(probe) for name in there}, lost)

    def converge(
        self, _: object, plan: Plan, __: object, hidden: object = (), stop: Any = None, lock: str = ""
    ) -> Ran:
        """Barrier after barrier; the first that fails anywhere is the last, and routers follow one another."""
        run, stop = Ran(), stop or SimpleNamespace(why=None)
        self.plans.append(plan)
        for barrier in plan.barriers():
            run.stopped = run.stopped or bool(stop.why)
            if run.failed or run.stopped:
                break
            run.stage = barrier[0]
            for host in plan.hosts:
                if not (run.failed and run.stage == Stage.ROUTE):
                    self._on_host(run, stop, host, barrier, plan)
        return run

    def _on_host(self, run: Ran, stop: Any, host: str, barrier: Barrier, plan: Plan) -> None:
        for address, step in plan.steps(host, *barrier):
            run.stopped = run.stopped or bool(stop.why)
            if run.stopped or host in run.failed:
                return
            self._step(run, stop, At(host, *barrier, address, step.say, step.act), plan)

    def _step(self, run: Ran, stop: Any, at: At, plan: Plan) -> None:
        self.begun.append(at)
        became = self.upset(at)
        if became == SILENT or at.host in self.down:
            self.down.add(at.host)
            run.lost.add(at.host)
            run.failed[at.host] = Problem(f"{at.host} fell silent")
        elif became == NO or (isinstance(at.act, Fetch) and at.act.source in self.down):
            run.addresses[at.host] = at.address
            run.failed[at.host] = Problem(f"{at.host} said no to: {at.say}")
        else:
            self.watcher(at, plan)
            self._do(run, at)
            stop.why = stopping.INTERRUPTED if became == STOP else stop.why

    def _do(self, run: Ran, at: At) -> None:
        try:
            self.seen.machines[at.host].act(at.act)
        except Refused as refused:
            run.addresses[at.host] = at.address
            run.failed[at.host] = Problem(str(refused))


def ending(apply: Callable[[], object]) -> DeployerError | None:
    try:
        apply()
    except DeployerError as error:
        return error
    return None


@contextmanager
def applies(seen: Fleet) -> Iterator[Applies]:
    """The engine acts on `seen` while this lasts. The real hands have gevent patch threads, which others use."""
    hands = Applies(seen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "deployer.remote.converge", SimpleNamespace(converge=hands.converge))
        patch.setitem(sys.modules, "deployer.remote.tail", SimpleNamespace(last_lines=lambda *_: []))
        patch.setattr(observe, "observe", hands.observe)
        patch.setattr(bootstrap, "bootstrap", lambda *_: None)
        patch.setattr(holding, "locked", lambda *_: nullcontext("lock"))
        patch.setattr(stopping, "interruptible", lambda *_: nullcontext(hands.stop))
        yield hands


def summaries(error: DeployerError | None) -> list[str]:
    return [problem.summary for problem in error.problems] if error else []


def on(stage: Stage, became: str, *hosts: str, say: str = "", of: str = "") -> Upset:
    """What becomes of the steps at a stage: on some hosts or all, that `say` so, of a change that ends so."""

    def upset(at: At) -> str:
        is_meant = at.stage == stage and at.host in (hosts or (at.host,))
        return became if is_meant and at.say.startswith(say) and at.address.endswith(of) else FINE

    return upset


def both(*upsets: Upset) -> Upset:
    """The first that is not fine."""
    return lambda at: next((became for upset in upsets if (became := upset(at)) != FINE), FINE)


def before(stage: Stage, say: str = "") -> Upset:
    """Whoever applies dies before the first step of a stage whose words begin with `say`."""

    def upset(at: At) -> str:
        if at.stage == stage and at.say.startswith(say):
            raise Killed
        return FINE

    return upset
