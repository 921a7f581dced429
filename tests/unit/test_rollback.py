"""The way back: an old release's slug, processes and config become a new release, and nobody sees a value."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fleets import ALL, Fleet, fleet, in_order, spec
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from machine import Machine

from deployer.cli import deploy, looking, options
from deployer.cli import rollback as command
from deployer.cli.app import app
from deployer.engine import decision
from deployer.engine.sight import probe
from deployer.model.steps import Text
from deployer.problems import InputError
from deployer.source import load
from deployer.spec.spec import Spec
from deployer.views.plan import plan as told
from deployer.world import releases, rollback
from deployer.world.world import Outcome, Release

APPS = "/var/lib/deployer/apps"
NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True)
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
TWO = {"one": ALL, "two": "dynos"}
OLD: dict[str, Any] = {"hosts": TWO, "source": "old", "config": {"A": "kra-ken 'one'\n", "B": "both"}}
NEW: dict[str, Any] = {"hosts": TWO, "source": "new", "config": {"A": "two", "C": "kra-ken"}}


def env(name: str) -> str:
    return f"{APPS}/hello/releases/{name}/env"


def served(machine: Machine) -> dict[str, str]:
    """The config of the newest release on a machine."""
    records = [json.loads(machine.text(p)) for p in machine.files if p.endswith("/release.json")]
    return releases.read_env(machine.text(env(f"v{max(r['number'] for r in records)}")))


@pytest.fixture
def two_releases() -> Fleet:
    seen = fleet()
    seen.apply(spec(**OLD))
    seen.apply(spec(**NEW))
    return seen


def refused(seen: Fleet, wanted: Spec) -> list[tuple[str, str]]:
    with pytest.raises(InputError) as caught:
        seen.plan(wanted)
    return [(p.summary, p.hint) for p in caught.value.problems]


# what a rollback is


def test_a_rollback_is_a_new_release_of_the_old_slug_and_config(two_releases: Fleet) -> None:
    back = spec(**NEW, to="v1")
    first = two_releases.world(spec(**NEW)).records[0]
    release = two_releases.world(back).release
    assert release and (release.name, release.why, release.slug) == ("v3", "Rollback to v1", first.slug)
    assert (release.processes, release.config) == (first.processes, first.config)
    two_releases.apply(back)
    for machine in two_releases.machines.values():
        assert machine.dynos() in (["hello.web.1.v3"], [])
        found = served(machine)
        assert {n: found[n] for n in "AB"} == OLD["config"]
        assert "C" not in found
        assert found["HEROKU_RELEASE_VERSION"] == "v3"


def test_once_done_there_is_nothing_left_of_it(two_releases: Fleet) -> None:
    back = spec(**NEW, to="v1")
    two_releases.apply(back)
    assert two_releases.plan(back).empty
    assert two_releases.plan(spec(**OLD)).empty
    assert two_releases.plan(spec(**NEW, to="v3")).empty


def test_the_files_bring_back_what_was_rolled_back(two_releases: Fleet) -> None:
    two_releases.apply(spec(**NEW, to="v1"))
    again = two_releases.world(spec(**NEW)).release
    assert again and (again.name, again.why[:6]) == ("v4", "Deploy")


def test_one_that_died_is_taken_up_where_it_was(two_releases: Fleet) -> None:
    back = spec(**NEW, to="v1")
    steps = len(list(in_order(two_releases.plan(back))))
    for stop in range(steps):
        seen = fleet()
        for wanted in (spec(**OLD), spec(**NEW)):
            seen.apply(wanted)
        seen.run(seen.plan(back), stop_after=stop)
        assert seen.plan(back).release == "v3"
        seen.apply(back)
        assert seen.plan(back).empty


def test_the_one_before_is_the_last_that_succeeded(two_releases: Fleet) -> None:
    plain = spec(**NEW, to="previous")
    assert rollback.pinned(plain, two_releases.sight(plain).facts).to == "v1"
    two_releases.apply(spec(**NEW, to="v1"))
    assert rollback.pinned(plain, two_releases.sight(plain).facts).to == "v2"
    assert rollback.pinned(spec(**NEW), {}) == spec(**NEW)


def test_the_commit_and_the_release_phase_come_along() -> None:
    seen, old = fleet(), spec(source="old", processes={"web": "w", "release": "migrate old"})
    seen.apply(old)
    path = f"{APPS}/hello/releases/v1/release.json"
    record = json.loads(seen.machines["one"].text(path)) | {"commit": "60a874b012"}
    seen.machines["one"].write(path, json.dumps(record))
    seen.apply(spec(source="new"))
    back = spec(source="new", to="v1")
    release = seen.world(back).release
    assert release and release.commit == "60a874b012"
    seen.apply(back)
    assert seen.machines["one"].ran == ["migrate old", "migrate old"]


def test_size_and_number_of_dynos_stay_as_the_files_say(two_releases: Fleet) -> None:
    two_releases.apply(spec(**NEW, to="v1", scale={"web": 3}))
    assert sum(len(m.dynos()) for m in two_releases.machines.values()) == 3


def test_types_that_the_old_release_has_none_of_are_a_note(two_releases: Fleet) -> None:
    back = spec(**NEW, to="v1", scale={"web": 1, "clock": 2})
    todo = decision.decide(back, two_releases.sight(back))
    assert todo.plan.notes == ("v1 has no process type clock: its formation counts for nothing",)
    assert decision.decide(spec(**NEW), two_releases.sight(spec(**NEW))).plan.notes == ()


def test_what_the_new_source_needs_is_not_asked_of_the_old(two_releases: Fleet) -> None:
    back = spec(**NEW, to="v1")
    needy = back.app.model_validate({"env": {"STRIPE": {"required": True}}, "addons": ["heroku-redis"]})
    seen = two_releases.plan(replace(back, app=needy, config={}, generated=(), defaults=None))
    assert (seen.release, decision.has_unknown_types(replace(back, defaults=None), None)) == ("v3", False)  # type: ignore[arg-type]


def test_generated_secrets_stay_on_the_hosts_as_they_are() -> None:
    seen = fleet()
    seen.apply(spec(source="old", generated=("KEY",)))
    keys = seen.machines["one"].text(f"{APPS}/hello/keys.json")
    seen.apply(spec(source="new", generated=("KEY", "OTHER")))
    more = seen.machines["one"].text(f"{APPS}/hello/keys.json")
    seen.apply(spec(source="new", generated=("KEY", "OTHER", "THIRD"), to="v1"))
    assert seen.machines["one"].text(f"{APPS}/hello/keys.json") == more
    found = served(seen.machines["one"])
    assert found["KEY"] == json.loads(keys)["generated"]["KEY"]
    assert "OTHER" not in found


# which releases there are to go back to


def test_the_oldest_that_is_kept_is_not_pruned_by_its_own_rollback() -> None:
    seen = fleet()
    for n in range(1, 8):
        seen.apply(spec(source=str(n)))
    back = spec(source="7", to="v2")
    slug = seen.world(spec(source="7")).records[0].slug
    seen.apply(back)
    assert seen.plan(back).empty
    machine = seen.machines["one"]
    assert machine.dynos() == ["hello.web.1.v8"]
    assert f"{APPS}/hello/slugs/{slug}" in machine.folders
    later = seen.plan(spec(source="2"))
    assert [(c.address, c.action) for c in later.changes] == [("release/one/v2", "delete")]
    seen.run(later)
    assert f"{APPS}/hello/slugs/{slug}" in machine.folders


CHANGES = st.tuples(st.sampled_from("123"), st.dictionaries(st.sampled_from("AB"), VALUES, max_size=2))


@settings(max_examples=25, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(st.lists(CHANGES, min_size=2, max_size=8), st.data())
def test_any_release_that_is_kept_comes_back_whole(changes: list[Any], data: st.DataObject) -> None:
    seen, worlds = fleet(), [spec(source=source, config=config) for source, config in changes]
    for wanted in worlds:
        seen.apply(wanted)
    old = data.draw(st.sampled_from(seen.world(worlds[-1]).records))
    back = replace(worlds[-1], to=old.name)
    seen.apply(back)
    assert seen.plan(back).empty
    now = seen.world(back)
    assert now.release and now.release.inputs == old.inputs
    assert {n: v.reveal() for n, v in (now.config or {}).items()} in [config for _, config in changes]


OUTCOMES: tuple[Outcome, ...] = ("succeeded", "failed", "succeeded", "succeeded", "pending")
RECORDS = {n: Release(n, f"s{n}", "stack", {}, {}, outcome) for n, outcome in enumerate(OUTCOMES, 3)}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("v4", "v4 failed: there is no way back to it"),
        ("v7", "v7 was never finished: there is no way back to it"),
        ("v1", "there is no release v1, or it is no longer kept"),
        ("v9", "there is no release v9, or it is no longer kept"),
        ("11", "there is no release 11, or it is no longer kept"),
    ],
)
def test_a_release_that_cannot_be_chosen_names_those_that_can(name: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        rollback.target(name, RECORDS)
    (problem,) = caught.value.problems
    assert (problem.summary, problem.hint) == (said, "these can be chosen: v3, v5")


@pytest.mark.parametrize(("name", "number"), [("previous", 5), ("v3", 3), ("v6", 6)])
def test_a_release_that_can_be_chosen(name: str, number: int) -> None:
    assert rollback.target(name, RECORDS).number == number


@pytest.mark.parametrize("worlds", [[], [{}]], ids=["none", "first"])
def test_where_there_is_no_way_back_the_next_step_is_a_release(worlds: list[Any]) -> None:
    seen = fleet()
    for words in worlds:
        seen.apply(spec(**words))
    assert refused(seen, spec(to="previous")) == [
        ("there is no release before the current one to go back to", "make a new release: deploy apply")
    ]


# the config that the hosts kept


@given(st.dictionaries(NAMES, VALUES | st.text("'\"\\\n\r\t =$`#exportA", max_size=20)))
def test_any_value_survives_the_file(values: dict[str, str]) -> None:
    written = releases.env_file({n: Text(v, secret=True) for n, v in values.items()}, {"HEROKU_X": "it's"})
    assert releases.read_env(written.reveal()) == {"HEROKU_X": "it's", **values}


@pytest.mark.parametrize("broken", ["", "export A='x", "A", "# by hand\n"])
def test_a_file_that_is_none_gives_none_of_the_values(broken: str) -> None:
    assert not any(releases.read_env(broken).values())


def test_values_leave_the_hosts_for_a_rollback_alone(two_releases: Fleet) -> None:
    def fetched(wanted: Spec) -> set[str]:
        return {p for f in two_releases.sight(wanted).facts.values() for p in f.private if p.endswith("/env")}

    assert fetched(spec(**NEW)) == set()
    assert fetched(spec(**NEW, to="v1")) == {env("v1")}
    assert fetched(spec(**NEW, to="previous")) == {env("v1"), env("v2")}
    assert probe(spec()).private < probe(spec(to="v1")).private


def test_no_value_is_ever_shown(two_releases: Fleet) -> None:
    back = spec(**NEW, to="v1")
    sight = two_releases.sight(back)
    todo = decision.decide(back, sight)
    document = todo.plan.as_dict()
    shown = [json.dumps(document), told(document, 0.0, every=True), repr(todo), repr(sight.facts)]
    shown += [step.say for _, step in in_order(todo.plan)]
    assert "kra-ken" not in "".join(shown)
    assert all(value.secret for value in (todo.world.config or {}).values())


def test_a_file_that_was_changed_is_not_trusted(two_releases: Fleet) -> None:
    one, two = (two_releases.machines[name] for name in ("one", "two"))
    one.write(env("v1"), one.text(env("v1")).replace("both", "edited"))
    assert two_releases.plan(spec(**NEW, to="v1")).release == "v3"  # the other host's is as it was
    two.write(env("v1"), "export A='x\n")
    with pytest.raises(InputError) as caught:
        two_releases.plan(spec(**NEW, to="v1"))
    said = f"{env('v1')} was changed by hand: the config of v1 cannot be trusted"
    places = [(str(p.where), p.summary) for p in caught.value.problems]
    assert places == [("one/192.0.2.1", said), ("two/192.0.2.2", said)]


def test_what_is_lost_is_said(two_releases: Fleet) -> None:
    back = spec(**NEW, to="v1")
    for machine in two_releases.machines.values():
        machine.remove(f"{APPS}/hello/keys.json")
    assert "the app's keys are gone" in refused(two_releases, back)[0][0]
    for machine in two_releases.machines.values():
        machine.remove(env("v1"))
    assert refused(two_releases, back) == [
        ("no host has the config of v1 any more", "choose another one: deploy releases")
    ]


def test_a_slug_that_is_gone_is_said(two_releases: Fleet) -> None:
    slug = two_releases.world(spec(**NEW)).records[0].slug
    for machine in two_releases.machines.values():
        machine.remove(f"{APPS}/hello/slugs/{slug}")
    assert refused(two_releases, spec(**NEW, to="v1"))[0][0] == f"no host of this fleet has the slug {slug}"


# the files

HOST = {"address": "203.0.113.1", "roles": ["router", "dynos", "logplex", "build"]}


def test_neither_source_nor_config_is_read_for_it(tmp_path: Path) -> None:
    sources = {"A": {"env": "NOBODY_SET_THIS"}, "B": {"command": ["false"]}, "C": {"file": "nowhere"}}
    files = {"app": "hello", "hosts": {"one": HOST}, "config": sources}
    (tmp_path / "fleet.json").write_text(json.dumps(files))
    found = load(tmp_path, to="v1")
    assert (found.to, dict(found.config), found.tree.entries) == ("v1", {}, ())
    with pytest.raises(InputError, match="NOBODY_SET_THIS"):
        load(tmp_path, slug="66d337d7c3c4e08d")


def test_a_slug_and_a_release_at_once_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="two different things"):
        looking.load(options.Files(tmp_path), slug="66d337d7c3c4e08d", to="v1")


def test_the_command_is_an_apply_to_a_release(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []

    def apply(told: options.Act, **words: Any) -> None:
        asked.append((words["to"], words["yes"], told.as_json, told.without))

    monkeypatch.setattr(command, "apply", apply)
    for words in (["rollback", "v1", "--yes"], ["rollback", "--json", "--without", "two"]):
        app(words, standalone_mode=False)
    assert asked == [("v1", True, False, None), ("previous", False, True, ["two"])]


def test_all_that_an_apply_can_be_told_a_rollback_can() -> None:
    own, apply = (set(inspect.signature(f).parameters) for f in (command.rollback, deploy.apply))
    assert apply - own == {"saved", "slug", "to"}


def test_what_to_expect_is_said_when_it_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    seen = fleet()
    for words in (OLD, NEW):
        seen.apply(spec(**words))
    back = spec(**NEW, to="v1")
    deploy._returned(decision.decide(back, seen.sight(back)), "v1")
    said = (
        "v3 serves what v1 did. The files here still say otherwise: the next deploy apply brings them back.\n"
    )
    assert capsys.readouterr() == ("", said)
