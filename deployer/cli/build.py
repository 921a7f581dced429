"""build: a slug, and nothing released."""

from __future__ import annotations

from typing import Annotated

import typer

from deployer.cli import options as o
from deployer.cli.looking import seen
from deployer.cli.telling import acting


def build(
    told: o.Act,
    buildpacks: Annotated[
        list[str] | None,
        typer.Option("--buildpack", help="Build with this one in place of those in app.json (repeatable)."),
    ] = None,
    purge: Annotated[
        bool, typer.Option("--purge-cache", help="Forget what earlier builds have left in the cache.")
    ] = False,
    accept_new: o.AcceptNew = False,
) -> None:
    """Make the slug of the source on the build host, and release nothing.

    Example: deploy build --buildpack nodejs --buildpack python
    """
    from deployer.engine import engine
    from deployer.views import json, text

    spec, sight = seen(told, accept_new, buildpacks=buildpacks)
    todo = engine.building(spec, sight)
    if purge or not todo.plan.empty:
        with acting(told, todo.plan) as order:
            if purge:
                engine.purge_cache(spec, sight, order.tell, order.lock_wait)
            if not todo.plan.empty:
                todo = engine.build(spec, sight, order)
    slug = todo.world.release.slug if todo.world.release else ""
    if told.as_json:
        text.show(json.line({"slug": slug, "host": todo.world.builder.name}))
    else:
        plain = "" if buildpacks else "deploy apply, or elsewhere "
        text.show(f"The slug {slug} is there. Next: {plain}deploy apply --slug {slug}")
