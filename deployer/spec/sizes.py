"""What one dyno may use: sizes by name, Heroku's and our own."""

from __future__ import annotations

import re
from typing import Any

from pydantic import Field, field_validator

from deployer.spec.app import Value

DEFAULT_SIZE = "standard"
_MEGABYTES = {"mb": 1, "gb": 1024, "tb": 1024 * 1024}


def megabytes(raw: Any) -> Any:
    """ "1.5GB" as 1536; what is no such text is given back as it is."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([MGT]B)", raw, re.IGNORECASE) if isinstance(raw, str) else None
    return round(float(found[1]) * _MEGABYTES[found[2].lower()]) if found else raw


class Size(Value):
    """What one dyno may use: memory in MB, and processes and threads together.

    Past `memory` it is warned of (R14); at `limit` it is ended and starts again (R15).
    """

    name: str = Field(json_schema_extra={"file": ""})
    memory: int
    limit: int = 0
    pids: int = 512

    @field_validator("memory", "limit", mode="before")
    @classmethod
    def _megabytes(cls, raw: Any) -> Any:
        return megabytes(raw)

    def model_post_init(self, _context: object, /) -> None:
        """A third more where nothing is said: hosts are filled up to the sum of `memory`."""
        if not self.limit:
            object.__setattr__(self, "limit", self.memory * 4 // 3)


_FREE_TO_STANDARD = {
    "free": (512, 1024, 256),
    "eco": (512, 1024, 256),
    "hobby": (512, 1024, 256),
    "basic": (512, 1024, 256),
    "standard": (1536, 2048, 512),
    "standard-1x": (512, 1024, 256),
    "standard-2x": (1024, 2048, 512),
}
_PERFORMANCE = {
    "performance-m": (2560, 5120, 16384),
    "performance-l": (14336, 28672, 32768),
    "performance-l-ram": (30720, 36864, 24576),
    "performance-xl": (63488, 75776, 32768),
    "performance-2xl": (129024, 154624, 65536),
}
_PRIVATE = {
    f"{space}-{size}": limits
    for space in ("private", "shield")
    for size, limits in (("s", (1024, 1024, 512)), ("m", (2560, 2560, 16384)), ("l", (14336, 14336, 32768)))
}
SIZES = {
    name: Size(name=name, memory=memory, limit=limit, pids=pids)
    for name, (memory, limit, pids) in (_FREE_TO_STANDARD | _PERFORMANCE | _PRIVATE).items()
}
"""Heroku's sizes with memory quota, hard limit and process limit (contract 3.1), dead plans too, and our own
"standard"."""
