"""domains list: under which names the app answers."""

from __future__ import annotations

from typing import Any

import typer

from deployer.cli import options as o
from deployer.cli.looking import known, looked
from deployer.cli.telling import say


def listed(told: o.Look, context: typer.Context) -> None:
    """Say under which names the app answers, as `list` does.

    Example: deploy domains
    """
    if not context.invoked_subcommand:
        list_domains(told)


def list_domains(told: o.Look) -> None:
    """List the names that the app answers to, what asks for each, and which routers know it.

    Example: deploy domains list
    """
    from deployer.planning import status
    from deployer.views import text

    spec = known(told)
    sight, settings = looked(told, spec)
    found = status.domains(spec.fleet, settings.domains, sight.facts)
    head = ("DOMAIN", "SOURCE", "ROUTERS")
    say(told, found, text.table([head, *(_row(domain) for domain in found)]))


def _row(domain: dict[str, Any]) -> tuple[object, ...]:
    missing = f"not {', '.join(domain['missing'])} (next: deploy apply)" if domain["missing"] else ""
    routers = ", ".join(domain["routers"])
    return domain["domain"], domain["source"], "; ".join(filter(None, (routers, missing)))
