"""All commands, in the order of their help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from deployer.cli import (
    build,
    certs,
    deploy,
    domains,
    drains,
    explain,
    lab,
    options,
    platform,
    reading,
    releases,
    rollback,
    run,
)
from deployer.cli.unknown import Commands

COMMANDS: tuple[Callable[..., None], ...] = (
    deploy.validate,
    deploy.plan,
    explain.explain,
    build.build,
    deploy.apply,
    rollback.rollback,
    deploy.destroy,
    deploy.unlock,
    reading.ps,
    reading.logs,
    run.run,
    platform.maintenance,
)
app = typer.Typer(
    name="deploy",
    help="A self-hosted Heroku, driven like Terraform, that needs nothing on the machines but SSH.",
    cls=Commands,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(is_asked: bool) -> None:
    if is_asked:
        from deployer.source import data
        from deployer.views import text

        text.show(data.version())
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version this is.")
    ] = False,
) -> None:
    """Without a command, help."""


for command in COMMANDS:
    app.command()(options.spread(command))
app.add_typer(releases.app, name="releases")
platform.domains_app.callback()(options.spread(domains.listed))
platform.domains_app.command("list")(options.spread(domains.list_domains))
app.add_typer(platform.domains_app, name="domains", help="The names under which the app answers.")
app.add_typer(certs.app, name="certs", help="The certificates that the app is served with.")
app.add_typer(drains.drains_app, name="drains", help="Where log lines go besides the logplex.")
app.add_typer(lab.app, name="lab", help="A practice fleet on this machine, as root.")
