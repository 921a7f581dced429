"""A plan holds as long as what its steps rely on is as it was, and else it is said what moved."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fleets import ALL, Fleet, fleet, spec

from deployer.cli import deploy
from deployer.engine.decision import Decided
from deployer.model import diff
from deployer.model.diff import Sealed
from deployer.model.plan import Plan
from deployer.model.stale import HINT, is_remainder, moved
from deployer.problems import InputError, StalePlanError
from deployer.providers.release import KeysSeen
from deployer.source import saved
from deployer.views import json as documents
from deployer.views import text

HOSTS = {"one": ALL, "two": "router dynos"}
SITE = "/etc/nginx/conf.d/deployer.hello.conf"


@pytest.fixture
def seen() -> Fleet:
    made = fleet()
    made.apply(spec(hosts=HOSTS, scale={"web": 2}))
    return made


def touch(seen: Fleet, host: str, path: str = SITE) -> None:
    machine = seen.machines[host]
    machine.write(path, machine.text(path) + "# by hand\n")


def said(document: dict[str, Any], fresh: Plan) -> list[str]:
    return [text.problem(p).splitlines()[0] for p in moved(document, fresh)]


def wanted(**words: Any) -> Any:
    return spec(**({"hosts": HOSTS, "scale": {"web": 2}} | words))


def test_a_plan_holds_as_long_as_nothing_moves(seen: Fleet) -> None:
    touch(seen, "one")
    plan = seen.plan(wanted())
    assert not plan.empty
    assert moved(json.loads(json.dumps(plan.as_dict())), seen.plan(wanted())) == ()


def test_a_fact_that_no_step_relies_on_moves_nothing(seen: Fleet) -> None:
    touch(seen, "one")
    before = seen.plan(wanted()).as_dict()
    machine = seen.machines["one"]
    machine.memory -= 100
    machine.listeners[8080] = "someone"
    machine.packages.add("vim")
    assert moved(before, seen.plan(wanted())) == ()


def test_what_was_edited_since_is_named_with_its_fields(seen: Fleet) -> None:
    touch(seen, "one")
    before = seen.plan(wanted()).as_dict()
    touch(seen, "one")
    fresh = seen.plan(wanted())
    (problem,) = moved(before, fresh)
    old, new = (f["fields"][0]["before"] for f in (before["changes"][0], fresh.as_dict()["changes"][0]))
    assert said(before, fresh) == ["one: nginx/one/hello: error: is not what it was"]
    assert (problem.detail, problem.hint) == (f"config: {old} → {new}", HINT)


def test_a_field_that_moved_and_was_right_before(seen: Fleet) -> None:
    touch(seen, "one")
    before = seen.plan(wanted()).as_dict()
    machine = seen.machines["one"]
    machine.remove("/run/deployer/nginx.loaded")
    (problem,) = moved(before, seen.plan(wanted()))
    assert problem.detail == "loaded: as it should be → none; shared: as it should be → none"


def test_what_came_up_and_what_was_done_since(seen: Fleet) -> None:
    touch(seen, "one")
    before = seen.plan(wanted()).as_dict()
    seen.apply(wanted())
    touch(seen, "two")
    assert said(before, seen.plan(wanted())) == [
        "one: nginx/one/hello: error: already done, or no longer wanted",
        "two: nginx/two/hello: error: has come up since: update, changed on the host",
    ]


def test_only_hosts_on_which_something_moved_are_named(seen: Fleet) -> None:
    touch(seen, "one")
    touch(seen, "two")
    before = seen.plan(wanted()).as_dict()
    touch(seen, "two")
    assert said(before, seen.plan(wanted())) == ["two: nginx/two/hello: error: is not what it was"]


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ({"source": "three"}, "slug: "),
        ({"config": {"A": "1"}}, "config[A]: "),
        ({"hosts": {"one": ALL}}, "upstreams[192.0.2.2:20001]: hello.web.2.v2 → as it is"),
        ({"source": "one"}, "release: v2 → v1"),
    ],
    ids=str,
)
def test_files_that_changed_are_not_blamed_on_hosts(seen: Fleet, words: dict[str, Any], shown: str) -> None:
    before = seen.plan(wanted(source="two")).as_dict()
    (problem,) = moved(before, seen.plan(wanted(**({"source": "two"} | words))))
    assert problem.summary.startswith("the files, the flags or the room on the hosts have changed")
    assert shown in problem.detail
    assert problem.where is None


def test_what_moved_on_hosts_is_told_although_the_files_changed_too(seen: Fleet) -> None:
    before = seen.plan(wanted(source="two")).as_dict()
    touch(seen, "one")
    found = said(before, seen.plan(wanted(source="three")))
    assert "one: nginx/one/hello: error: is not what it was" in found
    assert not any(line.startswith("error: the files") for line in found)


def test_the_plan_of_another_app(seen: Fleet) -> None:
    plan = seen.plan(wanted())
    (problem,) = moved(replace(plan, app="other").as_dict(), plan)
    assert problem.summary == "the plan is one of other, and this is hello"


def test_equal_digests_and_nothing_moved_are_the_same(seen: Fleet) -> None:
    touch(seen, "one")
    once = seen.plan(wanted())
    touch(seen, "one")
    again = seen.plan(wanted())
    assert (once.digest == again.digest, moved(once.as_dict(), again) == ()) == (False, False)


def test_what_a_step_relies_on_is_told_apart_and_not_by_its_order() -> None:
    one = KeysSeen("keys", "hello", "a")
    assert diff.relied(one, "s") == diff.relied(KeysSeen("keys", "hello", "a"), "s")
    assert diff.relied(one, "s") != diff.relied(KeysSeen("keys", "hello", "b"), "s")
    assert diff.relied({"a": frozenset("xy"), "b": 1}, "s") == diff.relied(
        {"b": 1, "a": frozenset("yx")}, "s"
    )
    assert diff.relied(None, "s") == diff.relied(None, "") != diff.relied(one, "s")
    assert len(diff.relied(None, "")) == 12


def test_a_secret_cannot_be_guessed_at_without_the_seal() -> None:
    def relied(secret: str, seal: str) -> str:
        return diff.relied(KeysSeen("keys", "hello", Sealed(secret)), seal)

    assert relied("a", "seal") != relied("b", "seal")
    assert relied("a", "seal") != relied("a", "other")
    assert relied("a", "") == relied("b", ""), "without a seal a digest would tell"


def test_a_secret_that_moved_makes_a_plan_stale(seen: Fleet) -> None:
    env = "/var/lib/deployer/apps/hello/releases/v1/env"
    touch(seen, "one", env)
    before = seen.plan(wanted()).as_dict()
    touch(seen, "one", env)
    (problem,) = moved(before, seen.plan(wanted()))
    assert problem.detail == "something that is not shown"


def test_a_saved_plan_is_read_back(seen: Fleet, tmp_path: Path) -> None:
    touch(seen, "one")
    plan = seen.plan(wanted())
    file = tmp_path / "plan.json"
    saved.save(str(file), documents.document(plan.as_dict()) + "\n")
    assert saved.load(str(file)) == plan.as_dict()
    assert moved(saved.load(str(file)), plan) == ()


def test_a_stale_file_is_refused_before_anything_is_done(seen: Fleet, tmp_path: Path) -> None:
    touch(seen, "one")
    file = tmp_path / "plan.json"
    saved.save(str(file), documents.document(seen.plan(wanted()).as_dict()))
    world = seen.world(wanted())
    deploy._same(str(file), Decided(seen.plan(wanted()), world))
    touch(seen, "one")
    with pytest.raises(StalePlanError, match="is not what it was") as error:
        deploy._same(str(file), Decided(seen.plan(wanted()), world))
    assert error.value.exit_code == 5


@pytest.mark.parametrize(
    ("old", "new", "summary"),
    [
        ('"version": 1', '"version": 2', "is not a plan that this deployer saved"),
        ('"relies"', '"relied"', "is not a plan that this deployer saved"),
        ('"changed on the host"', '"as it should be"', "was changed after it was saved"),
    ],
)
def test_a_saved_plan_that_is_none(seen: Fleet, tmp_path: Path, old: str, new: str, summary: str) -> None:
    touch(seen, "one")
    file = tmp_path / "plan.json"
    content = documents.document(seen.plan(wanted()).as_dict())
    assert old in content
    file.write_text(content.replace(old, new), "utf-8")
    with pytest.raises(InputError, match=summary):
        saved.load(str(file))


def test_a_saved_plan_that_cannot_be_read(tmp_path: Path) -> None:
    for content in ("", "[]", "{"):
        (tmp_path / "plan.json").write_text(content, "utf-8")
        with pytest.raises(InputError):
            saved.load(str(tmp_path / "plan.json"))
    with pytest.raises(InputError, match="cannot be read"):
        saved.load(str(tmp_path / "none.json"))


def test_what_a_dead_run_ends_after_the_look_leaves_a_remainder(seen: Fleet) -> None:
    """Its runner finishes the step that it was at, between the look of the next apply and its lock."""
    after = wanted(source="two")
    for steps in range(0, 40, 3):
        agreed = seen.plan(after)
        seen.run(agreed, stop_after=steps)
        fresh = seen.plan(after)
        if steps and fresh.release == agreed.release:
            assert is_remainder(agreed.as_dict(), fresh), moved(agreed.as_dict(), fresh)
    assert is_remainder(agreed.as_dict(), agreed)


def test_another_end_or_something_new_is_no_remainder(seen: Fleet) -> None:
    touch(seen, "one")
    agreed = seen.plan(wanted()).as_dict()
    assert not is_remainder(agreed, seen.plan(wanted(source="two")))
    assert not is_remainder(agreed, seen.plan(wanted(domains=["shop.example.com"])))
    touch(seen, "two")
    assert not is_remainder(agreed, seen.plan(wanted()))


def test_what_somebody_has_changed_again_is_no_remainder(seen: Fleet) -> None:
    touch(seen, "one")
    agreed = seen.plan(wanted()).as_dict()
    touch(seen, "one")
    assert moved(agreed, seen.plan(wanted()))
    assert not is_remainder(agreed, seen.plan(wanted()))
