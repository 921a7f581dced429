"""rollback: an apply, to an older release."""

from __future__ import annotations

from typing import Annotated

import typer

from deployer.cli import options as o
from deployer.cli.deploy import apply


def rollback(
    told: o.Act,
    name: Annotated[str, typer.Argument(metavar="RELEASE", help="Which one, such as v7.")] = "previous",
    yes: o.Yes = False,
    accept_new: o.AcceptNew = False,
    no_proof: o.NoProof = False,
) -> None:
    """Release an older release's slug and config anew, as a plan to agree to: apply --to.

    Example: deploy rollback v7
    """
    apply(told, yes=yes, to=name, accept_new=accept_new, no_proof=no_proof)
