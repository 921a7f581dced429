"""What a stack is: the base image that a dyno runs on, and what is added to build on it."""

from __future__ import annotations

import json
from collections.abc import Iterable

from deployer.model.steps import sha
from deployer.spec.app import Value


class Stack(Value):
    """`suite` is Debian's code name; `run` are packages of every dyno, `build` come on top for builds."""

    name: str
    description: str = ""
    suite: str
    run: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    updates: str = ""
    """The day, as an ISO date, whose security updates the images hold; "" for the day they are made."""

    @property
    def definition(self) -> str:
        """12 hex digits that change with what apps can count on; a slug is built for it."""
        return self._digest({"name", "suite", "run", "build"})

    @property
    def digest(self) -> str:
        """12 hex digits that change with whatever changes the image."""
        return self._digest({"name", "suite", "run", "build", "updates"}) if self.updates else self.definition

    def _digest(self, fields: set[str]) -> str:
        return sha(json.dumps(self.model_dump(include=fields), sort_keys=True))[:12]


def named(name: str, stacks: Iterable[Stack]) -> Stack | None:
    """The stack of this name or alias, in any case."""
    return next((s for s in stacks if name.lower() in (s.name, *s.aliases)), None)
