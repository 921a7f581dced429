"""Flags that several commands share, and the groups of them that a command takes as one argument."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from deployer.cli import completing
from deployer.spec.durations import seconds

Folder = Annotated[
    Path, typer.Option("--app-dir", "-C", help="The folder with app.json, Procfile and fleet.json.")
]
Environment = Annotated[
    str | None,
    typer.Option(
        "-e",
        "--environment",
        autocompletion=completing.environments,
        help="Use fleet.NAME.json and environments.NAME.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Without = Annotated[
    list[str] | None,
    typer.Option("--without", autocompletion=completing.hosts, help="Go on without this host (repeatable)."),
]
AcceptNew = Annotated[
    bool, typer.Option("--accept-new", help="Trust and pin host keys that are not known yet.")
]
LockWait = Annotated[
    int,
    typer.Option(
        "--lock-wait",
        parser=seconds,
        metavar="TIME",
        help="How long to wait for somebody else's lock: 90s, 15m, 1h.",
    ),
]
Slug = Annotated[
    str, typer.Option("--slug", help="Release this slug, built before, in place of the source here.")
]
To = Annotated[
    str, typer.Option("--to", help="Go back to this release: v7, or previous for the one before the current.")
]
NoProof = Annotated[
    bool, typer.Option("--no-proof", help="Do not prove by marked requests and log lines that all arrives.")
]
Diff = Annotated[bool, typer.Option("--diff", help="Show what changes inside files, without secrets.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Show everything: all of the plan, each step and what it prints."),
]
HERE = Path()


@dataclass(frozen=True)
class Files:
    """Whose files a command is about, and when it began: by the clock (UTC), and monotonic, in seconds."""

    folder: Folder = HERE
    environment: Environment = None
    at: datetime = field(init=False, default_factory=lambda: datetime.now(UTC))
    began: float = field(init=False, default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long the command has run."""
        return time.monotonic() - self.began


@dataclass(frozen=True)
class Look(Files):
    """What each command that looks at hosts was told."""

    as_json: Json = False
    without: Without = None


@dataclass(frozen=True)
class Act(Look):
    """What each command that changes hosts was told."""

    lock_wait: LockWait = 0
    verbose: Verbose = False


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer reads it: in place of a parameter that is a group, all options of the group.

    typer knows no shared options. It reads a signature, so this makes one; types, defaults and help come from
    the group's fields.
    """
    groups = {name: kind for name, kind in get_type_hints(command).items() if _is_group(kind)}

    @wraps(command)
    def told(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(**{option.name: given.pop(option.name) for option in _options(kind)})
        command(**given)

    parameters = list(_parameters(command, groups))
    told.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    told.__annotations__ = {p.name: p.annotation for p in parameters}
    return told


def _is_group(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Files)


def _options(group: type[Files]) -> Iterator[inspect.Parameter]:
    kinds, keyword = get_type_hints(group, include_extras=True), inspect.Parameter.KEYWORD_ONLY
    for option in fields(group):
        if option.init:
            kind = kinds[option.name]
            yield inspect.Parameter(option.name, keyword, default=option.default, annotation=kind)


def _parameters(command: Callable[..., None], groups: dict[str, type[Files]]) -> Iterator[inspect.Parameter]:
    """All by keyword, as typer gives them."""
    hints = get_type_hints(command, include_extras=True)
    for name, own in inspect.signature(command).parameters.items():
        if name in groups:
            yield from _options(groups[name])
        else:
            yield own.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
