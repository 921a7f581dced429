"""How live tests wait: for what they want to see, and with an end."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(holds: Callable[[], object], seconds: float = 30, problem: str = "it never came to hold") -> None:
    """Returns as soon as it holds; fails the test when it still does not after that many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{problem} ({seconds:.0f} s)"
        time.sleep(0.1)
