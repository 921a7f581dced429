"""What systemd does by the text of a unit's file: what it starts and stops besides, and what it takes away."""

from __future__ import annotations

import re
from functools import cache

FOLDER = "/etc/systemd/system/"


@cache
def file_of(unit: str) -> str:
    """Instances share that of their template."""
    return FOLDER + re.sub(r"@.*\.", "@.", unit)


def instance(unit: str) -> str:
    return unit.partition("@")[2].rpartition(".")[0]


@cache
def required(text: str) -> list[str]:
    """The units of ours without which this one does not run."""
    return re.findall(r"^Requires=(deployer\.\S+)$", text, re.M)


@cache
def taken_away(unit: str, text: str) -> list[str]:
    """The marks that are gone once it has stopped (`dyno-end.sh` takes the one of a dyno)."""
    ends = re.findall(r"^ExecStopPost=(.+)$", text.replace("%i", instance(unit)), re.M)
    plain = [end.removeprefix("rm -f ") for end in ends if end.startswith("rm -f ")]
    of_dyno = (
        [f"/run/deployer/dynos/{instance(unit)}.loaded"] if any("dyno-end" in end for end in ends) else []
    )
    return plain + of_dyno
