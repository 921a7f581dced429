"""Flags that several commands share, and what all of them do with them."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployer.spec.durations import seconds

if TYPE_CHECKING:
    from deployer.model.events import Event
    from deployer.spec.spec import Spec

Folder = Annotated[
    Path, typer.Option("--app-dir", "-C", help="The folder with app.json, Procfile and fleet.json.")
]
Environment = Annotated[
    str | None, typer.Option("-e", "--environment", help="Use fleet.NAME.json and environments.NAME.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Without = Annotated[list[str] | None, typer.Option("--without", help="Go on without this host (repeatable).")]
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
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
HERE = Path()


def known(folder: Path, environment: str | None) -> Spec:
    """The spec for whoever builds nothing: source that is wrong is no reason not to look, or to leave."""
    from deployer import source

    return source.load(folder, environment, builds=False)


def load(
    folder: Path, environment: str | None, buildpacks: tuple[str, ...] = (), slug: str = "", to: str = ""
) -> Spec:
    """The spec, with its warnings on standard error."""
    from deployer import source
    from deployer.problems import InputError, Problem
    from deployer.views import text

    if slug and to:
        hint = "leave one of them out: a release brings the slug that it had"
        raise InputError(Problem("--slug and --to ask for two different things", hint=hint))
    spec = source.load(folder, environment, buildpacks, slug, to=to)
    for warning in spec.warnings:
        text.show(text.problem(warning, text.terminal(err=True)), err=True)
    return spec


def teller(as_json: bool) -> Callable[[Event], None]:
    """What draws events as they come: a line each, JSON on standard output or words on standard error.

    A reader who leaves (`| head`) ends nothing: hosts are not left in the middle for it.
    """
    from deployer.views import json, text

    began = time.monotonic()

    def tell(event: Event) -> None:
        document = event.as_dict(time.monotonic() - began)
        line = json.line(document) if as_json else text.event(document)
        try:
            if line:
                text.show(line, err=not as_json)
        except BrokenPipeError:
            stream = sys.stdout if as_json else sys.stderr
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

    return tell
