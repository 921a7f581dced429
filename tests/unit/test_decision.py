"""From files and facts to a world: slugs that hosts hold, what runs once, and how far a build goes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from fleets import ALL, fleet, in_order, spec

from deployer.engine import decision
from deployer.model.plan import Change, Plan
from deployer.model.steps import Sh, Stage, Step
from deployer.problems import InputError
from deployer.source import buildpacks
from deployer.spec.packs import Git
from deployer.spec.spec import Spec
from deployer.world import slugs
from deployer.world.facts import Facts

APPS = "/var/lib/deployer/apps"
TYPES = "default_process_types: {web: theirs, worker: w}"
RECORD = {"stack": "debian-12", "definition": "d", "commit": "60a874b", "release": TYPES, "procfile": ""}


def host(name: str, *places: str, **record: Any) -> Facts:
    """`app/digest` of each slug on a host; with `record` all of them have it."""
    folders = frozenset(f"{APPS}/{place.replace('/', '/slugs/')}" for place in places)
    texts = {f"{folder}/.slug.json": json.dumps(record) for folder in folders if record}
    return Facts(name, folders=folders, texts=texts)


# slugs that hosts hold


def test_only_whole_slugs_are_held() -> None:
    facts = host("one", "hello/ab", "hello/cd.partial", "other/ab")
    facts = replace(facts, folders=facts.folders | {"/var/lib/deployer/stacks/x.run", f"{APPS}/hello"})
    assert list(slugs.held(facts)) == [("hello", "ab"), ("other", "ab")]


def test_a_slug_is_fetched_where_it_is_the_apps_own_if_there_is_such_a_place() -> None:
    facts = {"a": host("a", "other/ab"), "b": host("b", "hello/ab", "hello/cd"), "c": host("c", "other/ab")}
    found = slugs.holders("hello", facts, "cab")
    assert found["ab"] == [("b", "hello"), ("c", "other"), ("a", "other")]
    assert found.keys() == {"ab", "cd"}


def test_what_is_known_of_a_slug_is_what_a_host_has_written_down() -> None:
    facts = {"a": host("a", "hello/ab"), "b": host("b", "other/ab", **RECORD), "c": host("c", "hello/cd")}
    known = slugs.record("ab", facts)
    assert known
    assert (known.digest, known.processes) == ("ab", {"web": "theirs", "worker": "w"})
    assert slugs.record("cd", facts) is slugs.record("ef", facts) is None


# a slug in place of the source


def test_a_promoted_slug_brings_its_processes_and_its_stack() -> None:
    seen, first = fleet(), spec(app="staging", processes={"web": "of the Procfile"})
    plan = seen.plan(first)
    seen.machines["one"].release = TYPES
    seen.run(plan)
    digest = decision.build_of(first).digest
    wanted = spec(slug=digest, source="another", processes={"web": "ours"}, stack_updates="2026-11-23")
    world = seen.world(wanted)
    assert world.release
    assert (world.release.slug, world.build) == (digest, None)
    assert world.release.processes == {"web": "theirs", "worker": "w"}
    assert (world.stack.definition, world.stack.updates) == (first.stack.definition, "2026-11-23")
    seen.run(seen.plan(wanted))
    assert seen.plan(wanted).empty


def test_a_slug_that_no_host_has_is_refused_and_those_that_are_there_are_named() -> None:
    seen = fleet()
    seen.apply(spec())
    with pytest.raises(InputError) as caught:
        seen.world(spec(slug="0123456789abcdef"))
    (problem,) = caught.value.problems
    assert problem.summary == "no host of this fleet has the slug 0123456789abcdef"
    assert decision.build_of(spec()).digest in problem.hint


@pytest.mark.parametrize("change", [{"definition": "0123456789ab"}, {"stack": "debian-1"}], ids=str)
def test_a_slug_of_a_stack_that_is_not_known_here_is_refused(change: dict[str, str]) -> None:
    seen = fleet()
    seen.apply(spec())
    digest = decision.build_of(spec()).digest
    path = f"{APPS}/hello/slugs/{digest}/.slug.json"
    machine = seen.machines["one"]
    assert seen.world(spec(slug=digest)).release
    machine.write(path, json.dumps(json.loads(machine.text(path)) | change))
    with pytest.raises(InputError, match="not known here"):
        seen.world(spec(slug=digest))


# process types that a build brings


def open_spec(**words: Any) -> Spec:
    """One whose buildpack is not ours: its process types are known after a build."""
    pack = buildpacks.own("python")
    return replace(spec(**words), buildpacks=(replace(pack, name="theirs", ours=False),), defaults=None)


def test_process_types_of_others_are_known_after_the_build() -> None:
    seen, wanted = fleet(), open_spec(processes={}, scale={"worker": 1})
    assert decision.has_unknown_types(wanted, seen.sight(wanted))
    assert "theirs" in decision.unknown_types(wanted)
    seen.machines["one"].release = TYPES
    seen.run(seen.plan(wanted).on("one").until(Stage.BUILD))
    assert not decision.has_unknown_types(wanted, seen.sight(wanted))
    seen.apply(wanted)
    assert seen.machines["one"].dynos() == ["hello.web.1.v1", "hello.worker.1.v1"]
    assert seen.plan(wanted).empty


def test_process_types_of_ours_and_of_a_promoted_slug_are_never_unknown() -> None:
    for known in (spec(), replace(open_spec(), slug="ab")):
        assert not decision.has_unknown_types(known, fleet().sight(known))
    assert " x " in decision.unknown_types(replace(open_spec(), buildpacks=(Git("file:///srv/x", ""),)))


# what runs once

TASKS: dict[str, Any] = {"processes": {"web": "w", "release": "migrate"}, "postdeploy": "seed"}


def tasks(world: Any) -> list[tuple[str, Stage]]:
    return [(task.command, task.stage) for task in world.tasks]


def test_postdeploy_runs_with_the_first_release_and_the_release_phase_with_each() -> None:
    seen, first, second = fleet(), spec(**TASKS), spec(**TASKS, config={"A": "1"})
    assert tasks(seen.world(first)) == [("migrate", Stage.RELEASE), ("seed", Stage.POSTDEPLOY)]
    seen.apply(first)
    assert tasks(seen.world(first)) == []
    assert tasks(seen.world(spec(**TASKS, scale={"web": 3}))) == []
    assert tasks(seen.world(second)) == [("migrate", Stage.RELEASE)]
    seen.apply(second)
    assert seen.machines["one"].ran == ["migrate", "seed", "migrate"]


def test_an_app_without_commands_has_no_tasks() -> None:
    assert tasks(fleet().world(spec())) == []


def test_a_task_runs_between_the_old_release_and_the_new() -> None:
    seen = fleet()
    seen.apply(spec(**TASKS))
    wanted = spec(**TASKS, source="two")
    for host, step in in_order(seen.plan(wanted)):
        before = list(seen.machines[host].ran)
        seen.machines[host].act(step.act)
        if seen.machines[host].ran != before:
            assert seen.machines[host].dynos() == ["hello.web.1.v1"]
            assert f"{APPS}/hello/releases/v2/env" in seen.machines[host].files
    assert seen.machines["one"].ran == ["migrate", "seed", "migrate"]


@pytest.mark.parametrize("words", [{}, TASKS], ids=["plain", "tasks"])
def test_a_plan_is_the_same_a_minute_later(words: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, wanted = fleet(), spec(**words)
    seen.apply(wanted)
    for now in (wanted, spec(**words, source="two")):
        digests = set()
        for minute in "123":
            monkeypatch.setattr(decision, "now", lambda minute=minute: f"2026-01-02T03:0{minute}:00+00:00")
            digests.add(seen.plan(now).digest)
        assert len(digests) == 1


# how far a build goes


def test_a_plan_up_to_a_stage_is_what_one_host_does_until_then() -> None:
    def change(key: str, host: str, *stages: Stage) -> Change:
        steps = tuple(Step(stage, stage.name, Sh(("true",))) for stage in stages)
        return Change(f"x/{host}/{key}", "create", host, "why", (), steps)

    changes = (
        change("a", "one", Stage.PREPARE, Stage.START),
        change("b", "one", Stage.BUILD),
        change("c", "one", Stage.SHIP),
        change("d", "two", Stage.PREPARE),
    )
    plan = Plan("hello", "v1", changes, 0, ("one", "two"))
    part = plan.on("one").until(Stage.BUILD)
    assert [(host, step.stage) for host, step in in_order(part)] == [
        ("one", Stage.PREPARE),
        ("one", Stage.BUILD),
    ]
    assert [c.address for c in part.changes] == ["x/one/a", "x/one/b"]
    assert part.hosts == ("one",)
    assert plan.on("two").until(Stage.RETIRE).changes == (changes[3],)


def test_a_build_leaves_a_slug_and_nothing_to_build() -> None:
    wanted = spec(hosts={"one": ALL, "two": "dynos"}, **TASKS)
    for before in ([], [spec(**TASKS)], [spec(**TASKS, source="old"), spec()]):
        seen = fleet()
        for old in before:
            seen.apply(old)
        todo = decision.decide(wanted, seen.sight(wanted))
        served = seen.machines["one"].dynos()
        seen.run(todo.plan.on(todo.world.builder.name).until(Stage.BUILD))
        digest = decision.build_of(wanted).digest
        assert ("hello", digest) in slugs.held(seen.sight(wanted).facts["one"])
        assert seen.machines["one"].dynos() == served
        assert seen.machines["two"].folders == set()
        left = decision.decide(wanted, seen.sight(wanted))
        assert [c.address for c in left.plan.on("one").until(Stage.BUILD).changes] == []
