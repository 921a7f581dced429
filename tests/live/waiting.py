"""How live tests wait: for what they want to see, and with an end."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(holds: Callable[[], object], seconds: float = 30, problem: str = "it never came to hold") -> None:
    """Returns as soon as it holds; fails the test when it still does not after that many seconds.

    Between two looks it rests for as long as the last one took: other fleets have work to do.
    """
    deadline = time.monotonic() + seconds
    while not _looked(holds):
        assert time.monotonic() < deadline, f"{problem} ({seconds:.0f} s)"


def _looked(holds: Callable[[], object]) -> bool:
    began = time.monotonic()
    if holds():
        return True
    time.sleep(max(0.1, time.monotonic() - began))
    return False
