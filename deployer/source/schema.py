"""The shape of a file: every difference from its JSON Schema at once, and what is left without them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from deployer.problems import Problem
from deployer.source.text import Document, escape, name

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_TYPES = {
    "string": "a string",
    "object": "an object",
    "array": "a list",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
_KINDS = {str: "a string", dict: "an object", list: "a list", bool: "true or false", type(None): "null"}
_MEANT = {"desc": "description", "default": "value"}
"""Keys in real files whose meaning no likeness of letters tells."""


def check(document: Document, schema: dict[str, Any]) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """The data without what is wrong or unknown, and a problem for each of these.

    Taken-out list items become None, so that the others keep their JSON pointers. The data is empty where
    the file holds no object.
    """
    if not isinstance(document.data, dict):
        summary = f"{document.title} must hold an object, not {_kind(document.data)}"
        return {}, (Problem(summary, document.where(""), hint=schema["description"]),)
    problems = list(dict.fromkeys(_problems(document, _errors(schema, document.data))))
    data, bad = document.data, _pointers(problems)
    while bad:
        data = _without(data, bad)
        bad = _pointers(_problems(document, _errors(schema, data)))
    return data, tuple(problems)


def _pointers(problems: Iterable[Problem]) -> set[str]:
    """The pointers of what can be taken out, so not of the whole file."""
    return {p.where.pointer for p in problems if p.where and p.where.pointer}


def nearest(word: object, known: Iterable[object]) -> str:
    """'Did you mean "router"?', or nothing where no known word is like this one."""
    words = sorted(w for w in known if isinstance(w, str))
    close = [w for w in words if w == _MEANT.get(str(word))] or get_close_matches(str(word), words, n=1)
    return f'Did you mean "{close[0]}"?' if close else ""


def _errors(schema: dict[str, Any], data: Any) -> Iterator[ValidationError]:
    from jsonschema import Draft202012Validator, validators  # 0.1 s: only who reads files waits for it

    validator = validators.extend(Draft202012Validator, {"pattern": _pattern})
    return (error for error in validator(schema).iter_errors(data) if not _taken_out(error))


def _taken_out(error: ValidationError) -> bool:
    return error.instance is None and bool(error.path) and isinstance(error.absolute_path[-1], int)


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    """`$` is the very end, as in JavaScript; Python's would let a newline follow."""
    from jsonschema.exceptions import ValidationError

    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield ValidationError("pattern")


def _problems(document: Document, errors: Iterable[ValidationError]) -> Iterator[Problem]:
    for error in errors:
        pointer = "".join(f"/{escape(str(key))}" for key in error.absolute_path)
        if error.validator == "additionalProperties":
            yield from _unknown_keys(document, pointer, error)
        elif "propertyNames" in error.absolute_schema_path:
            yield _wrong(document, f"{pointer}/{escape(error.instance)}", error)
        else:
            yield _wrong(document, pointer, error)


def _unknown_keys(document: Document, pointer: str, error: ValidationError) -> Iterator[Problem]:
    known = error.schema["properties"]
    for key in (key for key in error.instance if key not in known):
        where = document.where(f"{pointer}/{escape(key)}")
        hint = nearest(key, known) or "It is not used."
        summary = f"{name(where.pointer)} is not a key of {document.title}"
        yield Problem(summary, where, hint=hint, severity="warning")


def _wrong(document: Document, pointer: str, error: ValidationError) -> Problem:
    sentence = _SENTENCES[str(error.validator)](error.validator_value, error.instance)
    subject = name(pointer) or document.title
    return Problem(f"{subject} {sentence}", document.where(pointer), hint=_hint(error))


def _hint(error: ValidationError) -> str:
    like = nearest(error.instance, error.validator_value) if error.validator == "enum" else ""
    said = str(error.schema.get("description", ""))
    shown = (json.dumps(example) for example in error.schema.get("examples", ()))
    return like or (f"{said} For example: {_listed(shown, 'or')}" if "examples" in error.schema else said)


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a number")


def _without(data: Any, bad: set[str], pointer: str = "") -> Any:
    if isinstance(data, dict):
        steps = {key: f"{pointer}/{escape(key)}" for key in data}
        return {key: _without(data[key], bad, step) for key, step in steps.items() if step not in bad}
    if isinstance(data, list):
        steps_in = (f"{pointer}/{index}" for index in range(len(data)))
        return [None if s in bad else _without(item, bad, s) for item, s in zip(data, steps_in, strict=True)]
    return data


def _listed(words: Iterable[object], joint: str) -> str:
    *others, last = (str(word) for word in words)
    return f"{', '.join(others)} {joint} {last}" if others else last


def _type(allowed: str | list[str], value: Any) -> str:
    types = [allowed] if isinstance(allowed, str) else allowed
    return f"must be {_listed((_TYPES[t] for t in types), 'or')}, not {_kind(value)}"


def _lacks(required: list[str], value: dict[str, Any]) -> str:
    missing = (json.dumps(key) for key in required if key not in value)
    return f"lacks {_listed(missing, 'and')}"


def _choice(known: list[Any], value: Any) -> str:
    words = dict.fromkeys(str(word).lower() for word in known)
    return f"must be {_listed(words, 'or')}, not {json.dumps(value, ensure_ascii=False)}"


def _one_of(branches: list[dict[str, list[str]]], _value: Any) -> str:
    keys = (json.dumps(branch["required"][0]) for branch in branches)
    return f"needs {_listed(keys, 'or')}"


_SENTENCES: dict[str, Callable[[Any, Any], str]] = {
    "type": _type,
    "required": _lacks,
    "enum": _choice,
    "anyOf": _one_of,
    "pattern": lambda _, value: f"has the wrong form: {json.dumps(value, ensure_ascii=False)}",
    "minimum": lambda least, value: f"must be at least {least}, not {value}",
    "maximum": lambda most, value: f"must be at most {most}, not {value}",
    "minLength": lambda *_: "is empty",
    "minItems": lambda *_: "is empty",
    "maxItems": lambda most, value: f"may hold {most} at most, not {len(value)}",
    "minProperties": lambda *_: "is empty",
    "maxProperties": lambda most, _: f"may have only {most} key",
    "uniqueItems": lambda *_: "holds the same thing twice",
}
"""How each rule of our schemas is said: of its own value and the value found."""
