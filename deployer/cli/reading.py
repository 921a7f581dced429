"""ps and logs: everyday reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from deployer.cli import options as o

if TYPE_CHECKING:
    from deployer.spec import Spec


def ps(
    folder: o.Folder = o.HERE,
    environment: o.Environment = None,
    as_json: o.Json = False,
    without: o.Without = None,
) -> None:
    """Say which dynos there are, where, and whether they are up.

    Example: deploy ps
    """
    from deployer import status
    from deployer.sight import look
    from deployer.views import json, text

    spec = o.known(folder, environment)
    sight = look(spec, tuple(without or ()))
    dynos = status.dynos(spec.fleet.app, sight.facts)
    if as_json:
        text.show(json.document(dynos))
    elif not dynos:
        text.show(f"No dynos of {spec.fleet.app}. Next: deploy apply")
    else:
        head = ("DYNO", "STATE", "RELEASE", "HOST", "PORT", "MEMORY")
        rows = [
            (d["dyno"], d["state"], d["release"], d["host"], d["host_port"] or "", f"{d['memory']} MB")
            for d in dynos
        ]
        text.show(text.table([head, *rows]))


def logs(
    folder: o.Folder = o.HERE,
    environment: o.Environment = None,
    number: Annotated[int, typer.Option("-n", "--num", min=1, max=1500, help="How many lines.")] = 100,
    tail: Annotated[
        bool, typer.Option("--tail", "-t", help="Go on with new lines until interrupted.")
    ] = False,
    process: Annotated[str, typer.Option("--ps", help="Only this dyno or type: web.1, web, router.")] = "",
    source: Annotated[str, typer.Option("--source", help="Only app or heroku.")] = "",
    as_json: o.Json = False,
) -> None:
    """Show the latest log lines of all dynos and routers.

    Example: deploy logs -n 50 --ps web.1
    """
    from deployer.problems import InputError, Problem
    from deployer.remote.session import log_lines
    from deployer.views import text

    if source not in ("", "app", "heroku"):
        raise InputError(
            Problem(f"there is no log source {source!r}", hint="use --source app or --source heroku")
        )
    spec: Spec = o.known(folder, environment)
    argv = (spec.fleet.app, str(number), source, process, "1" if tail else "0")
    log_lines(
        spec.fleet.with_role("logplex"),
        spec.fleet.known_hosts,
        argv,
        lambda line: text.show(_as(line, as_json)),
    )


def _as(line: str, as_json: bool) -> str:
    from deployer.views import json

    if not as_json:
        return line
    stamp, _, rest = line.partition(" ")
    origin, _, words = rest.partition("]: ")
    source, _, process = origin.partition("[")
    return json.line({"at": stamp, "source": source, "process": process, "text": words})
