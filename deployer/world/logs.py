"""Log lines of an app on their way to a reader: what is asked for, in which order, and how they look."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from deployer.problems import InputError, Problem
from deployer.spec.durations import seconds

LATEST = 100
SOURCES = ("", "app", "heroku")
_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
_HEAD = re.compile(r"^(\S+) ([a-z]+)\[([^\]]+)\]: ?")
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u2028\u2029]|\x1b(?!\\[[0-9;]*m)")


@dataclass(frozen=True)
class Query:
    """Which lines of an app: the latest `number` (None is all) since a moment, of one source and process."""

    app: str
    number: int | None = LATEST
    source: str = ""
    process: str = ""
    since: str = ""

    def argv(self, place: str = "end") -> tuple[str, ...]:
        """The words of log-tail; `place` is its FROM."""
        count = "all" if self.number is None else str(self.number)
        return (self.app, count, self.source, self.process, self.since, place)


def query(app: str, number: int | None, source: str, process: str, since: str) -> Query:
    """What the flags ask for: all lines `since`, else the latest hundred. Raises InputError."""
    if source not in SOURCES:
        hint = "use --source app or --source heroku"
        raise InputError(Problem(f"there is no log source {source!r}", hint=hint))
    if number is None and not since:
        number = LATEST
    return Query(app, number, source, process, moment(since) if since else "")


def moment(text: str) -> str:
    """`10m` as seconds before now, by the host's clock; a date, with or without a time, as a stamp in UTC."""
    if re.fullmatch(r"\s*[0-9]+[smh]?\s*", text):
        return f"-{seconds(text)}"
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        hint = "say how long ago (10m, 2h) or since when, in UTC: 2026-11-26 or 2026-11-26T10:15"
        raise InputError(Problem(f"{text!r} is no time", hint=hint)) from None
    at = found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    return at.isoformat(timespec="microseconds")


def stamp(line: str) -> str:
    return line.partition(" ")[0]


class Repeats:
    """Numbers the lines of a host: the same line at once again was written twice, later again it is a double.

    What a host has sent before its connection broke, it sends once more afterwards.
    """

    def __init__(self) -> None:
        self.last, self.times = "", 0

    def key(self, line: str) -> tuple[str, int]:
        self.times = self.times + 1 if line == self.last else 0
        self.last = line
        return line, self.times


def keyed(lines: Iterable[str]) -> Iterator[tuple[str, int]]:
    return map(Repeats().key, lines)


def merged(parts: Iterable[Iterable[str]], number: int | None) -> list[str]:
    """The lines that several hosts have, each once and by time; those of one moment stay in their order."""
    keys = dict.fromkeys(key for part in parts for key in keyed(part))
    lines = sorted((line for line, _ in keys), key=stamp)
    return lines[-number:] if number else lines


def overflow(count: int, since: str, at: str) -> str:
    """What a tail session says of the lines that its reader was too slow for (Heroku contract 4.3)."""
    first = f"{since[:19]}+00:00"
    text = f"Error L11 (Tail buffer overflow) -> This tail session dropped {count} messages since {first}."
    return f"{at} heroku[logplex]: {text}"


def fields(line: str) -> dict[str, str]:
    """A line for programs."""
    found = _HEAD.match(line)
    if not found:
        return {"at": "", "source": "", "process": "", "text": line}
    at, source, process = found.groups()
    return {"at": at, "source": source, "process": process, "text": line[found.end() :]}


def shown(line: str, tinted: bool) -> str:
    """A line for a person: an app's colours stay, and nothing of it can move the cursor over other lines.

    `tinted` gives each process a colour of its own.
    """
    safe = _UNSAFE.sub(lambda found: f"\\x{ord(found[0]):02x}", line.rstrip("\r"))
    end = "\033[0m" if "\033" in safe else ""
    found = _HEAD.match(safe) if tinted else None
    if not found:
        return safe + end
    colour = _COLOURS[zlib.crc32(found[3].encode()) % len(_COLOURS)]
    return f"\033[{colour}m{found[0].rstrip()}\033[0m {safe[found.end() :]}{end}"
