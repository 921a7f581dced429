"""Local text files: their bytes as text, their JSON as data, and the place of every value in them."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NoReturn

from deployer.problems import InputError, Problem, Where

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_UTF16 = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_ADVICE = (
    (re.compile(r"-?(NaN|Infinity)"), "Write it as a string, between double quotes."),
    (re.compile(r"//|/\*|#"), "JSON has no comments: remove it."),
    (re.compile(r"'"), "JSON strings stand between double quotes."),
    (re.compile(r'"'), "Is a comma or a colon missing before this?"),
)
_MEANING = {
    "Extra data": "The first value ends before this: is a brace too many, or one missing at the start?",
    "Expecting ':' delimiter": "A colon and a value must follow the key.",
}


@dataclass(frozen=True)
class Document:
    """A JSON file that could be read; `where` finds the line of any JSON pointer in it."""

    file: str
    text: str = field(default="{}", repr=False)
    data: Any = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The name of the file, without its folder."""
        return Path(self.file).name

    @cached_property
    def _offsets(self) -> dict[str, int]:
        return dict(positions(self.text))

    @cached_property
    def _secrets(self) -> frozenset[str]:
        config = self.data.get("config") if isinstance(self.data, dict) else None
        values = config.values() if isinstance(config, dict) else ()
        return frozenset(json.dumps(value) for value in values if not isinstance(value, dict | list))

    def where(self, pointer: str) -> Where:
        """The place of a value (of its key, in an object), or of the nearest one around it."""
        known = pointer
        while known and known not in self._offsets:
            known = known.rpartition("/")[0]
        return self.at(self._offsets.get(known, 0), pointer)

    def at(self, offset: int, pointer: str = "") -> Where:
        """The place of an offset; its line is left out where it would show a config value."""
        where = place(self.file, self.text, offset, pointer)
        tokens = (token[0] for token in _TOKEN.finditer(where.source or "") if token[0] not in "{}[],:")
        shows = self._secrets and any(json.dumps(json.loads(token)) in self._secrets for token in tokens)
        return replace(where, source=None) if shows else where


def read(path: Path) -> str:
    """The text of a file, without a byte order mark. Raises InputError where it is missing or no text."""
    try:
        return decode(path.read_bytes(), str(path))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(Problem(f"{path.name} cannot be read: {reason}", Where(str(path)))) from error


def decode(content: bytes, file: str) -> str:
    """UTF-8, or UTF-16 that says so with a byte order mark (as PowerShell writes it)."""
    encoding = _UTF16.get(content[:2], "utf-8-sig")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        before = content[: error.start].decode(encoding, "replace")
        where = place(file, content.decode(encoding, "replace"), len(before))
        problem = Problem(f"{Path(file).name} is not UTF-8 text", where, hint="Save it as UTF-8.")
        raise InputError(problem) from error
    if "\0" in text:
        where = place(file, text.replace("\0", "\ufffd"), text.index("\0"))
        summary = f"{Path(file).name} is not text: it holds a NUL byte"
        raise InputError(Problem(summary, where, hint="Save it as UTF-8."))
    return text


def parse(text: str, file: str) -> Document:
    """Strict JSON. Raises InputError with line and column where it is broken."""
    if not text.strip():
        hint = "Write {} or delete the file, if there is nothing to say."
        raise InputError(Problem(f"{Path(file).name} is empty", Where(file), hint=hint))
    try:
        data = json.loads(text, parse_constant=partial(_no_number, text))
    except json.JSONDecodeError as error:
        raise InputError(_broken(error, file)) from error
    except (ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        reason = "is nested too deeply" if deep else "holds a number of too many digits"
        raise InputError(Problem(f"{Path(file).name} {reason}", Where(file))) from error
    if unusable := tuple(_unusable_strings(text, file)):
        raise InputError(unusable)
    return Document(file, text, data)


def _unusable_strings(text: str, file: str) -> Iterator[Problem]:
    """Escapes can spell what neither a file nor an environment can hold."""
    tokens = _TOKEN.finditer(text) if "\\u" in text else ()
    for token in (token for token in tokens if "\\u" in token[0]):
        string, where = json.loads(token[0]), place(file, text, token.start())
        if "\0" in string:
            hint = "No environment can hold it: take it out."
            yield Problem("This holds a NUL character", where, hint=hint)
        if any("\ud800" <= character <= "\udfff" for character in string):
            hint = "Write the character itself, or both halves of its \\u pair."
            yield Problem("This holds half a character", where, hint=hint)


def _no_number(text: str, constant: str) -> NoReturn:
    at = next(token.start() for token in _TOKEN.finditer(text) if token[0] == constant)
    raise json.JSONDecodeError(f"{constant} is no JSON number", text, at)


def _broken(error: json.JSONDecodeError, file: str) -> Problem:
    where = place(file, error.doc, error.pos)
    return Problem(f"{Path(file).name} is not JSON: {error.msg}", where, hint=_advice(error))


def _advice(error: json.JSONDecodeError) -> str:
    before, rest = error.doc[: error.pos].rstrip(), error.doc[error.pos :]
    if before.endswith(",") and rest[:1] in ("}", "]"):
        return "JSON allows no comma after the last item: remove the one before this."
    by_mark = (advice for start, advice in _ADVICE if start.match(rest))
    return _MEANING.get(error.msg) or next(by_mark, "Look at what stands before this, too.")


def duplicates(document: Document) -> Iterator[Problem]:
    """A warning for each key that one object holds twice; the last one counts, as JSON readers have it."""
    first: dict[str, int] = {}
    told: list[str] = []
    for pointer, offset in positions(document.text):
        if pointer in first and not any(pointer == t or pointer.startswith(f"{t}/") for t in told):
            told.append(pointer)
            line = document.at(first[pointer]).line
            summary = f"{name(pointer)} is written twice, first in line {line}; the last one counts"
            where = document.at(offset, pointer)
            yield Problem(summary, where, hint="Delete the one that is not meant.", severity="warning")
        first.setdefault(pointer, offset)


def positions(text: str) -> Iterator[tuple[str, int]]:
    """Pointer and offset of every key and array item of a JSON text that is known to be right."""
    path: list[str | int | None] = []
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "}]":
            path.pop()
        elif mark == ",":
            path[-1] = path[-1] + 1 if isinstance(path[-1], int) else None
        elif path and path[-1] is None:
            path[-1] = json.loads(mark)
            yield _pointer(path), token.start()
        elif path and isinstance(path[-1], int) and mark != ":":
            yield _pointer(path), token.start()
        if mark in "{[":
            path.append(None if mark == "{" else 0)


def _pointer(path: list[str | int | None]) -> str:
    return "".join(f"/{escape(str(key))}" for key in path)


def escape(key: str) -> str:
    """A key as one step of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def name(pointer: str) -> str:
    """A JSON pointer the way people say it: `/hosts/0/roles` is hosts[0].roles."""
    keys = (shown(key.replace("~1", "/").replace("~0", "~")) for key in pointer.split("/")[1:])
    return "".join(f"[{key}]" if key.isdigit() else f".{key}" for key in keys).lstrip(".")


def shown(word: str) -> str:
    """A user's word inside a sentence; one that would break the line or the terminal is escaped."""
    return word if word.isprintable() else json.dumps(word)


def place(file: str, text: str, offset: int, pointer: str = "") -> Where:
    """Line and column (from 1) of an offset, with the line itself."""
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    source = text[start : end if end >= 0 else len(text)].rstrip("\r")
    return Where(file, text.count("\n", 0, offset) + 1, offset - start + 1, pointer, source)
