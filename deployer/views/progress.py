"""What happens while a plan runs, as lines for a person: events in, text out. Nothing here prints.

`heard` adds one event (`schemas/event.schema.json`) to what is known; the other functions show that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Document = Mapping[str, Any]
"""An event as the public has it (`schemas/event.schema.json`)."""
_INDENT = " " * 10
_UNDER_WAY = ("waits", "works")
_BETWEEN = ("look", "proof", "undo", "locked", "unlocked")
"""What the whole fleet does between two stages."""
_NAMED = 8
"""Hosts that are named one by one in a line."""
_SHARE = "share"
"""The address of what a host does for others, besides its own steps."""


@dataclass(frozen=True)
class At:
    """How far one host is at the running stage: at which of how many steps, and since when, in seconds."""

    of: int = 0
    step: int = 0
    say: str = ""
    since: float = 0.0
    state: Literal["waits", "works", "done", "failed"] = "waits"


@dataclass(frozen=True)
class Now:
    """What the whole fleet is at, since when, and how far each host is with it."""

    name: str = ""
    since: float = 0.0
    hosts: Mapping[str, At] = field(default_factory=dict)


def heard(now: Now, event: Document) -> Now:
    """The same one event later."""
    host, clock = event["host"], event["elapsed"]
    at = now.hosts.get(host, At())
    match event["event"]:
        case "stage":
            steps = event.get("steps", {})
            return Now(_stage(event), clock, {name: At(steps.get(name, 0)) for name in event["hosts"]})
        case kind if kind in _BETWEEN:
            return Now(event["say"], clock)
        case "start" if at.state in _UNDER_WAY and event["address"] != _SHARE:
            step = at.step + 1
            return _with(now, host, At(max(at.of, step), step, event["say"], clock, "works"))
        case "done" | "failed" as state:
            return _with(now, host, replace(at, state=state))
    return now


def _with(now: Now, host: str, at: At) -> Now:
    return replace(now, hosts={**now.hosts, host: at})


def _stage(event: Document) -> str:
    return f"{event['say']}, wave {event['wave']}" if "wave" in event else str(event["say"])


def every(event: Document) -> str | None:
    """One line for each thing that happens, with all that steps print; None for what only programs want."""
    match event["event"]:
        case "line" | "output":
            return f"{_INDENT}{event['host']}: {event['text']}"
        case "start":
            return _at(event, f"  {event['host']}: {event['say']}")
        case "locked" | "unlocked":
            return _at(event, event["say"])
        case "done":
            return None
    return brief(Now(), event)


def brief(now: Now, event: Document) -> str | None:
    """One line for each stage and for each host at it, and what a build prints. `now` has the event in it."""
    match event["event"]:
        case "stage":
            return _at(event, f"{_stage(event)} on {_places(event['hosts'])}")
        case "done":
            return _at(event, f"  {event['host']}: {_steps(now.hosts[event['host']].of)}")
        case "start" if not now.name:
            return _at(event, f"  {event['host']}: {event['say']}")
        case "line":
            return f"{_INDENT}{event['text']}"
        case "proof" | "look":
            return _at(event, event["say"])
    said = above(event)
    return _at(event, f"  {said}" if event["host"] else said) if said else None


def shortened() -> Callable[[Document], str | None]:
    """`brief` for events as they come."""
    now = Now()

    def line(event: Document) -> str | None:
        nonlocal now
        now = heard(now, event)
        return brief(now, event)

    return line


def above(event: Document) -> str | None:
    """What stays to be read above a region that shows the rest."""
    match event["event"]:
        case "line":
            return f"{_INDENT}{event['text']}"
        case "start" if event.get("live"):
            return f"{event['host']}: {event['say']}"
        case "failed":
            return f"{event['host']}: FAILED: {event['say']}"
        case "wait" | "stop" | "proof" | "undo":
            return str(event["say"])
    return None


def ended(before: Now, event: Document) -> str | None:
    """One line for the stage that ends with this event; None where none does."""
    if not before.name or not before.hosts or event["event"] not in ("stage", *_BETWEEN):
        return None
    return f"{before.name:<11} {_time(event['elapsed'] - before.since):>12}   {_outcome(before.hosts)}"


def _outcome(hosts: Mapping[str, At]) -> str:
    if broken := [name for name, at in hosts.items() if at.state == "failed"]:
        return f"failed on {_places(broken)}"
    if left := [name for name, at in hosts.items() if at.state in _UNDER_WAY]:
        return f"not finished on {_places(left)}"
    return f"{_steps(sum(at.of for at in hosts.values()))} on {_places(hosts)}"


def rows(now: Now, clock: float, most: int) -> list[tuple[str, str, str, str]]:
    """A row a host: its name, step n of m, what it does, and for how long. What has no room is counted."""
    names = list(now.hosts)
    if len(names) > most:
        names = sorted(names, key=lambda name: now.hosts[name].state not in _UNDER_WAY)[: most - 1]
    shown = [_row(name, now.hosts[name], clock) for name in names]
    rest = [at for name, at in now.hosts.items() if name not in names]
    done = sum(at.state not in _UNDER_WAY for at in rest)
    return [*shown, *([(f"and {len(rest)} more", "", f"{done} of them done", "")] if rest else [])]


def head(now: Now, clock: float) -> tuple[str, str]:
    """What the fleet is at, and for how long."""
    return now.name, _time(clock - now.since)


def _row(name: str, at: At, clock: float) -> tuple[str, str, str, str]:
    count = f"step {at.step} of {at.of}" if at.state in ("works", "failed") else _steps(at.of)
    say = at.say if at.state in ("works", "failed") else ""
    return name, count, say, _time(clock - at.since) if at.state == "works" else at.state


def _places(hosts: Collection[str]) -> str:
    return ", ".join(hosts) if len(hosts) <= _NAMED else f"{len(hosts)} hosts"


def _steps(number: int) -> str:
    return f"{number} step{'' if number == 1 else 's'}"


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{max(seconds, 0):.1f} s"


def _at(event: Document, words: str) -> str:
    return f"[{event['elapsed']:6.1f}s] {words}"
