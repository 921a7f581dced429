"""Dyno sizes: Heroku's by their names, and how memory is written."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, field_validator

from deployer.app import Value

DEFAULT_SIZE = "standard"
_MEGABYTES = {"mb": 1, "gb": 1024, "tb": 1024 * 1024}


def megabytes(raw: Any) -> Any:
    """ "1.5GB" as 1536; what is no such text is given back as it is."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([MGT]B)", raw, re.IGNORECASE) if isinstance(raw, str) else None
    return round(float(found[1]) * _MEGABYTES[found[2].lower()]) if found else raw


class Size(Value):
    """What one dyno may use: memory in MB, and processes and threads together."""

    name: str = Field(json_schema_extra={"file": ""})
    memory: int
    pids: int = 512

    @field_validator("memory", mode="before")
    @classmethod
    def _megabytes(cls, raw: Any) -> Any:
        return megabytes(raw)


_FREE_TO_STANDARD = {
    "free": (512, 256),
    "eco": (512, 256),
    "hobby": (512, 256),
    "basic": (512, 256),
    "standard": (1536, 512),
    "standard-1x": (512, 256),
    "standard-2x": (1024, 512),
}
_PERFORMANCE = {
    "performance-m": (2560, 16384),
    "performance-l": (14336, 32768),
    "performance-l-ram": (30720, 24576),
    "performance-xl": (63488, 32768),
    "performance-2xl": (129024, 65536),
}
_PRIVATE = {
    f"{space}-{size}": limits
    for space in ("private", "shield")
    for size, limits in (("s", (1024, 512)), ("m", (2560, 16384)), ("l", (14336, 32768)))
}
SIZES = {
    name: Size(name=name, memory=memory, pids=pids)
    for name, (memory, pids) in (_FREE_TO_STANDARD | _PERFORMANCE | _PRIVATE).items()
}
"""Heroku's sizes with their memory quota and process limit, dead plans too, and our own "standard"."""
