"""What a fleet promises at any time, as judges of what was seen of it: the campaign's watcher asks them after each look."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

HANDOVER = 10.0
"""Seconds in which a lock that is given up is gone from all hosts: those of `LET_GO`, and a machine that is busy."""


@dataclass(frozen=True)
class Look:
    """What was seen at a moment, in seconds; a dyno is `host/key`. A host that is switched off is in neither `up` nor `locks`."""

    at: float
    named: Mapping[str, frozenset[str]]
    """By router, the dynos that it hands requests to."""
    up: Mapping[str, frozenset[str]]
    """By host, the web dynos that have come up and were not told to stop."""
    locks: Mapping[str, str]
    """By host, the id of who holds its lock."""

    def is_off(self, dyno: str) -> bool:
        return dyno.partition("/")[0] not in self.up


@dataclass
class Proven:
    """No router names a dyno that has never been up. Of one whose host is off nobody can tell: it stays named by right."""

    seen: set[str] = field(default_factory=set)

    def judge(self, look: Look) -> Iterator[str]:
        named = frozenset[str]().union(*look.named.values())
        self.seen |= frozenset[str]().union(*look.up.values()) | {dyno for dyno in named if look.is_off(dyno)}
        for router in sorted(look.named):
            for dyno in sorted(look.named[router] - self.seen):
                yield f"{router} names {dyno}, which has never been up"


@dataclass
class Floor:
    """Once there, so many web dynos stay up. When a host is switched off, from when they are up again."""

    wanted: int
    hosts: frozenset[str]
    reached: bool = False
    fewest: int | None = None
    """Seen since it was reached first."""

    def ask(self, wanted: int) -> None:
        """Another number from now on."""
        self.wanted, self.reached, self.fewest = wanted, False, None

    def judge(self, look: Look) -> Iterator[str]:
        count = sum(map(len, look.up.values()))
        is_whole = self.hosts <= look.up.keys()
        self.reached = is_whole and (self.reached or count >= self.wanted)
        if not self.reached:
            return
        self.fewest = min(count, count if self.fewest is None else self.fewest)
        if count < self.wanted:
            yield f"{count} web dynos are up, not {self.wanted}: {sorted(frozenset[str]().union(*look.up.values()))}"


@dataclass
class OneHolder:
    """Nobody has the lock of a host while another has that of another host, but for the moment in which he gives it up."""

    since: float | None = None

    def judge(self, look: Look) -> Iterator[str]:
        if len(set(look.locks.values())) < 2:
            self.since = None
            return
        self.since = look.at if self.since is None else self.since
        if look.at - self.since > HANDOVER:
            yield f"for {look.at - self.since:.0f} s the lock has had two holders: {dict(sorted(look.locks.items()))}"
