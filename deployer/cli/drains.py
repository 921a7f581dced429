"""drains: where an app's log lines go besides the logplex."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from deployer.cli import options as o
from deployer.cli.platform import put

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from deployer.drains import Drain
    from deployer.facts import Facts
    from deployer.platform import Platform
    from deployer.spec import Spec

drains_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
DRAINS = frozenset({"platform", "rsyslog", "drains"})
"""Providers that a change of the drains is about; the log of an older deployer knows of none."""
Url = Annotated[
    str, typer.Argument(metavar="URL", help="Where to send lines; - reads it from standard input.")
]
Which = Annotated[
    str, typer.Argument(metavar="URL|TOKEN", help="Which drain; - reads its URL from standard input.")
]


@drains_app.callback()
def listed(
    context: typer.Context,
    folder: o.Folder = o.HERE,
    environment: o.Environment = None,
    as_json: o.Json = False,
    without: o.Without = None,
) -> None:
    """Say where log lines go besides the logplex, as `list` does.

    Example: deploy drains
    """
    if not context.invoked_subcommand:
        list_drains(folder, environment, as_json, without)


@drains_app.command("list")
def list_drains(
    folder: o.Folder = o.HERE,
    environment: o.Environment = None,
    as_json: o.Json = False,
    without: o.Without = None,
) -> None:
    """Say which drains there are, and how they fare on each host. URLs are shown without their secrets.

    Example: deploy drains list
    """
    from deployer.status import drain
    from deployer.views import json, text

    found, facts, spec, _ = _seen(folder, environment, without)
    rows = [drain(spec.fleet.app, d, facts) for d in found]
    if as_json:
        text.show(json.document(rows))
    elif not rows:
        text.show(f"No drains of {spec.fleet.app}. Next: deploy drains add URL")
    else:
        head = ("TOKEN", "URL", "FROM", "STATE", "WAITING", "LOST")
        shown = [(r["token"], r["url"], r["from"], r["state"], r["waiting"], r["lost"]) for r in rows]
        text.show(text.table([head, *shown]))


@drains_app.command("add")
def add_drain(
    url: Url,
    folder: o.Folder = o.HERE,
    environment: o.Environment = None,
    as_json: o.Json = False,
    without: o.Without = None,
    lock_wait: o.LockWait = 0,
) -> None:
    """Send the app's log lines to one more place, from now on: syslog, syslog+tls, https or http.

    Example: deploy drains add syslog+tls://logs.example.com:6514
    """
    from deployer.drains import HINT, objection
    from deployer.platform import with_drains
    from deployer.problems import InputError, Problem

    chosen = _given(url)
    if wrong := objection(chosen):
        raise InputError(Problem(wrong, hint=HINT))
    put(folder, environment, as_json, without, lock_wait, with_drains(add=[chosen]), DRAINS)


@drains_app.command("remove")
def remove_drain(
    which: Which,
    folder: o.Folder = o.HERE,
    environment: o.Environment = None,
    as_json: o.Json = False,
    without: o.Without = None,
    lock_wait: o.LockWait = 0,
) -> None:
    """Send no more lines to a drain that was added with this command; what waits for it is dropped.

    Example: deploy drains remove d.34f0a1f2-6b1c-4c39-9b1a-0d5e8f7a2b11
    """
    from deployer.drains import named
    from deployer.platform import with_drains
    from deployer.problems import InputError, Problem

    found, _, _, settings = _seen(folder, environment, without)
    drain = named(found, _given(which))
    if drain is None:
        raise InputError(Problem("there is no such drain", hint="deploy drains list"))
    if drain.url not in settings.drains:
        hint = "take it out of `drains` in fleet.json, then deploy apply"
        raise InputError(Problem(f"{drain.plain} was not added by a command", hint=hint))
    put(folder, environment, as_json, without, lock_wait, with_drains(remove=[drain.url]), DRAINS)


def _given(word: str) -> str:
    return sys.stdin.readline().strip() if word == "-" else word


def _seen(
    folder: Path, environment: str | None, without: list[str] | None
) -> tuple[tuple[Drain, ...], Mapping[str, Facts], Spec, Platform]:
    """The drains that there are, by token; the app must have been released, or nothing has a token."""
    from deployer import drains, source
    from deployer.problems import InputError, Problem
    from deployer.releases import seen_keys, seen_platform
    from deployer.sight import look

    spec = source.with_drains(o.known(folder, environment))
    sight = look(spec, tuple(without or ()))
    keys = seen_keys(spec.fleet.app, sight.facts.values())
    if keys is None:
        raise InputError(Problem(f"{spec.fleet.app} is not there yet", hint="release it first: deploy apply"))
    settings = seen_platform(spec.fleet.app, sight.facts.values())
    return drains.chosen(spec.drains, settings, keys.seal), sight.facts, spec, settings
