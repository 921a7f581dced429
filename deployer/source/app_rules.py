"""What an `app.json` of the right shape may still get wrong, or say in a way that only old files do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from deployer.problems import Problem, Where
from deployer.source.names import PORT, objection
from deployer.source.text import escape, name, shown
from deployer.spec.app import as_text

At = Callable[[str], Where]
"""The place of a JSON pointer in the file at hand."""

_FOREIGN = {
    "expo": "Expo (React Native)",
    "displayName": "React Native",
    "pages": "WeChat (a mini program)",
}


def foreign(keys: Collection[str], at: At) -> Iterator[Problem]:
    """An error if these top-level keys of an `app.json` are those of another tool, which says whose."""
    for key in sorted(_FOREIGN.keys() & set(keys))[:1]:
        hint = "Run this where the app.json of a Heroku app is, or put one beside its Procfile."
        yield Problem(f"This app.json is for {_FOREIGN[key]}, not for Heroku", at(f"/{key}"), hint=hint)


def first_key(text: str) -> tuple[str, ...]:
    """The first key of a JSON object, for a file that cannot be read to its end."""
    found = re.match(r'\s*\{\s*"(\w+)"', text)
    return (found[1],) if found else ()


def check(data: dict[str, Any], at: At) -> Iterator[Problem]:
    """Every finding that needs no other file. `data` may hold None for list items that were taken out."""
    for key, raw in data.get("env", {}).items():
        yield from _forms(f"/env/{escape(key)}", raw, at)
        yield from _name(key, raw, at(f"/env/{escape(key)}"))
    if isinstance(data.get("addons"), str):
        yield _odd(
            "addons is one string, read as a list of one",
            at("/addons"),
            f"Write [{json.dumps(data['addons'])}].",
        )
    if isinstance(data.get("formation"), list):
        yield from _old_formation(data["formation"], at)


def _odd(summary: str, where: Where, hint: str) -> Problem:
    return Problem(summary, where, hint=hint, severity="warning")


def _forms(pointer: str, raw: Any, at: At) -> Iterator[Problem]:
    var = raw if isinstance(raw, dict) else {"value": raw}
    value, required = var.get("value"), var.get("required")
    place = f"{pointer}/value" if isinstance(raw, dict) else pointer
    if value is not None and not isinstance(value, str):
        text = json.dumps(as_text(value))
        yield _odd(f"{name(place)} is read as the text {text}", at(place), f"Write it with quotes: {text}.")
    if isinstance(required, str):
        truth = required.lower()
        yield _odd(
            f"{name(pointer)}.required is read as {truth}",
            at(f"{pointer}/required"),
            f"Write {truth} without quotes.",
        )


def _name(key: str, raw: Any, where: Where) -> Iterator[Problem]:
    reason = objection(key)
    if not reason:
        return
    gives = not isinstance(raw, dict) or raw.get("value") is not None or "generator" in raw
    if gives and key != PORT and not key.startswith("HEROKU_"):
        yield Problem(f"{shown(key)} {reason}", where, hint="Rename it, here and in the app.")
    else:
        yield _odd(f"{shown(key)} {reason}; it is left out", where, "Take it out of env.")


def _old_formation(rows: list[dict[str, Any] | None], at: At) -> Iterator[Problem]:
    yield _odd(
        "formation is a list, read as an object of process types",
        at("/formation"),
        'Write {"web": {"quantity": 1}}.',
    )
    seen: dict[str, int] = {}
    for index, row in enumerate(rows):
        if row and seen.setdefault(row["process"], index) != index:
            summary = f"formation has {shown(row['process'])} twice, first as item {seen[row['process']]}"
            yield Problem(summary, at(f"/formation/{index}"), hint="Keep one of them.")
