"""What an app's log says of who had what done: once in a fleet, whatever dies on the way."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from fleets import Fleet, fleet, in_order, spec
from shipped import script

from deployer.model.plan import Plan
from deployer.providers.rsyslog.said import scale_mark

SCRIPT = script("log-say.sh")
HOSTS = {"one": "router dynos logplex build", "two": "dynos"}


def said(seen: Fleet) -> list[str]:
    return [line for name in sorted(seen.machines) for line in seen.machines[name].said]


def apply_until(seen: Fleet, plan: Plan, words: str) -> None:
    """Up to the step that is said so, and no further."""
    steps = [step.say for _, step in in_order(plan)]
    last = next(i for i, say in enumerate(steps) if say.startswith(words))
    seen.run(plan, stop_after=last + 1)


def test_a_release_is_said_once_and_by_one_host() -> None:
    seen = fleet()
    seen.apply(spec(hosts=HOSTS))
    assert seen.machines["two"].said == []
    assert [line.partition(" by ")[0].split()[0] for line in said(seen)] == [
        "Build",
        "Build",
        "Deploy",
        "Release",
        "Scaled",
    ]
    assert seen.plan(spec(hosts=HOSTS)).empty
    assert len(said(seen)) == 5


def test_a_release_that_is_begun_again_is_not_said_again() -> None:
    seen = fleet()
    seen.apply(spec(hosts=HOSTS))
    wanted = spec(hosts=HOSTS, source="two", scale={"web": 2})
    apply_until(seen, seen.plan(wanted), "say in the log: Scaled to")
    before = said(seen)
    seen.apply(wanted)
    assert said(seen) == before
    assert before[-1] == "Scaled to web@2:Standard by user ada@laptop"


def test_a_scale_that_comes_again_is_said_again() -> None:
    seen = fleet()
    for count in (1, 3, 1, 3):
        seen.apply(spec(hosts=HOSTS, scale={"web": count}))
    scaled = [line.split()[2] for line in said(seen) if line.startswith("Scaled")]
    assert sorted(scaled) == ["web@1:Standard"] * 2 + ["web@3:Standard"] * 2


@pytest.mark.parametrize("mark", ["", "garbage\n", "² Scaled to web@3\n", "Scaled to web@3\n"])
def test_a_damaged_mark_is_passed_over(mark: str) -> None:
    seen = fleet()
    seen.apply(spec(hosts=HOSTS))
    seen.machines["one"].write(scale_mark("hello"), mark)
    seen.apply(spec(hosts=HOSTS, scale={"web": 3}))
    assert said(seen)[-1] == "Scaled to web@3:Standard by user ada@laptop"


def log_say(place: Path, logger: str, *words: str) -> tuple[str, str]:
    """What logger got, and what was said of it."""
    (place / "logger").write_text(f"#!/bin/sh\n{logger}\n")
    (place / "logger").chmod(0o755)
    done = subprocess.run(
        ["sh", str(SCRIPT), *words],
        env={"PATH": f"{place}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.returncode == 0
    got = place / "got"
    return got.read_text() if got.exists() else "", done.stderr


def test_a_line_leaves_its_mark(tmp_path: Path) -> None:
    mark = tmp_path / "v3" / "said"
    got, said_of_it = log_say(tmp_path, f"cat >{tmp_path}/got", "hello", "Deploy 1\nby user ada", str(mark))
    assert (got, said_of_it) == ("Deploy 1 by user ada\n", "")
    seconds, _, line = mark.read_text().partition(" ")
    assert seconds.isdigit()
    assert line == "Deploy 1 by user ada\n"


def test_a_log_that_takes_no_line_stops_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "said"
    got, said_of_it = log_say(tmp_path, "exit 1", "hello", "Deploy 1", str(mark))
    assert (got, said_of_it) == ("", "the logplex of this host does not take the line: Deploy 1\n")
    assert not mark.exists()
