"""explain: why one resource is, or will be, as it is."""

from __future__ import annotations

from typing import Annotated

import typer

from deployer.cli import options as o
from deployer.cli.looking import decided, seen


def explain(
    address: Annotated[
        str, typer.Argument(help="As the plan prints it, with or without its host, or a dyno as in `ps`.")
    ],
    folder: o.Folder = o.HERE,
    environment: o.Environment = None,
    as_json: o.Json = False,
    slug: o.Slug = "",
    without: o.Without = None,
) -> None:
    """Tell who asks for one resource, what the host holds, and what would settle a difference.

    Example: deploy explain nginx/box-1/hello
    """
    from deployer.planning.explain import explain as explained
    from deployer.views import json, text
    from deployer.views.explanation import explanation

    spec, sight = seen(folder, environment, without, False, slug)
    todo = decided(spec, sight)
    document = explained(spec, todo.world, todo.plan, address)
    text.show(json.document(document) if as_json else explanation(document))
