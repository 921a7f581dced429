"""rollback: an apply, to an older release."""

from __future__ import annotations

from typing import Annotated

import typer

from deployer.cli import options as o
from deployer.cli.deploy import apply


def rollback(
    name: Annotated[str, typer.Argument(metavar="RELEASE", help="Which one, such as v7.")] = "previous",
    folder: o.Folder = o.HERE,
    environment: o.Environment = None,
    yes: o.Yes = False,
    as_json: o.Json = False,
    without: o.Without = None,
    accept_new: o.AcceptNew = False,
    lock_wait: o.LockWait = 0,
    no_proof: o.NoProof = False,
) -> None:
    """Release an older release's slug and config anew, as a plan to agree to: apply --to.

    Example: deploy rollback v7
    """
    apply(
        folder=folder,
        environment=environment,
        yes=yes,
        as_json=as_json,
        to=name,
        without=without,
        accept_new=accept_new,
        lock_wait=lock_wait,
        no_proof=no_proof,
    )
