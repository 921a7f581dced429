"""A release that fails leaves the one that served, alone, and is recorded as failed."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from fleets import ALL, Fleet, fleet, in_order, spec

from deployer.engine import decision, failure
from deployer.model.events import Event
from deployer.model.plan import Plan
from deployer.model.steps import Sh, Stage, Text
from deployer.problems import Problem, ReleaseFailedError
from deployer.spec.spec import Spec
from deployer.world import releases
from deployer.world.world import Release

TASKS: dict[str, Any] = {"hosts": {"one": ALL, "two": "dynos"}, "scale": {"web": 2}, "postdeploy": "seed"}
TASKS["processes"] = {"web": "w", "release": "migrate"}


def fails(seen: Fleet, wanted: Spec, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An apply whose first step at `stage` fails, and what follows from that; None where no release failed."""

    def run(links: object, plan: Plan, *rest: object, **lock: object) -> SimpleNamespace:
        seen.run(plan)
        return SimpleNamespace(failed={})

    # the real ones have gevent patch threads for good, which other tests use
    monkeypatch.setitem(sys.modules, "deployer.remote.converge", SimpleNamespace(converge=run))
    addresses = {"one": f"{failure.DECISIVE.get(stage, 'x')}/one/step"}
    last = SimpleNamespace(last_lines=lambda *_: ["no such luck"])
    monkeypatch.setitem(sys.modules, "deployer.remote.tail", last)
    monkeypatch.setattr(failure, "secret", lambda _, path: Text(seen.machines["one"].text(path), secret=True))
    before = seen.sight(wanted)
    todo = decision.decide(wanted, before)
    seen.run(todo.plan, stop_after=[step.stage for _, step in in_order(todo.plan)].index(stage))
    failed = {"one": Problem("it broke")}
    broken: Any = SimpleNamespace(failed=failed, addresses=addresses, stage=stage)
    if not failure.is_of_release(todo.world, broken):
        return None
    told: list[Event] = []
    error = failure.failed_release(seen.sight(wanted), before, todo.world, broken, wanted.fleet, told.append)
    has_begun = any(release.outcome == "failed" for release in records(seen, wanted))
    assert [event.kind for event in told] == ["undo"] * has_begun
    return error


def records(seen: Fleet, wanted: Spec) -> list[Release]:
    return list(releases.seen("hello", seen.sight(wanted).facts.values()).values())


def outcomes(seen: Fleet, wanted: Spec) -> list[str]:
    return [f"{release.name} {release.outcome}" for release in records(seen, wanted)]


@pytest.mark.parametrize("stage", [Stage.RELEASE, Stage.START, Stage.WATCH])
def test_the_old_release_goes_on_alone(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, wanted = fleet(), spec(**TASKS, source="two")
    seen.apply(spec(**TASKS))
    before = {name: machine.dynos() for name, machine in seen.machines.items()}
    error = fails(seen, wanted, stage, monkeypatch)
    assert isinstance(error, ReleaseFailedError)
    summaries = [problem.summary for problem in error.problems]
    assert (summaries[0], summaries[-1]) == ("it broke", "v1 goes on serving")
    assert all(problem.detail == "no such luck" for problem in error.problems[1:-1])
    assert bool(error.problems[1:-1]) == (stage > Stage.RELEASE)
    assert outcomes(seen, wanted) == ["v1 succeeded", "v2 failed"]
    assert {name: machine.dynos() for name, machine in seen.machines.items()} == before
    assert seen.plan(spec(**TASKS)).empty
    assert seen.plan(wanted).release == "v3"


@pytest.mark.parametrize("stage", [Stage.RELEASE, Stage.START])
def test_a_first_release_that_fails_leaves_no_dyno(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, wanted = fleet(), spec(**TASKS)
    error = fails(seen, wanted, stage, monkeypatch)
    assert isinstance(error, ReleaseFailedError)
    assert outcomes(seen, wanted) == ["v1 failed"]
    assert [key for machine in seen.machines.values() for key in machine.dynos()] == []
    seen.apply(wanted)
    assert outcomes(seen, wanted) == ["v1 failed", "v2 succeeded"]
    assert seen.machines["one"].ran.count("seed") == 1


def test_before_it_has_begun_there_is_nothing_to_undo(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, wanted = fleet(), spec(**TASKS)
    error = fails(seen, wanted, Stage.BUILD, monkeypatch)
    assert isinstance(error, ReleaseFailedError)
    assert outcomes(seen, wanted) == []
    assert "nothing was released" in error.problems[-1].summary


def test_a_postdeploy_that_fails_is_run_again_and_the_release_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, wanted = fleet(), spec(**TASKS)
    error = fails(seen, wanted, Stage.POSTDEPLOY, monkeypatch)
    assert error is None
    assert outcomes(seen, wanted) == ["v1 pending"]
    rest = [step.say for _, step in in_order(seen.plan(wanted)) if isinstance(step.act, Sh)]
    assert "run postdeploy: seed" in rest
    seen.apply(wanted)
    assert seen.machines["one"].ran == ["migrate", "seed"]
