"""lab up, lab status, lab down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployer.cli import options as o

if TYPE_CHECKING:
    from deployer.lab import Lab

app = typer.Typer(rich_markup_mode=None)


Name = Annotated[
    str, typer.Option("--name", metavar="NAME", help="Which lab: each has hosts and a subnet of its own.")
]
DEFAULT = "default"
"""`deployer.lab.DEFAULT`, which would cost every command the import of the lab."""


@app.command()
def up(
    hosts: Annotated[int, typer.Option(help="How many hosts.")] = 3,
    folder: Annotated[
        Path, typer.Option("--app-dir", "-C", help="Where fleet.json and known_hosts go.")
    ] = o.HERE,
    name: Name = DEFAULT,
    as_json: o.Json = False,
) -> None:
    """Make a practice fleet, or take over what is there.

    Example: deploy lab up --hosts 3 -C examples/hello
    """
    from deployer import lab
    from deployer.views import json, text

    found = lab.up(hosts, folder, _say, name)
    text.show(json.document(found.as_dict()) if as_json else _table([found]))


@app.command()
def status(
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Only this lab, in place of all.")
    ] = None,
    as_json: o.Json = False,
) -> None:
    """Say which labs and hosts there are and whether they answer.

    Example: deploy lab status
    """
    from deployer import lab
    from deployer.views import json, text

    found = lab.every() if name is None else [lab.status(name)]
    text.show(json.document({"labs": [each.as_dict() for each in found]}) if as_json else _table(found))


@app.command()
def down(
    name: Name = DEFAULT,
    every: Annotated[bool, typer.Option("--all", help="Every lab of this machine.")] = False,
    purge: Annotated[bool, typer.Option("--purge-cache", help="Forget the cached Debian root, too.")] = False,
) -> None:
    """Stop and remove a practice fleet.

    Example: deploy lab down
    """
    from deployer import lab
    from deployer.problems import InputError, Problem

    if every and name != DEFAULT:
        hint = "leave one of them out"
        raise InputError(Problem("--all and --name ask for two different things", hint=hint))
    if every:
        lab.down_all(_say)
    else:
        lab.down(_say, name)
    if purge:
        lab.purge_cache(_say)


def _say(line: str) -> None:
    from deployer.views import text

    text.show(line, err=True)


def _table(labs: list[Lab]) -> str:
    from deployer.views import text

    rows = [row for lab in labs for row in _rows(lab)]
    return text.table(rows) if rows else "No practice hosts. Next: deploy lab up --hosts 3"


def _rows(lab: Lab) -> list[tuple[str, ...]]:
    if not lab.hosts:
        return [(lab.name, "no hosts", lab.subnet, "", "")]
    return [(lab.name, h.name, h.address, h.state, "ssh ok" if h.ssh else "no ssh") for h in lab.hosts]
