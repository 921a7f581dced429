"""A word that is no command leads to one that is."""

from __future__ import annotations

import sys

import pytest

from deployer import __main__ as program
from deployer.cli.app import COMMANDS
from deployer.cli.heroku import HERE, way


def said(word: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    monkeypatch.setattr(sys, "argv", ["deploy", *word.split()])
    assert program._run(False) == 1
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("word", "what", "next_"),
    [
        ("domains:add shop.example.com", "there is no command 'domains:add'", "deploy domains add"),
        ("releases:rollback v3", "there is no command 'releases:rollback'", "deploy rollback v7"),
        ("pg:backups:capture", "there is no command 'pg:backups:capture'", HERE["pg"]),
        ("maintenance:on", "there is no command 'maintenance:on'", "deploy maintenance on"),
        ("addons:creat", "there is no command 'addons:creat'", HERE["addons"]),
        ("restrat", "there is no command 'restrat'; did you mean 'restart'?", HERE["restart"]),
        (
            "domain:add x.org",
            "there is no command 'domain:add'; did you mean 'domains:add'?",
            "deploy domains add",
        ),
        ("lgos", "No such command 'lgos'. Did you mean 'logs'?", "deploy --help shows what it takes"),
        ("xyzzy", "No such command 'xyzzy'.", "deploy --help shows what it takes"),
    ],
)
def test_it_says_what_does_the_same(
    word: str, what: str, next_: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(word, monkeypatch, capsys) == [f"error: {what}", f"  next: {next_}"]


def test_of_two_words_the_longer_one_counts() -> None:
    assert (way("ps:exec"), way("pg:info"), way("nothing:like:it")) == (HERE["ps:exec"], HERE["pg"], "")


def test_a_word_of_the_table_is_no_command_of_ours() -> None:
    """Whoever adds a command takes its line out of the table."""
    assert not {*HERE} & {command.__name__ for command in COMMANDS}
