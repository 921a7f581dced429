"""drains: where an app's log lines go besides the logplex."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from deployer.cli import options as o
from deployer.cli.looking import known, looked
from deployer.cli.platform import put
from deployer.cli.telling import say

if TYPE_CHECKING:
    from deployer.engine.sight import Sight
    from deployer.spec.drains import Drain
    from deployer.spec.platform import Edit, Platform
    from deployer.spec.spec import Spec

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
@o.spread
def listed(told: o.Look, context: typer.Context) -> None:
    """Say where log lines go besides the logplex, as `list` does.

    Example: deploy drains
    """
    if not context.invoked_subcommand:
        _list(told)


@drains_app.command("list")
@o.spread
def list_drains(told: o.Look) -> None:
    """Say which drains there are, and how they fare on each host. URLs are shown without their secrets.

    Example: deploy drains list
    """
    _list(told)


@drains_app.command("add")
@o.spread
def add_drain(told: o.Act, url: Url) -> None:
    """Send the app's log lines to one more place, from now on: syslog, syslog+tls, https or http.

    Example: deploy drains add syslog+tls://logs.example.com:6514
    """
    from deployer.problems import InputError, Problem
    from deployer.spec.drains import HINT, objection
    from deployer.spec.platform import with_drains

    chosen = _given(url)
    if wrong := objection(chosen):
        raise InputError(Problem(wrong, hint=HINT))
    edit = with_drains(add=[chosen])
    put(told, lambda *_: edit, DRAINS)


@drains_app.command("remove")
@o.spread
def remove_drain(told: o.Act, which: Which) -> None:
    """Send no more lines to a drain that was added with this command; what waits for it is dropped.

    Example: deploy drains remove d.34f0a1f2-6b1c-4c39-9b1a-0d5e8f7a2b11
    """
    from deployer.problems import InputError, Problem
    from deployer.spec.drains import named
    from deployer.spec.platform import with_drains

    word = _given(which)

    def choose(spec: Spec, sight: Sight, settings: Platform) -> Edit:
        drain = named(_there(spec, sight, settings), word)
        if drain is None:
            raise InputError(Problem("there is no such drain", hint="deploy drains list"))
        if drain.url not in settings.drains:
            hint = "take it out of `drains` in fleet.json, then deploy apply"
            raise InputError(Problem(f"{drain.plain} was not added by a command", hint=hint))
        return with_drains(remove=[drain.url])

    put(told, choose, DRAINS)


def _list(told: o.Look) -> None:
    from deployer import source
    from deployer.planning.status import drain
    from deployer.views import text

    spec = source.with_drains(known(told))
    sight, settings = looked(told, spec)
    rows = [drain(spec.fleet.app, d, sight.facts) for d in _there(spec, sight, settings)]
    head = ("TOKEN", "URL", "FROM", "STATE", "WAITING", "LOST")
    shown = [tuple(row[name.lower()] for name in head) for row in rows]
    none = f"No drains of {spec.fleet.app}. Next: deploy drains add URL"
    say(told, rows, text.table([head, *shown]) if rows else none)


def _given(word: str) -> str:
    return sys.stdin.readline().strip() if word == "-" else word


def _there(spec: Spec, sight: Sight, settings: Platform) -> tuple[Drain, ...]:
    """The drains that there are, by token; the app must have been released, or nothing has a token."""
    from deployer.problems import InputError, Problem
    from deployer.spec import drains
    from deployer.world.releases import seen_keys

    keys = seen_keys(spec.fleet.app, sight.facts.values())
    if keys is None:
        raise InputError(Problem(f"{spec.fleet.app} is not there yet", hint="release it first: deploy apply"))
    return drains.chosen(spec.drains, settings, keys.seal)
