"""The values of a plan: stages, steps, changes. Nothing here can run anything."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal

Action = Literal["create", "update", "delete"]
Shown = str | int | bool | None
"""A value as the public shape of a plan may hold it; secrets are digests by then."""


class Stage(IntEnum):
    """Barriers over the whole fleet, in this order (docs/architecture.md, "Stages")."""

    PREPARE = 1
    IMAGE = 2
    BUILD = 3
    SHIP = 4
    LOGS = 5
    RELEASE = 6
    START = 7
    ROUTE = 8
    POSTDEPLOY = 9
    RETIRE = 10


def sha(content: str) -> str:
    """SHA-256 in hex, the way the probe hashes bytes on disk."""
    return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True)
class Text:
    """Content on its way to a host. A secret one never shows itself; only `remote/` calls `reveal`."""

    content: str = field(repr=False)
    secret: bool = False

    @property
    def sha(self) -> str:
        return sha(self.content)

    def reveal(self) -> str:
        return self.content

    def __str__(self) -> str:
        return "(secret)" if self.secret else self.content

    def __repr__(self) -> str:
        return f"Text({'secret' if self.secret else self.sha[:12]})"


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Put:
    """Make the file at `path` hold `content`, atomically, with this mode and owner."""

    path: str
    content: Text
    mode: int = 0o644
    owner: str = "root:root"


@dataclass(frozen=True)
class Sh:
    """Run `argv` as root; exit 0 is success. `stdin` is the only way for a secret to get in."""

    argv: tuple[str, ...]
    stdin: Text | None = None
    timeout: int = 600
    """Seconds, after which the step has failed."""


@dataclass(frozen=True)
class Send:
    """Stream a tar of `trees` (each under its name) and `texts` to the standard input of `argv`."""

    argv: tuple[str, ...]
    trees: tuple[tuple[str, Tree], ...] = ()
    texts: tuple[tuple[str, Text], ...] = ()
    timeout: int = 900


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Step:
    """One act at one stage, with the words a person reads while it runs."""

    stage: Stage
    say: str
    act: Act
    once: bool = False
    """Shared by several changes of a host: it runs for the first of them."""
    live: bool = False
    """Its output is for the user, line by line as it comes."""


@dataclass(frozen=True)
class Field:
    """One difference inside a change, ready to be shown."""

    name: str
    before: Shown
    after: Shown


@dataclass(frozen=True)
class Change:
    """What will happen to one resource: `address` is `provider/host/key`."""

    address: str
    action: Action
    host: str
    cause: str
    fields: tuple[Field, ...]
    steps: tuple[Step, ...] = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "action": self.action,
            "host": self.host,
            "cause": self.cause,
            "fields": [{"name": f.name, "before": f.before, "after": f.after} for f in self.fields],
            "stages": sorted({s.stage.name for s in self.steps}, key=lambda n: Stage[n]),
            "steps": [{"stage": s.stage.name, "say": s.say} for s in self.steps],
        }


@dataclass(frozen=True)
class Plan:
    """Everything that differs, sorted by address; empty means that there is nothing to do."""

    app: str
    release: str
    changes: tuple[Change, ...]
    in_sync: int
    hosts: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return not self.changes

    @property
    def digest(self) -> str:
        """Equal for equal changes, whoever plans and whenever; secrets are not in it."""
        return sha(json.dumps([c.as_dict() for c in self.changes], sort_keys=True))

    def steps(self, host: str, stage: Stage) -> tuple[tuple[str, Step], ...]:
        """A host's steps at a stage, in their order, each with the address of its change.

        RETIRE runs backwards: dynos stop before what they stand on goes, and records come last.
        """
        changes = self.changes[::-1] if stage == Stage.RETIRE else self.changes
        steps = [(c.address, s) for c in changes if c.host == host for s in c.steps if s.stage == stage]
        shared = [s for _, s in steps]
        return tuple(pair for i, pair in enumerate(steps) if not (pair[1].once and pair[1] in shared[:i]))

    def until(self, host: str, last: Stage) -> Plan:
        """What of the plan one host does up to a stage, and nothing of what comes after."""
        mine = ((c, tuple(s for s in c.steps if s.stage <= last)) for c in self.changes if c.host == host)
        return replace(
            self, changes=tuple(replace(c, steps=steps) for c, steps in mine if steps), hosts=(host,)
        )

    def count(self, action: Action) -> int:
        return sum(c.action == action for c in self.changes)

    def as_dict(self) -> dict[str, Any]:
        """The public shape, `schemas/plan.schema.json`."""
        return {
            "version": 1,
            "app": self.app,
            "release": self.release,
            "digest": self.digest,
            "summary": self.summary(),
            "hosts": list(self.hosts),
            "notes": list(self.notes),
            "changes": [c.as_dict() for c in self.changes],
        }

    def summary(self) -> dict[str, int]:
        actions: tuple[Action, ...] = ("create", "update", "delete")
        return {a: self.count(a) for a in actions} | {"in_sync": self.in_sync, "hosts": len(self.hosts)}
