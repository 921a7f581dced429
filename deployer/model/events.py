"""What happens while a plan runs, as values; views draw them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Event:
    """Something that happened while a plan ran; views draw it, nothing else does."""

    kind: Literal[
        "stage",
        "start",
        "line",
        "output",
        "ok",
        "failed",
        "done",
        "undo",
        "look",
        "wait",
        "locked",
        "unlocked",
        "proof",
        "stop",
    ]
    host: str = ""
    address: str = ""
    say: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self, elapsed: float) -> dict[str, Any]:
        """The public shape, `schemas/event.schema.json`; `elapsed` is in seconds since the command began."""
        public = {"event": self.kind, "host": self.host, "address": self.address, "say": self.say}
        return public | {"elapsed": round(elapsed, 2)} | dict(self.detail)


Tell = Callable[[Event], None]
"""Who wants to hear of events."""
