"""The end of every command: words and an exit code, and a traceback for whoever asks for it only."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from deployer import __main__ as program
from deployer.problems import INTERRUPTED, DeployerError, Problem
from deployer.source import data


def ending(monkeypatch: pytest.MonkeyPatch, error: BaseException, debug: bool = False) -> int:
    def commands() -> int:
        raise error

    monkeypatch.setattr(program, "_commands", commands)
    return program._run(debug)


ENDS = [
    (RuntimeError("boom"), 1, "an error of the deployer's own: RuntimeError: boom", "--debug"),
    (DeployerError(Problem("it is wrong", hint="mend it")), 1, "it is wrong", "mend it"),
]


@pytest.mark.parametrize(("error", "status", "said", "hint"), ENDS)
def test_an_error_is_words_and_no_traceback(
    error: Exception,
    status: int,
    said: str,
    hint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ending(monkeypatch, error) == status
    told = capsys.readouterr().err
    assert said in told
    assert hint in told
    assert "Traceback" not in told


@pytest.mark.parametrize("error", [end[0] for end in ENDS])
def test_debug_lets_the_error_through(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(type(error)):
        ending(monkeypatch, error, debug=True)


def test_an_interrupt_has_a_status_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ending(monkeypatch, KeyboardInterrupt()) == INTERRUPTED


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["aply"], "Did you mean 'apply'?", "deploy --help"),
        (["logs", "web.1"], "unexpected extra argument", "deploy logs --help"),
        (["plan", "--nope"], "No such option: --nope", "deploy plan --help"),
        (["lab"], "Missing command", "deploy lab --help"),
    ],
)
def test_a_wrong_usage_leads_to_the_help_of_its_command(
    words: list[str],
    said: str,
    hint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["deploy", *words])
    assert program._run(False) == 1
    told = capsys.readouterr().err
    assert said in told
    assert f"next: {hint} shows what it takes" in told


def test_a_terminal_of_another_encoding_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "app.json").write_text('{"name→": "hello"}')
    words, ascii_only = (
        ("-m", "deployer", "validate", "-C", tmp_path),
        {**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    done = subprocess.run((sys.executable, *words), check=False, capture_output=True, env=ascii_only)
    assert done.stderr == b""
    assert b"name\\u2192" in done.stdout


def test_what_is_noted_of_an_error_comes_last(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for error in (DeployerError(Problem("it is wrong")), RuntimeError("boom"), KeyboardInterrupt()):
        error.add_note("all that happened is in one.log")
        ending(monkeypatch, error)
        assert capsys.readouterr().err.splitlines()[-1] == "  all that happened is in one.log"


def test_a_checkout_says_its_version_and_where_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["deploy", "--version"])
    assert program._run(False) == 0
    root = Path(__file__).parents[2]
    number = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert capsys.readouterr().out == f"deploy {number}, from the checkout in {root}\n"


def test_what_is_installed_says_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(data, "_PACKAGE", tmp_path / "deployer")
    monkeypatch.setattr(data.metadata, "version", lambda name: {"deployer": "1.2"}[name])
    assert data.version() == "deploy 1.2"


def test_deploy_alone_helps(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["deploy"])
    assert program._run(False) == 0
    assert "Commands:" in capsys.readouterr().out
