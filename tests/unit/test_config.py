"""Config vars from the file itself, the environment, files and commands."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from deployer.model.steps import Text
from deployer.problems import Problem, Where
from deployer.source import config, load, missing, validate
from deployer.spec.fleet import FromCommand, FromEnv, FromFile, Literal, Source

AWKWARD = "first\nsecond \"quoted\" 'too' $HOME `x` \\ ünï€🙂 end\t"
HOST = {"address": "203.0.113.1", "roles": ["router", "dynos", "logplex", "build"]}


def at(pointer: str) -> Where:
    return Where("fleet.json", pointer=pointer)


def one(source: Source, folder: Path) -> tuple[str | None, tuple[Problem, ...]]:
    found, problems = config.values({"A": source}, folder, at)
    return (found["A"].content if found else None), problems


def write(folder: Path, fleet: dict[str, Any], app: dict[str, Any] | None = None) -> Path:
    (folder / "Procfile").write_text("web: x\n")
    (folder / "app.json").write_text(json.dumps(app or {}))
    (folder / "requirements.txt").touch()
    (folder / "fleet.json").write_text(json.dumps({"app": "hello", "hosts": {"one": HOST}} | fleet))
    return folder


def test_every_source_keeps_a_value_to_the_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWKWARD", AWKWARD)
    (tmp_path / "value").write_text(AWKWARD)
    sources = (
        Literal(value=AWKWARD),
        FromEnv(env="AWKWARD"),
        FromFile(file="value"),
        FromCommand(command=("cat", "value")),
    )
    for source in sources:
        assert one(source, tmp_path) == (AWKWARD, ())


@pytest.mark.parametrize(
    ("written", "value"), [("x\n", "x"), ("x\r\n", "x"), ("x\n\n", "x\n"), ("x", "x"), ("\n", "")]
)
def test_one_newline_at_the_end_is_left_out(written: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "value").write_bytes(written.encode())
    assert one(FromFile(file="value"), tmp_path) == (value, ())
    assert one(FromCommand(command=("cat", "value")), tmp_path) == (value, ())


def test_a_literal_keeps_its_newline(tmp_path: Path) -> None:
    assert one(Literal(value="x\n"), tmp_path) == ("x\n", ())


def test_no_shell_reads_a_command(tmp_path: Path) -> None:
    assert one(FromCommand(command=("echo", "$HOME;", "`x`")), tmp_path) == ("$HOME; `x`", ())


def test_what_is_not_utf8_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "value").write_bytes(b"\xff")
    monkeypatch.setitem(os.environb, b"BYTES", b"\xff")
    for source in (FromFile(file="value"), FromEnv(env="BYTES")):
        value, (problem,) = one(source, tmp_path)
        assert value is None
        assert "UTF-8" in problem.summary


def test_a_command_may_take_its_time_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config, "PATIENCE", 0.1)
    _, (problem,) = one(FromCommand(command=("sleep", "5")), tmp_path)
    assert problem.summary == "A: sleep 5 has printed nothing for 0.1 s"


def test_the_standard_output_of_a_failed_command_is_not_shown(tmp_path: Path) -> None:
    _, (problem,) = one(FromCommand(command=("sh", "-c", "echo hunter2; echo why >&2; exit 3")), tmp_path)
    assert (problem.detail, "status 3" in problem.summary) == ("why", True)


def test_all_that_cannot_be_read_is_told_at_once(tmp_path: Path) -> None:
    sources: dict[str, Source] = {
        "A": FromEnv(env="SURELY_NOT_SET"),
        "B": Literal(value="b"),
        "C": FromFile(file="nowhere"),
    }
    found, problems = config.values(sources, tmp_path, at)
    assert found.keys() == {"B"}
    assert [p.where.pointer for p in problems if p.where] == ["/config/A", "/config/C"]


@pytest.mark.parametrize(
    ("size", "severity"), [(32 * 1024, ""), (32 * 1024 + 1, "warning"), (64 * 1024 + 1, "error")]
)
def test_there_is_an_end_to_config(size: int, severity: str) -> None:
    problems = config.sizes({"A": Text("x" * (size - 1))}, at)
    assert [p.severity for p in problems] == ([severity] if severity else [])


def test_fleet_json_wins_over_app_json(tmp_path: Path) -> None:
    env = {
        "A": "app",
        "B": "app",
        "PORT": "80",
        "HEROKU_X": "1",
        "S": {"generator": "secret"},
        "T": {"generator": "secret"},
    }
    spec = load(write(tmp_path, {"config": {"B": "fleet", "T": "given", "PORT": "81"}}, {"env": env}))
    assert {name: text.reveal() for name, text in spec.config.items()} == {
        "A": "app",
        "B": "fleet",
        "T": "given",
    }
    assert spec.generated == ("S",)
    assert {p.where.line for p in spec.warnings if p.where} == {1}


def test_no_value_shows_itself(tmp_path: Path) -> None:
    env = {"A": "public", "B": "public"}
    spec = load(write(tmp_path, {"config": {"A": "hunter2"}}, {"env": env}))
    assert {name: str(text) for name, text in spec.config.items()} == {"A": "(secret)", "B": "public"}
    assert "hunter2" not in f"{spec.config} {spec.tree}"


def test_no_problem_shows_a_literal(tmp_path: Path) -> None:
    secret = 'hunter2 "quoted"'
    fleet = {"config": {"GOOD": secret, "HEROKU_X": secret, "PIN": 31415926}, "nonsense": 1}
    problems = validate(write(tmp_path, fleet))
    assert len(problems) == 3
    assert "hunter2" not in repr(problems)
    assert "31415926" not in repr(problems)


def test_what_is_missing_may_be_on_the_platform(tmp_path: Path) -> None:
    app = {"env": {"TOKEN": {}, "HEROKU_APP_NAME": {}}, "addons": ["heroku-redis"]}
    spec = load(write(tmp_path, {}, app))
    assert len(missing(spec)) == 2
    assert missing(spec, platform=("TOKEN", "REDIS_URL")) == ()


def test_what_cannot_be_read_is_not_missing_too(tmp_path: Path) -> None:
    folder = write(tmp_path, {"config": {"TOKEN": {"env": "SURELY_NOT_SET"}}}, {"env": {"TOKEN": {}}})
    (problem,) = validate(folder)
    assert "SURELY_NOT_SET" in problem.summary
