"""ps and logs: everyday reading."""

from __future__ import annotations

import select
import sys
from dataclasses import replace
from typing import Annotated

import typer

from deployer.cli import completing
from deployer.cli import options as o
from deployer.cli.looking import known, look
from deployer.cli.telling import say

Which = Annotated[
    str,
    typer.Option(
        "--ps",
        "--dyno",
        "-d",
        autocompletion=completing.process_types,
        help="Only this dyno or type: web.1, web, router, api.",
    ),
]
Source = Annotated[
    str, typer.Option("--source", "-s", autocompletion=completing.sources, help="Only app or heroku.")
]


def ps(told: o.Look) -> None:
    """Say which dynos there are, where, and whether they are up.

    Example: deploy ps
    """
    from deployer.planning import status
    from deployer.views import text

    spec = known(told)
    dynos = status.dynos(spec.fleet.app, look(told, spec).facts)
    head = ("DYNO", "STATE", "RELEASE", "HOST", "PORT", "MEMORY")
    rows = [
        (d["dyno"], d["state"], d["release"], d["host"], d["host_port"] or "", f"{d['memory']} MB")
        for d in dynos
    ]
    none = f"No dynos of {spec.fleet.app}. Next: deploy apply"
    say(told, dynos, text.table([head, *rows]) if dynos else none)


def logs(
    told: o.Files,
    number: Annotated[
        int | None, typer.Option("-n", "--num", min=1, max=1500, help="How many lines; 100 without --since.")
    ] = None,
    tail: Annotated[
        bool, typer.Option("--tail", "-t", help="Go on with new lines until interrupted.")
    ] = False,
    process: Which = "",
    source: Source = "",
    since: Annotated[
        str,
        typer.Option("--since", help="Only lines since then: 10m, 2h, 2026-11-26T10:15 (UTC)."),
    ] = "",
    as_json: o.Json = False,
) -> None:
    """Show the latest log lines of all dynos and routers, as all logplex hosts have them.

    Example: deploy logs --since 10m --ps web.1
    """
    from deployer.problems import ReaderLeftError
    from deployer.remote import logplexes
    from deployer.world.logs import query

    asked = query("", number, source, process, since)
    spec = known(told)
    fleet = (spec.fleet.with_role("logplex"), spec.fleet.known_hosts, replace(asked, app=spec.fleet.app))
    try:
        if not tail:
            _print(logplexes.latest(*fleet, _notify), as_json)
            return
        for lines in logplexes.follow(*fleet, _notify):
            _print(lines, as_json)
            if _reader_left():
                return
    except BrokenPipeError as error:
        raise ReaderLeftError from error


def _print(lines: list[str], as_json: bool) -> None:
    from deployer.views import json, text
    from deployer.world.logs import fields, shown

    tinted = text.terminal()
    for batch in (lines[i : i + 100] for i in range(0, len(lines), 100)):
        rows = (json.line(fields(line)) if as_json else shown(line, tinted) for line in batch)
        text.show("\n".join(rows))


def _notify(words: str) -> None:
    from deployer.views import text

    text.show(words, err=True)


def _reader_left() -> bool:
    """Whether standard output is a pipe that nobody reads any more."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))
