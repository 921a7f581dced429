"""What a plan is made of: stages, steps and their acts. Nothing here can run anything."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from pathlib import Path


class Stage(IntEnum):
    """Barriers over the whole fleet, in this order (docs/architecture.md, "Stages")."""

    PREPARE = 1
    LOGS = 2
    IMAGE = 3
    BUILD = 4
    SHIP = 5
    RELEASE = 6
    START = 7
    ROUTE = 8
    WATCH = 9
    POSTDEPLOY = 10
    RETIRE = 11


Barrier = tuple[Stage, int]
"""A stage, and which wave of a rollout it belongs to."""


def turn(barrier: Barrier) -> tuple[int, int, int]:
    """Sorts barriers: waves start, route, watch and retire one after another; RETIRE 0 is the end of all."""
    stage, wave = barrier
    if stage < Stage.START:
        return (0, 0, stage)
    if stage == Stage.RETIRE:
        return (1, wave - 1, stage) if wave else (2, 0, stage)
    return (2, 0, stage) if stage == Stage.POSTDEPLOY else (1, wave, stage)


def sha(content: str) -> str:
    """SHA-256 in hex, the way the probe hashes bytes on disk."""
    return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True)
class Text:
    """Content on its way to a host. A secret one never shows itself; only `remote/` calls `reveal`."""

    content: str = field(repr=False)
    secret: bool = False

    @cached_property
    def sha(self) -> str:
        return sha(self.content)

    def reveal(self) -> str:
        return self.content

    def __str__(self) -> str:
        return "(secret)" if self.secret else self.content

    def __repr__(self) -> str:
        return f"Text({'secret' if self.secret else self.sha[:12]})"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a tree: `path` is relative, `link` a symbolic link's target, `sha` of a file's bytes."""

    path: bytes
    mode: int
    sha: str = ""
    link: bytes = b""
    size: int = 0


@dataclass(frozen=True)
class Tree:
    """A local folder as it was read at plan time; its bytes are packed only when they are sent."""

    root: Path
    entries: tuple[Entry, ...]

    @property
    def sha(self) -> str:
        lines = (f"{e.mode:o} {e.sha or e.link.hex()} {e.path.hex()}" for e in self.entries)
        return sha("\n".join(lines))

    @property
    def size(self) -> int:
        return sum(e.size for e in self.entries)


@dataclass(frozen=True, slots=True)
class Put:
    """Make the file at `path` hold `content`, atomically, with this mode and owner."""

    path: str
    content: Text
    mode: int = 0o644
    owner: str = "root:root"


@dataclass(frozen=True, slots=True)
class Sh:
    """Run `argv` as root; exit 0 is success. `stdin` is the only way for a secret to get in."""

    argv: tuple[str, ...]
    stdin: Text | None = None
    timeout: int = 600
    """Seconds, after which the step has failed."""
    file: str = ""
    """The one that holds `stdin` afterwards, or is gone where there is none: for the reader of a plan."""


@dataclass(frozen=True, slots=True)
class Send:
    """Stream a tar of `trees` (each under its name) and `texts` to the standard input of `argv`."""

    argv: tuple[str, ...]
    trees: tuple[tuple[str, Tree], ...] = ()
    texts: tuple[tuple[str, Text], ...] = ()
    timeout: int = 900


@dataclass(frozen=True, slots=True)
class Fetch:
    """Pull `item` (below /var/lib/deployer) from the host `source`, over the fleet's own network."""

    item: str
    source: str
    address: str
    uid: int | None = None
    """Owner of what arrives, for a slug; None keeps root."""
    into: str = ""
    """Its name here, where that is another one."""
    timeout: int = 900


Act = Put | Sh | Send | Fetch


@dataclass(frozen=True, slots=True)
class Guard:
    """How a host puts itself back if nobody can reach it after a step: its files, and then `again`."""

    files: tuple[str, ...]
    again: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One act at one stage, with the words a person reads while it runs."""

    stage: Stage
    say: str
    act: Act
    once: bool = False
    """Shared by several changes of a host: it runs for the first of them."""
    live: bool = False
    """Its output is for the user, line by line as it comes."""
    wave: int = 0
    """Of START, ROUTE and WATCH, from 0; a RETIRE of wave n ends wave n - 1, and that of 0 ends the run."""
    guard: Guard | None = None
    """For what the connection itself hangs on."""
