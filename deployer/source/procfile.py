"""The Procfile: process types and their commands, a line each.

The rules are what Heroku's own parsers and real files agree on: blanks around a type and its colon do not
count, `#` begins a comment only where a line begins, commands are for bash and are kept to the letter. What
most parsers drop without a word (a line with no type, a type that comes twice) is an error here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from deployer.problems import Problem, Where

LONGEST_TYPE = 63
_COMMENT = re.compile(r"\s*(#|//)")
_LINE = re.compile(r"\s*(?P<type>[A-Za-z0-9_-]+)\s*:\s*(?P<command>.*?)\s*")
_CONFLICT = re.compile(r"\s*(<{5,}|={5,}|>{5,})")
_EXAMPLE = "A line is a type, a colon and a command, such as: web: gunicorn app:app"
_NONE = "Write one line for each process, such as: web: gunicorn app:app"


@dataclass(frozen=True)
class Line:
    """One line that is neither blank nor a comment; a type of "" means that it could not be read."""

    where: Where
    type: str
    command: str


def parse(text: str, file: str = "Procfile") -> tuple[dict[str, str], tuple[Problem, ...]]:
    """Commands by process type in the order of the file, and every problem in it."""
    lines = tuple(_lines(text, file))
    problems = [*_double_slashes(text, file), *_wrong_lines(lines), *_collisions(lines)]
    if not lines:
        problems.append(Problem("The Procfile names no process", Where(file), hint=_NONE))
    processes = {line.type: line.command for line in reversed(lines) if line.type and line.command}
    return dict(reversed(processes.items())), tuple(problems)


def place(text: str, process: str, file: str = "Procfile") -> Where:
    """The line of a process type, or the file where it has none."""
    found = (line.where for line in _lines(text, file) if line.type == process)
    return next(found, Where(file))


def _numbered(text: str) -> Iterator[tuple[int, str]]:
    return enumerate(re.split(r"\r?\n", text), 1)


def _lines(text: str, file: str) -> Iterator[Line]:
    for number, source in _numbered(text):
        if source.strip() and not _COMMENT.match(source):
            found = _LINE.fullmatch(source)
            where = Where(file, number, len(source) - len(source.lstrip()) + 1, "", source)
            yield Line(where, found["type"] if found else "", found["command"] if found else "")


def _wrong_lines(lines: tuple[Line, ...]) -> Iterator[Problem]:
    for line in lines:
        if not line.type:
            conflict = _CONFLICT.match(line.where.source or "")
            hint = "Finish the merge and delete its marks." if conflict else _EXAMPLE
            yield Problem("This line is not a process", line.where, hint=hint)
        elif not line.command:
            yield Problem(f"{line.type} has no command", line.where, hint=_EXAMPLE)
        elif len(line.type) > LONGEST_TYPE:
            hint = "Shorten it: dynos are named after it."
            yield Problem(f"A process type has at most {LONGEST_TYPE} characters", line.where, hint=hint)


def _collisions(lines: tuple[Line, ...]) -> Iterator[Problem]:
    """Types that differ only in case, `-` and `_` would get dynos whose names cannot be told apart."""
    first: dict[str, Line] = {}
    for line in (line for line in lines if line.type):
        other = first.setdefault(line.type.lower().replace("_", "-"), line)
        if other.type != line.type:
            summary = f"{line.type} and {other.type} (line {other.where.line}) are too alike to tell apart"
            yield Problem(summary, line.where, hint="Give one of them another name.")
        elif other is not line:
            summary = f"{line.type} is there twice, first in line {other.where.line}"
            yield Problem(
                summary, line.where, hint="Join the commands with && or name one of them differently."
            )


def _double_slashes(text: str, file: str) -> Iterator[Problem]:
    for number, source in _numbered(text):
        if source.lstrip().startswith("//"):
            where = Where(file, number, source.index("/") + 1, "", source)
            yield Problem(
                'Heroku takes only "#" for a comment',
                where,
                hint="Write # in place of //.",
                severity="warning",
            )
