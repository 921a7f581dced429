"""run: a command in a one-off dyno."""

from __future__ import annotations

from typing import Annotated

import typer

from deployer.cli import completing
from deployer.cli import options as o
from deployer.cli.looking import known


def run(
    told: o.Files,
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND...",
            autocompletion=completing.process_types,
            help="What to run; -- before its flags.",
        ),
    ],
    size: Annotated[str, typer.Option("--size", help="The size of the dyno, in place of the default.")] = "",
) -> None:
    """Run a command in a dyno of its own, of the current release, and end with its status.

    Example: deploy run -- python -c 'print(1)'
    """
    from deployer.problems import InputError, Problem
    from deployer.remote.attach import attach

    fleet = known(told).fleet
    name = (size or fleet.default_size).lower()
    if name not in fleet.sizes:
        hint = f"there are {', '.join(sorted(fleet.sizes))}"
        raise InputError(Problem(f"there is no size {size}", hint=hint))
    status = attach(fleet.with_role("dynos"), fleet.known_hosts, fleet.app, fleet.sizes[name], words)
    raise typer.Exit(status)
