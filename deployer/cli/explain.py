"""explain: why one resource is, or will be, as it is."""

from __future__ import annotations

from typing import Annotated

import typer

from deployer.cli import options as o
from deployer.cli.looking import decided, seen
from deployer.cli.telling import say


def explain(
    told: o.Look,
    address: Annotated[
        str, typer.Argument(help="As the plan prints it, with or without its host, or a dyno as in `ps`.")
    ],
    slug: o.Slug = "",
) -> None:
    """Tell who asks for one resource, what the host holds, and what would settle a difference.

    Example: deploy explain nginx/box-1/hello
    """
    from deployer.planning.explain import explain as explained
    from deployer.views.explanation import explanation

    spec, sight = seen(told, slug=slug)
    todo = decided(spec, sight)
    document = explained(spec, todo.world, todo.plan, address)
    say(told, document, explanation(document))
