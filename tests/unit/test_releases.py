"""Which release is wanted, which stay, and what their records and config files say."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from deployer.model.steps import Text
from deployer.world import releases
from deployer.world.facts import Facts
from deployer.world.world import Release, read_release

WANTED = Release(0, "slug", "stack", {"web": "w"}, {"A": "1"})


def records(*outcomes: str, **same: Any) -> dict[int, Release]:
    """Releases 1, 2, … with these outcomes, each of a slug of its own."""
    made = {n: replace(WANTED, number=n, slug=f"s{n}", outcome=o) for n, o in enumerate(outcomes, 1)}  # type: ignore[arg-type]
    return made | {
        int(n.removeprefix("v")): replace(made[int(n.removeprefix("v"))], slug=s) for n, s in same.items()
    }


@pytest.mark.parametrize(
    ("known", "number"),
    [
        (records(), 1),
        (records("succeeded", v1="slug"), 1),
        (records("succeeded", "succeeded", v1="slug"), 3),
        (records("succeeded", "pending", v2="slug"), 2),
        (records("succeeded", "pending"), 3),
        (records("succeeded", "failed", v2="slug"), 3),
        (records("succeeded", "failed", v1="slug"), 1),
        (records("succeeded", "pending", "failed", v2="slug"), 4),
    ],
    ids=[
        "first",
        "same",
        "back-to-an-old-one",
        "begun",
        "begun-other",
        "failed",
        "before-a-failure",
        "stale-begun",
    ],
)
def test_the_release_that_is_wanted(known: dict[int, Release], number: int) -> None:
    assert releases.decide(WANTED, known).number == number


def test_what_makes_a_release() -> None:
    known = {1: replace(WANTED, number=1, outcome="succeeded")}
    told: list[dict[str, Any]] = [{"why": "x"}, {"who": "x"}, {"when": "x"}, {"commit": "x"}]
    for words in told:
        assert releases.decide(replace(WANTED, **words), known).number == 1
    changed: list[dict[str, Any]] = [
        {"slug": "x"},
        {"stack": "x"},
        {"processes": {"web": "x"}},
        {"config": {}},
    ]
    for words in changed:
        assert releases.decide(replace(WANTED, **words), known).number == 2


@pytest.mark.parametrize(
    ("outcomes", "current", "stay"),
    [
        (["succeeded"], 1, [1]),
        (["succeeded"] * 7, 7, [2, 3, 4, 5, 6, 7]),
        (["failed", *["succeeded"] * 7], 8, [3, 4, 5, 6, 7, 8]),
        (["succeeded", "failed", "succeeded"], 3, [1, 2, 3]),
        (["succeeded", *["failed"] * 7], 1, [1, 4, 5, 6, 7, 8]),
        (["succeeded", "pending", "succeeded"], 3, [1, 3]),
    ],
    ids=str,
)
def test_the_records_that_stay(outcomes: list[str], current: int, stay: list[int]) -> None:
    known = records(*outcomes)
    assert releases.current(known) == known[current]
    assert [r.number for r in releases.kept(known, known[current])] == stay


def host(name: str, *held: Release, **private: str) -> Facts:
    folder = "/var/lib/deployer/apps/hello"
    texts = {f"{folder}/releases/{r.name}/release.json": json.dumps(r.as_dict()) for r in held}
    return Facts(name, texts=texts, private={f"{folder}/{key}.json": text for key, text in private.items()})


def test_the_most_advanced_outcome_is_true() -> None:
    one = replace(WANTED, number=1, outcome="succeeded")
    begun, failed = replace(WANTED, number=2, outcome="pending"), replace(WANTED, number=2, outcome="failed")
    assert releases.seen("hello", [host("a", one, begun), host("b", failed)]) == {1: one, 2: failed}
    assert releases.seen("hello", [host("b", failed), host("a", begun)]) == {2: failed}
    assert releases.seen("other", [host("a", one)]) == {}


def test_a_record_is_read_as_it_was_written() -> None:
    assert read_release(json.loads(json.dumps(WANTED.as_dict()))) == WANTED


def test_keys_are_those_of_the_first_host_that_has_them() -> None:
    mine, other = releases.Keys("aa", {"X": "1"}), releases.Keys("bb", {})
    hosts = [host("c", keys=other.text().reveal()), host("b", keys=mine.text().reveal()), host("a")]
    assert releases.seen_keys("hello", hosts) == mine
    assert releases.seen_keys("hello", [host("a")]) is None
    assert "aa" not in repr(mine.text())


def test_digests_tell_a_change_and_not_the_value() -> None:
    values = {"A": Text("one", secret=True), "B": Text("one", secret=True)}
    found = releases.digests(values, "seal")
    assert found["A"] == found["B"] != releases.digests({"A": Text("two")}, "seal")["A"]
    assert found != releases.digests(values, "other seal")
    assert all(len(digest) == 12 for digest in found.values())


def test_config_vars_reach_a_shell_whole() -> None:
    value = 'it\'s "quoted" $(touch /nowhere) `x` \\ ä\nsecond line'
    text = releases.env_file({"ODD": Text(value), "A": Text(""), "OURS": Text("")}, {"OURS": value})
    assert text.secret
    script = text.reveal() + 'printf %s "$OURS$A$ODD"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == value


def test_a_dyno_is_told_of_its_release() -> None:
    release = replace(WANTED, number=7, commit="60a874b012", when="2026-01-02T03:04:05+00:00")
    told = releases.metadata("hello", release)
    assert told["HEROKU_RELEASE_CREATED_AT"] == "2026-01-02T03:04:05Z"
    assert told["HEROKU_RELEASE_VERSION"] == "v7"
    assert told["HEROKU_SLUG_DESCRIPTION"] == "Deploy 60a874b0"
    assert told["HEROKU_APP_ID"] == releases.metadata("hello", WANTED)["HEROKU_APP_ID"]
    assert told["HEROKU_APP_ID"] != releases.metadata("other", WANTED)["HEROKU_APP_ID"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"slug": "0123456789"}, "Deploy 01234567"),
        ({"slug": "0123456789", "commit": "fedcba98"}, "Deploy fedcba98"),
        ({"config": {"A": "2"}}, "Set A config vars"),
        ({"config": {"A": "1", "B": "2"}}, "Set B config vars"),
        ({"config": {}}, "Unset A config vars"),
        ({"config": {"B": "1"}}, "Set B and Unset A config vars"),
        ({"processes": {"web": "x"}}, "Change process types"),
    ],
    ids=str,
)
def test_why_a_release_was_made(changes: dict[str, Any], said: str) -> None:
    assert releases.why(replace(WANTED, **changes), WANTED) == said
