"""What an app is: `app.json` and `Procfile` as typed, frozen values.

Each class takes the forms that Heroku's users really write (a string for `{"value": …}`, a number for its
text) and holds only one. Whether the file is right is not asked here: `deployer.source` has seen to that.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

DEFAULT_STACK = "debian-12"


class Value(BaseModel):
    """The base of everything that users write: frozen, and no key is let through unread."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Scale(Value):
    """How many dynos of a process type run, and of which size (lower case; None is the fleet's default)."""

    quantity: int = Field(ge=0)
    size: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_type(cls, raw: Any) -> Any:
        return {key: raw[key] for key in raw if key != "process"} if isinstance(raw, dict) else raw

    @field_validator("size")
    @classmethod
    def _lower_case(cls, size: str | None) -> str | None:
        return size.lower() if size else size


class Var(Value):
    """A declared config var; without value and generator somebody else gives it, if it is required."""

    value: str | None = None
    required: bool = True
    generator: str | None = None
    description: str = ""

    @model_validator(mode="before")
    @classmethod
    def _from_plain_value(cls, raw: Any) -> Any:
        return {"value": raw} if isinstance(raw, str | bool | int | float) else raw

    @field_validator("value", mode="before")
    @classmethod
    def _text(cls, raw: Any) -> str | None:
        return as_text(raw)


class Addon(Value):
    """A service that the app expects. In the file `service` and `plan` are one word: "service:plan"."""

    service: str = Field(json_schema_extra={"file": "plan"})
    plan: str | None = None
    name: str | None = Field(default=None, validation_alias="as")
    options: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _split(cls, raw: Any) -> Any:
        raw = {"plan": raw} if isinstance(raw, str) else raw
        if not isinstance(raw, dict) or "service" in raw:
            return raw
        service, _, plan = raw["plan"].partition(":")
        return raw | {"service": service, "plan": plan or None}

    @field_validator("options", mode="before")
    @classmethod
    def _texts(cls, raw: Any) -> Any:
        return {name: as_text(value) for name, value in raw.items()}


class App(Value):
    """One app as its folder declares it, the environment chosen and the name of the stack our own."""

    title: str = Field(default="", validation_alias="name")
    description: str = ""
    keywords: tuple[str, ...] = ()
    website: str = ""
    repository: str = ""
    logo: str = ""
    success_url: str = ""
    image: str = ""
    stack: str = DEFAULT_STACK
    scripts: dict[str, str] = {}
    env: dict[str, Var] = {}
    formation: dict[str, Scale] = {}
    addons: tuple[Addon, ...] = ()
    buildpacks: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    """The names that `-e` may take."""
    processes: dict[str, str] = Field(default={}, json_schema_extra={"file": ""})
    """The commands of the Procfile, in its order."""

    @field_validator("scripts", mode="before")
    @classmethod
    def _commands(cls, raw: Any) -> Any:
        return {name: s["command"] if isinstance(s, dict) else s for name, s in raw.items()}

    @field_validator("formation", mode="before")
    @classmethod
    def _by_type(cls, raw: Any) -> Any:
        return {row["process"]: row for row in raw} if isinstance(raw, list) else raw

    @field_validator("addons", mode="before")
    @classmethod
    def _one_or_many(cls, raw: Any) -> Any:
        return (raw,) if isinstance(raw, str) else raw

    @field_validator("buildpacks", mode="before")
    @classmethod
    def _urls(cls, raw: Any) -> Any:
        return tuple(b["url"] if isinstance(b, dict) else b for b in raw)

    @field_validator("environments", mode="before")
    @classmethod
    def _names(cls, raw: Any) -> Any:
        return tuple(sorted(raw))


def as_text(raw: Any) -> str | None:
    """A JSON value the way a config var holds it: `80` is "80", `true` is "true", null is nothing."""
    return raw if raw is None or isinstance(raw, str) else json.dumps(raw)


def in_environment(document: dict[str, Any], environment: str | None) -> dict[str, Any]:
    """An `app.json` as one environment sees it.

    A key of `environments.<environment>` replaces the whole key of the base: nothing is merged deeply, so one
    variable in an environment's `env` drops all those of the base (Heroku contract 1.7).
    """
    chosen: dict[str, Any] = document.get("environments", {}).get(environment, {})
    return document | chosen


def load_app(document: dict[str, Any], processes: dict[str, str]) -> App:
    """The app of a checked `app.json`, in its environment, and of the processes of its Procfile."""
    keys = {key: value for key, value in document.items() if key != "$schema"}
    return App.model_validate(keys | {"processes": processes})
