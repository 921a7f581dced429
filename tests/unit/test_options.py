"""Groups of options: one argument of a command, many flags of its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from deployer.cli import options as o


def run(*words: str) -> list[Any]:
    """What a command with a group and flags of its own is given."""
    given: list[Any] = []
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    @o.spread
    def command(
        told: o.Act,
        name: Annotated[str, typer.Argument()] = "none",
        loud: Annotated[bool, typer.Option()] = False,
    ) -> None:
        """Do it."""
        given.extend((told, name, loud))

    app(list(words), standalone_mode=False)
    return given


def test_a_group_comes_as_one_value() -> None:
    words = ("-C", "app", "--without", "one", "--without", "two", "--lock-wait", "2m", "shop", "--loud")
    told, name, loud = run(*words)
    assert (told.folder, told.without, told.lock_wait) == (Path("app"), ["one", "two"], 120)
    assert (told.environment, told.as_json, name, loud) == (None, False, "shop", True)


def test_without_a_word_a_group_has_its_own_defaults() -> None:
    told = run()[0]
    fresh = o.Act()
    assert (told.folder, told.without, told.lock_wait) == (fresh.folder, fresh.without, fresh.lock_wait)


def test_the_help_of_a_group_is_that_of_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    run("--help")
    said = capsys.readouterr().out
    assert "Go on without this host (repeatable)." in " ".join(said.split())
    assert "began" not in said
