"""What a person sees of a plan under way: a recorded first apply as each way of telling it has it, and the corners."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial, reduce
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deployer.model.events import Event
from deployer.views import progress, screen
from deployer.views.progress import At, Now

EVENTS = Path(__file__).parents[1] / "events"
FIRST: list[dict[str, Any]] = [json.loads(line) for line in (EVENTS / "first.jsonl").open(encoding="utf-8")]
"""As `deploy apply --json` gave them: examples/hello, three hosts with their images there."""


def told(kind: Any, host: str = "", say: str = "", at: float = 2.34, **detail: Any) -> dict[str, Any]:
    return Event(kind, host, "lxc/one/web.1" if host else "", say, detail).as_dict(at)


def after(*events: dict[str, Any]) -> Now:
    return reduce(progress.heard, events, Now())


STAGE = told("stage", say="START", hosts=["one", "two"], steps={"one": 3, "two": 1})


def terminal(width: int = 80, height: int = 24, **named: Any) -> Console:
    return Console(file=StringIO(), width=width, height=height, force_terminal=True, **named)


def shown(now: Now, clock: float, console: Console) -> list[str]:
    with console.capture() as found:
        console.print(screen._drawn(now, clock, console.height))
    return found.get().splitlines()


def stays(events: list[dict[str, Any]]) -> list[str]:
    now, lines = Now(), []
    for event in events:
        lines += [line for line, _ in screen._lasting(now, event)]
        now = progress.heard(now, event)
    return lines


# a recorded run


@pytest.mark.parametrize("way", ["brief", "every", "screen"])
def test_a_first_apply(way: str, update: bool) -> None:
    each = progress.shortened() if way == "brief" else progress.every
    lines = stays(FIRST) if way == "screen" else [line for e in FIRST if (line := each(e))]
    golden = EVENTS / f"first.{way}.txt"
    if update:
        golden.write_text("\n".join(lines) + "\n", "utf-8")
    assert lines == golden.read_text("utf-8").splitlines()


def test_no_stage_of_it_ends_unfinished() -> None:
    assert [line for line in stays(FIRST) if "not finished" in line or "failed" in line] == []


def test_at_no_moment_is_more_drawn_than_there_is_room() -> None:
    now, console = Now(), terminal(40, 6, color_system=None)
    for event in FIRST:
        now = progress.heard(now, event)
        lines = shown(now, event["elapsed"] + 1, console)
        assert len(lines) <= 5
        assert all(len(line) <= 40 for line in lines), lines


# in short, as a log of a pipeline has it


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (STAGE, "[   2.3s] START on one, two"),
        (told("stage", say="START", hosts=["one"], wave=2), "[   2.3s] START, wave 2 on one"),
        (told("stage", say="LOGS", hosts=[f"h{n}" for n in range(9)]), "[   2.3s] LOGS on 9 hosts"),
        (told("start", "one", "start web.1"), None),
        (told("start", "one", "build the slug abc", live=True), "[   2.3s]   one: build the slug abc"),
        (told("line", "one", text="-----> Python"), "          -----> Python"),
        (told("output", "one", text="Reading package lists..."), None),
        (told("ok", "one", "start web.1"), None),
        (told("done", "two", "START"), "[   2.3s]   two: 1 step"),
        (told("failed", "one", "start web.1"), "[   2.3s]   one: FAILED: start web.1"),
        (told("look", say="look again"), "[   2.3s] look again"),
        (told("wait", say="bob holds the lock"), "[   2.3s] bob holds the lock"),
        (told("locked", say="has the lock of one"), None),
        (told("stop", say="nothing more is begun"), "[   2.3s] nothing more is begun"),
        (told("undo", say="undo what v4 has begun"), "[   2.3s] undo what v4 has begun"),
    ],
    ids=lambda value: value["event"] if isinstance(value, dict) else "",
)
def test_in_short_a_line_a_stage_and_host(event: dict[str, Any], line: str | None) -> None:
    assert progress.brief(after(STAGE, event), event) == line


def test_before_the_first_stage_each_step_is_told() -> None:
    event = told("start", "one", "install python3")
    assert progress.brief(after(event), event) == "[   2.3s]   one: install python3"


# everything, as --verbose and the journal have it


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (STAGE, "[   2.3s] START on one, two"),
        (told("start", "one", "start web.1"), "[   2.3s]   one: start web.1"),
        (told("line", "one", text="-----> Python"), "          one: -----> Python"),
        (told("output", "one", text="Reading package lists..."), "          one: Reading package lists..."),
        (told("ok", "one", "start web.1"), None),
        (told("done", "one", "START"), None),
        (told("failed", "one", "start web.1"), "[   2.3s]   one: FAILED: start web.1"),
        (told("locked", say="has the lock of one"), "[   2.3s] has the lock of one"),
    ],
    ids=lambda value: value["event"] if isinstance(value, dict) else "",
)
def test_everything_is_each_step_and_what_it_prints(event: dict[str, Any], line: str | None) -> None:
    assert progress.every(event) == line


# the region of a terminal


def test_a_row_a_host() -> None:
    now = after(STAGE, told("start", "one", "make room", 3.0), told("start", "one", "start web.1", 4.5))
    assert shown(now, 5.0, terminal(60, color_system=None)) == [
        "START                                                  2.7 s",
        "  one  step 2 of 3  start web.1                        0.5 s",
        "  two  1 step                                          waits",
    ]


def test_what_a_host_does_is_cut_before_its_name_and_its_count() -> None:
    now = after(STAGE, told("start", "one", "start web.1 and wait until it is up", 3.0))
    assert shown(now, 200.0, terminal(45))[1] == "  one  step 1 of 3  start web.1 …  3 min 17 s"


def test_whoever_is_done_has_no_step() -> None:
    now = after(STAGE, told("start", "one", "start web.1", 3.0), told("done", "one"), told("failed", "two"))
    rows = [("one", "3 steps", "", "done"), ("two", "step 0 of 1", "", "failed")]
    assert progress.rows(now, 5.0, 9) == rows


def test_nothing_of_it_is_loaded_before_something_is_drawn() -> None:
    script = "import sys, deployer.cli.app, deployer.cli.telling; print('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_hosts_that_have_no_room_are_counted_and_those_at_work_come_first() -> None:
    names = [f"box-{n}" for n in range(30)]
    steps = dict.fromkeys(names, 2)
    done = [told("done", name, "START") for name in names[:20]]
    now = after(told("stage", say="START", hosts=names, steps=steps), *done)
    rows = progress.rows(now, 3.0, 5)
    assert [row[0] for row in rows] == ["box-20", "box-21", "box-22", "box-23", "and 26 more"]
    assert rows[-1][2] == "20 of them done"


def test_a_stage_that_is_over_is_one_line() -> None:
    ends = [
        told("done", "one", "START", 9.0),
        told("done", "two", "START", 9.5),
        told("look", say="look again", at=9.6),
    ]
    assert stays([STAGE, *ends]) == ["START              7.3 s   4 steps on one, two"]


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([told("failed", "two", "start web.1")], "failed on two"),
        ([told("done", "two", "START")], "not finished on one"),
    ],
    ids=["failed", "stopped"],
)
def test_one_that_did_not_end_well_says_where(events: list[dict[str, Any]], words: str) -> None:
    assert stays([STAGE, *events, told("look", say="look again")])[-1].endswith(words)


def test_what_is_undone_on_a_host_that_failed_leaves_it_failed() -> None:
    now = after(
        STAGE, told("failed", "one", "start"), told("start", "one", "put back what the guard has kept")
    )
    assert now.hosts["one"].state == "failed"


def test_steps_of_a_guard_count_when_they_come() -> None:
    starts = [told("start", "two", "arm"), told("start", "two", "change"), told("start", "two", "disarm")]
    assert after(STAGE, *starts).hosts["two"] == At(3, 3, "disarm", 2.34, "works")


def test_a_region_lets_what_stays_stand_above_it() -> None:
    console = terminal(80)
    line = "\033[31mred\033[0m and \033[2Kcleared"
    with screen.region(partial(float, 3), console) as hear:
        for event in (STAGE, told("line", "one", text=line), told("look", say="look again")):
            hear(event)
    found = console.file.getvalue()  # type: ignore[attr-defined]
    assert "          \033[31mred\033[0m and cleared" in found
    assert "START              0.0 s   not finished on one, two" in found
    assert found.index("\033[?25l") < found.index("\033[?25h"), "the cursor is there again"


def test_without_colour_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console = terminal(80)
    with screen.region(partial(float, 3), console) as hear:
        for event in (STAGE, told("failed", "one", "start web.1"), told("look", say="look again")):
            hear(event)
    assert "\033[3" not in console.file.getvalue()  # type: ignore[attr-defined]
