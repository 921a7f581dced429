"""domains list: under which names the app answers."""

from __future__ import annotations

from typing import Any

import typer

from deployer.cli import options as o
from deployer.cli.platform import looked


def listed(
    context: typer.Context,
    folder: o.Folder = o.HERE,
    environment: o.Environment = None,
    as_json: o.Json = False,
    without: o.Without = None,
) -> None:
    """Say under which names the app answers, as `list` does.

    Example: deploy domains
    """
    if not context.invoked_subcommand:
        list_domains(folder, environment, as_json, without)


def list_domains(
    folder: o.Folder = o.HERE,
    environment: o.Environment = None,
    as_json: o.Json = False,
    without: o.Without = None,
) -> None:
    """List the names that the app answers to, what asks for each, and which routers know it.

    Example: deploy domains list
    """
    from deployer.planning import status
    from deployer.views import json, text

    spec = o.known(folder, environment)
    sight, settings = looked(spec, without)
    found = status.domains(spec.fleet, settings.domains, sight.facts)
    if as_json:
        text.show(json.document(found))
    else:
        text.show(text.table([("DOMAIN", "SOURCE", "ROUTERS"), *(_row(domain) for domain in found)]))


def _row(domain: dict[str, Any]) -> tuple[object, ...]:
    missing = f"not {', '.join(domain['missing'])} (next: deploy apply)" if domain["missing"] else ""
    routers = ", ".join(domain["routers"])
    return domain["domain"], domain["source"], "; ".join(filter(None, (routers, missing)))
