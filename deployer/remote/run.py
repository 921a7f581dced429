"""One apply under way, as all who have a part in it see it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from deployer.model.events import Event, Tell
from deployer.model.plan import Plan
from deployer.model.steps import Stage, Step, Text
from deployer.problems import Problem
from deployer.remote.stopping import Stop

if TYPE_CHECKING:
    from deployer.remote.connect import Links

Steps = tuple[tuple[str, Step], ...]
"""What one host does at a barrier, each step with the address of its change."""


@dataclass
class Run:
    """One apply under way: what failed, by host, and what must never be said aloud."""

    links: Links
    plan: Plan
    tell: Tell
    hidden: tuple[Text, ...] = ()
    """What no output may show."""
    stop: Stop = field(default_factory=Stop)
    lock: str = ""
    """The id of the lock under which it runs; a build has none."""
    key: Text = field(default_factory=lambda: Text(secrets.token_hex(32), secret=True))
    failed: dict[str, Problem] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    """Those of the failed whose link broke or that fell silent, so that no step is known to have failed."""
    addresses: dict[str, str] = field(default_factory=dict)
    """The change whose step failed, by host; a host that could not run steps at all has none."""
    stage: Stage | None = None
    stopped: bool = False
    """It ended early, for `stop.why`, and some steps were not begun."""

    def event(self, kind: Any, **words: Any) -> None:
        self.tell(Event(kind, **words))
