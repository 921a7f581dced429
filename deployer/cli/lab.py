"""lab up, lab status, lab down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployer.cli import options as o

if TYPE_CHECKING:
    from deployer.lab import Lab

app = typer.Typer(rich_markup_mode=None)


@app.command()
def up(
    hosts: Annotated[int, typer.Option(help="How many hosts.")] = 3,
    folder: Annotated[
        Path, typer.Option("--app-dir", "-C", help="Where fleet.json and known_hosts go.")
    ] = o.HERE,
    as_json: o.Json = False,
) -> None:
    """Make a practice fleet, or take over what is there.

    Example: deploy lab up --hosts 3 -C examples/hello
    """
    from deployer import lab
    from deployer.views import text

    _show(lab.up(hosts, folder, lambda line: text.show(line, err=True)), as_json)


@app.command()
def status(as_json: o.Json = False) -> None:
    """Say which hosts there are and whether they answer.

    Example: deploy lab status
    """
    from deployer import lab

    _show(lab.status(), as_json)


@app.command()
def down(
    purge: Annotated[bool, typer.Option("--purge-cache", help="Forget the cached Debian root, too.")] = False,
) -> None:
    """Stop and remove the practice fleet.

    Example: deploy lab down
    """
    from deployer import lab
    from deployer.views import text

    lab.down(lambda line: text.show(line, err=True), purge)


def _show(found: Lab, as_json: bool) -> None:
    from deployer.views import json, text

    if as_json:
        text.show(json.document(found.as_dict()))
        return
    rows = [(h.name, h.address, h.state, "ssh ok" if h.ssh else "no ssh") for h in found.hosts]
    text.show(text.table(rows) if rows else "No practice hosts. Next: deploy lab up --hosts 3")
