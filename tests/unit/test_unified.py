"""What changes inside files, and that nothing secret is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from fleets import Fleet, fleet, spec
from jsonschema import Draft202012Validator

from deployer.engine import decision
from deployer.engine.decision import Decided
from deployer.planning.unified import FileDiff, unified
from deployer.source import data
from deployer.source.saved import load

SITE = "/etc/nginx/conf.d/deployer.hello.conf"
METER = "/etc/systemd/system/deployer.meter.service"
RULES = "/etc/deployer/nftables/deployer.hello.nft"
SECRET = "sesame-open"
LINES = "-----BEGIN-----\nfirst-of-many\nlast-of-many"


def decided(seen: Fleet, **words: Any) -> Decided:
    wanted = replace(spec(**({"config": {"TOKEN": SECRET, "PEM": LINES}} | words)), compares=True)
    return decision.decide(wanted, seen.sight(wanted))


def diffs(seen: Fleet, **words: Any) -> Mapping[str, FileDiff]:
    todo = decided(seen, **words)
    return {diff.file: diff for diff in unified(todo.plan, todo.world)}


@pytest.fixture
def seen() -> Fleet:
    made = fleet()
    made.run(decided(made).plan)
    assert diffs(made) == {}
    return made


def write(seen: Fleet, path: str, content: str, mode: int = 0o644) -> None:
    seen.machines["one"].write(path, content, mode)


def text(seen: Fleet, path: str) -> str:
    return seen.machines["one"].text(path)


def test_what_was_changed_on_a_host_goes(seen: Fleet) -> None:
    write(seen, SITE, text(seen, SITE).replace("server_name", "# by hand\n\tserver_name"))
    found = diffs(seen)
    assert found.keys() == {SITE}
    assert found[SITE].address == "nginx/one/hello"
    assert found[SITE].diff.splitlines()[:2] == [f"--- {SITE}", f"+++ {SITE}"]
    assert [line for line in found[SITE].diff.splitlines()[2:] if line[0] in "+-"] == ["-\t# by hand"]


def test_what_is_new_is_shown_against_nothing_and_what_goes_with_nothing_after(seen: Fleet) -> None:
    new = diffs(fleet())[RULES].diff.splitlines()
    assert new[:2] == ["--- /dev/null", f"+++ {RULES}"]
    assert {line[0] for line in new[3:]} == {"+"}
    gone = diffs(seen, scale={"web": 0})
    assert gone[RULES].diff.splitlines()[:2] == [f"--- {RULES}", "+++ /dev/null"]
    assert not [path for path in gone if path.startswith("/run/")]


def test_a_file_without_an_end_says_so(seen: Fleet) -> None:
    write(seen, METER, text(seen, METER) + "Nice=5")
    assert diffs(seen)[METER].diff.endswith("-Nice=5\n\\ No newline at end of file\n")


@pytest.mark.parametrize("held", [SECRET, "first-of-many"])
def test_secret_values_are_blotted_out_wherever_they_are(seen: Fleet, held: str) -> None:
    write(seen, SITE, f"# {held}\n{text(seen, SITE)}")
    for config in ({"TOKEN": SECRET, "PEM": LINES}, {"TOKEN": "another", "PEM": "one"}):
        found = diffs(seen, config=config)
        assert "-# (secret)" in found[SITE].diff.splitlines()
        assert held not in repr(found)


def test_a_value_is_blotted_out_as_it_is_written() -> None:
    page = "https://pages.example.com/sorry?key=se%20&more"
    found = diffs(
        fleet(),
        config={"ERROR_PAGE_URL": page, "QUOTED": '"open sesame"'},
        processes={"web": 'say "open sesame"'},
    )
    assert "(secret)" in found[SITE].diff
    assert "(secret)" in found["/var/lib/deployer/apps/hello/releases/v1/release.json"].diff
    assert not [word for word in ("sorry?", "open sesame") if word in repr(found)]


def test_files_with_secrets_are_named_and_not_shown(seen: Fleet) -> None:
    first = diffs(fleet())
    hidden = {path.rpartition("/")[2] for path, diff in first.items() if diff.hidden}
    assert hidden == {"env", "keys.json"}
    assert all(not diff.diff for diff in first.values() if diff.hidden)


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_secret_is_none_the_less_one_where_everybody_may_read_it(seen: Fleet, mode: int) -> None:
    env = "/var/lib/deployer/apps/hello/releases/v1/env"
    write(seen, env, "export TOKEN=another-secret\n", mode)
    assert diffs(seen)[env] == FileDiff("release/one/v1", env, "", "it holds secrets")


def test_what_only_root_may_read_stays_with_root(seen: Fleet) -> None:
    write(seen, METER, "private", 0o600)
    assert diffs(seen)[METER] == FileDiff(
        f"meter/one/file:{METER}", METER, "", "what is there is for root alone"
    )


def test_what_could_not_be_read_says_why(seen: Fleet) -> None:
    write(seen, METER, "other")
    todo = decided(seen)
    facts = {name: replace(found, readable={}) for name, found in todo.world.facts.items()}
    (found,) = unified(todo.plan, replace(todo.world, facts=facts))
    assert found.hidden == "it is too large, or no text"


def test_texts_are_looked_at_only_where_somebody_asks(seen: Fleet) -> None:
    assert not any(facts.readable for facts in seen.sight(spec()).facts.values())
    assert all(facts.readable for facts in seen.sight(replace(spec(), compares=True)).facts.values())


def test_a_plan_with_diffs_is_what_its_schema_says_and_can_be_applied(seen: Fleet, tmp_path: Any) -> None:
    todo = decided(seen, source="two")
    found = [diff.as_dict() for diff in unified(todo.plan, todo.world)]
    document = json.loads(json.dumps(todo.plan.as_dict() | {"diffs": found}))
    assert found
    assert list(Draft202012Validator(data.schema("plan")).iter_errors(document)) == []
    (tmp_path / "plan.json").write_text(json.dumps(document), "utf-8")
    assert load(str(tmp_path / "plan.json"))["digest"] == todo.plan.digest
