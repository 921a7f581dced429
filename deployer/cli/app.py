"""All commands, in the order of their help."""

from __future__ import annotations

import typer

from deployer.cli import build, deploy, lab, reading, releases

app = typer.Typer(
    name="deploy",
    help="A self-hosted Heroku, driven like Terraform, that needs nothing on the machines but SSH.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (deploy.validate, deploy.plan, build.build, deploy.apply, deploy.destroy, deploy.unlock):
    app.command()(command)
for command in (reading.ps, reading.logs):
    app.command()(command)
app.add_typer(releases.app, name="releases")
app.add_typer(lab.app, name="lab", help="A practice fleet on this machine, as root.")
