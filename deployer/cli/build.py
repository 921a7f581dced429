"""build: a slug, and nothing released."""

from __future__ import annotations

from typing import Annotated

import typer

from deployer.cli import options as o
from deployer.cli.looking import seen


def build(
    folder: o.Folder = o.HERE,
    environment: o.Environment = None,
    buildpacks: Annotated[
        list[str] | None,
        typer.Option("--buildpack", help="Build with this one in place of those in app.json (repeatable)."),
    ] = None,
    purge: Annotated[
        bool, typer.Option("--purge-cache", help="Forget what earlier builds have left in the cache.")
    ] = False,
    as_json: o.Json = False,
    without: o.Without = None,
    accept_new: o.AcceptNew = False,
    lock_wait: o.LockWait = 0,
) -> None:
    """Make the slug of the source on the build host, and release nothing.

    Example: deploy build --buildpack nodejs --buildpack python
    """
    from deployer.engine import engine
    from deployer.views import json, text

    spec, sight = seen(folder, environment, without, accept_new, "", buildpacks)
    if purge:
        engine.purge_cache(spec, sight, o.teller(as_json), lock_wait)
    todo = engine.building(spec, sight)
    if not todo.plan.empty:
        todo = engine.build(spec, sight, engine.Order(todo.plan, o.teller(as_json), lock_wait))
    slug = todo.world.release.slug if todo.world.release else ""
    if as_json:
        text.show(json.line({"slug": slug, "host": todo.world.builder.name}))
    else:
        plain = "" if buildpacks else "deploy apply, or elsewhere "
        text.show(f"The slug {slug} is there. Next: {plain}deploy apply --slug {slug}")
