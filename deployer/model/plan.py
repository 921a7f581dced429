"""A plan: what differs, and the steps that make it true. It holds nothing that could run one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from deployer.model.steps import Barrier, Stage, Step, turn

_SORTED = json.JSONEncoder(sort_keys=True)
Action = Literal["create", "update", "delete"]
NEW = "not there yet"
"""The cause of what is created for no other reason."""
Shown = str | int | bool | None
"""A value as the public shape of a plan may hold it; secrets are digests by then."""


@dataclass(frozen=True)
class Capacity:
    """How many dynos of a type are healthy before, at the worst moment of, and after a rollout."""

    before: int
    fewest: int
    after: int


@dataclass(frozen=True, slots=True)
class Field:
    """One difference inside a change, ready to be shown."""

    name: str
    before: Shown
    after: Shown
    digest: bool = False
    """Whether it is of digests, which tell that something differs, and not what."""

    def as_dict(self) -> dict[str, Shown]:
        return {"name": self.name, "before": self.before, "after": self.after, "digest": self.digest}


@dataclass(frozen=True, slots=True)
class Change:
    """What will happen to one resource: `address` is `provider/host/key`."""

    address: str
    action: Action
    host: str
    cause: str
    fields: tuple[Field, ...]
    steps: tuple[Step, ...] = field(repr=False)
    relies: str = ""
    """12 hex digits of what was seen of the resource: while that holds, so do the steps (diff.relied)."""
    base: bool = False
    """Whether its host has it for its roles, whatever apps there are (Provider.base)."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "address": self.address,
            "action": self.action,
            "host": self.host,
            "cause": self.cause,
            "relies": self.relies,
            "base": self.base,
            "fields": [f.as_dict() for f in self.fields],
            "stages": sorted({s.stage.name for s in self.steps}, key=lambda n: Stage[n]),
            "steps": [{"stage": s.stage.name, "wave": s.wave, "say": s.say} for s in self.steps],
        }


def digest(changes: Iterable[Mapping[str, Any]]) -> str:
    """What tells two plans apart: the digest of their changes as documents, as one JSON list."""
    found = hashlib.sha256(b"[")
    for i, change in enumerate(changes):
        found.update((", " * bool(i) + _SORTED.encode(change)).encode())
    found.update(b"]")
    return found.hexdigest()


@dataclass(frozen=True)
class Plan:
    """Everything that differs, sorted by address; empty means that there is nothing to do."""

    app: str
    release: str
    changes: tuple[Change, ...]
    in_sync: int
    hosts: tuple[str, ...]
    notes: tuple[str, ...] = ()
    capacity: Mapping[str, Capacity] = field(default_factory=dict)
    """By process type, for those that the plan starts, restarts or stops."""

    @property
    def empty(self) -> bool:
        return not self.changes

    @property
    def digest(self) -> str:
        """Equal for equal changes, whoever plans and whenever; secrets are not in it."""
        return digest(c.as_dict() for c in self.changes)

    def barriers(self) -> tuple[Barrier, ...]:
        """All that the plan has steps at, in their order."""
        return tuple(sorted({(s.stage, s.wave) for c in self.changes for s in c.steps}, key=turn))

    def steps(self, host: str, stage: Stage, wave: int = 0) -> tuple[tuple[str, Step], ...]:
        """A host's steps at a barrier, in their order, each with the address of its change.

        RETIRE runs backwards: dynos stop before what they stand on goes, and records come last.
        """
        changes = self._by_host.get(host, ())
        mine = changes[::-1] if stage == Stage.RETIRE else changes
        steps = [(c.address, s) for c in mine for s in c.steps if (s.stage, s.wave) == (stage, wave)]
        shared = [s for _, s in steps]
        return tuple(pair for i, pair in enumerate(steps) if not (pair[1].once and pair[1] in shared[:i]))

    def on(self, host: str) -> Plan:
        """One host's part."""
        return replace(self, changes=self._by_host.get(host, ()), hosts=(host,))

    @cached_property
    def _by_host(self) -> Mapping[str, tuple[Change, ...]]:
        found: dict[str, list[Change]] = {}
        for change in self.changes:
            found.setdefault(change.host, []).append(change)
        return {host: tuple(changes) for host, changes in found.items()}

    def until(self, last: Stage) -> Plan:
        """What of the plan is done up to a stage, and nothing of what comes after."""
        return self._only(lambda step: step.stage <= last)

    def at(self, stage: Stage) -> Plan:
        return self._only(lambda step: step.stage == stage)

    def before(self, stage: Stage) -> Plan:
        """All that comes before the first barrier of a stage, or before where its first would be."""
        barriers = (barrier for barrier in self.barriers() if barrier[0] == stage)
        end = min(turn(barrier) for barrier in (*barriers, (stage, 0)))
        return self._only(lambda step: turn((step.stage, step.wave)) < end)

    def _only(self, wanted: Callable[[Step], bool]) -> Plan:
        parts = ((c, tuple(s for s in c.steps if wanted(s))) for c in self.changes)
        return replace(self, changes=tuple(replace(c, steps=steps) for c, steps in parts if steps))

    def count(self, action: Action) -> int:
        return sum(c.action == action for c in self.changes)

    def as_dict(self) -> dict[str, Any]:
        """The public shape, `schemas/plan.schema.json`."""
        changes = [c.as_dict() for c in self.changes]
        return {
            "version": 1,
            "app": self.app,
            "release": self.release,
            "digest": digest(changes),
            "summary": self.summary(),
            "hosts": list(self.hosts),
            "notes": list(self.notes),
            "capacity": {kind: asdict(self.capacity[kind]) for kind in sorted(self.capacity)},
            "changes": changes,
        }

    def summary(self) -> dict[str, int]:
        actions: tuple[Action, ...] = ("create", "update", "delete")
        return {a: self.count(a) for a in actions} | {"in_sync": self.in_sync, "hosts": len(self.hosts)}
