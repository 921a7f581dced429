"""Lines from several logplex hosts on their way to one reader."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from deployer.world.logs import keyed, overflow, stamp

BOUND = 10_000
"""Lines that wait for a slow reader; what comes then is dropped and counted (L11)."""
HOLD = 0.25
"""Seconds that a line waits for older ones of other hosts."""
KNOWN = 100_000
"""Lines that are remembered, to tell the doubles of the logplex hosts."""


class Reel:
    """Lines that come from several threads for one reader: without doubles, by time, and bounded.

    `told` are words about the logplex hosts themselves, which are never dropped.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock, self.more = clock, threading.Condition()
        self.waiting: list[tuple[float, str]] = []
        self.told: deque[str] = deque()
        self.known: dict[int, None] = {}
        self.dropped, self.since = 0, ""

    def add(self, line: str, times: int = 0) -> None:
        """`times` tells lines that are the same and no doubles (`world.logs.Repeats`)."""
        with self.more:
            if not self._is_new((line, times)):
                return
            if len(self.waiting) >= BOUND:
                self.since = self.since or stamp(line)
                self.dropped += 1
                return
            self.waiting.append((self.clock(), line))
            self.more.notify()

    def tell(self, words: str) -> None:
        with self.more:
            self.told.append(words)
            self.more.notify()

    def know(self, lines: Iterable[str]) -> None:
        """These lines of a host were shown already."""
        with self.more:
            for key in keyed(lines):
                self._is_new(key)

    def take(self, patience: float) -> tuple[list[str], list[str]]:
        """What is ripe, by time, and what is told; empty where nothing came in so many seconds."""
        with self.more:
            if not self.waiting and not self.told:
                self.more.wait(patience)
            ready = self._ripe()
            told = list(self.told)
            self.told.clear()
            return ready, told

    def _is_new(self, counted: tuple[str, int]) -> bool:
        key = hash(counted)
        if key in self.known:
            return False
        self.known[key] = None
        if len(self.known) > KNOWN:
            del self.known[next(iter(self.known))]
        return True

    def _ripe(self) -> list[str]:
        """With those that are younger but were written before: they would come too late."""
        end = self.clock() - HOLD
        last = max((stamp(line) for at, line in self.waiting if at <= end), default="")
        ready = [line for at, line in self.waiting if at <= end or stamp(line) <= last]
        self.waiting = [(at, line) for at, line in self.waiting if at > end and stamp(line) > last]
        ready.sort(key=stamp)
        if self.dropped and ready:
            ready.append(overflow(self.dropped, self.since, stamp(ready[-1])))
            self.dropped, self.since = 0, ""
        return ready
