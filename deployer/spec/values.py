"""Where a value of `fleet.json` comes from."""

from __future__ import annotations

import shlex
from typing import Any

from pydantic import Field, field_validator

from deployer.spec.app import Value


class Literal(Value):
    """A config value that stands in the file itself."""

    value: str = Field(json_schema_extra={"file": ""})


class FromEnv(Value):
    """A config value that is read from the environment of whoever runs the command."""

    env: str


class FromFile(Value):
    """A config value that is the content of a local file."""

    file: str


class FromCommand(Value):
    """A config value that a local command prints; one argument an item, no shell."""

    command: tuple[str, ...]

    @field_validator("command", mode="before")
    @classmethod
    def _words(cls, raw: Any) -> Any:
        return tuple(shlex.split(raw)) if isinstance(raw, str) else raw


Source = Literal | FromEnv | FromFile | FromCommand
