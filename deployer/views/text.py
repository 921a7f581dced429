"""Plans, problems and readings as lines for a person. Every function returns text; `show` prints it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any

from deployer.problems import Problem

_SIGN = {"create": "+", "update": "~", "delete": "-"}
_COLOUR = {"create": "32", "update": "33", "delete": "31", "error": "31", "warning": "33", "dim": "2"}


def show(text: str, err: bool = False) -> None:
    """Print; the only place of the project that does."""
    print(text, file=sys.stderr if err else sys.stdout, flush=True)


def colour(text: str, kind: str, on: bool) -> str:
    return f"\033[{_COLOUR[kind]}m{text}\033[0m" if on else text


def terminal(err: bool = False) -> bool:
    """Whether it may be in colour: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return not os.environ.get("NO_COLOR") and (sys.stderr if err else sys.stdout).isatty()


def plan(document: Mapping[str, Any], seconds: float, tinted: bool = False, every: bool = False) -> str:
    """The plan by host. `every` shows the fields of what is created and deleted too."""
    if not document["changes"]:
        return f"No changes. {_summary(document, seconds)}"
    lines = []
    for host, changes in groupby(document["changes"], key=lambda c: c["host"]):
        lines += [host, *(line for change in changes for line in _change(change, tinted, every)), ""]
    return "\n".join((*lines, *_capacity(document), *document["notes"], _summary(document, seconds)))


def _capacity(document: Mapping[str, Any]) -> list[str]:
    """How many dynos of each type stay healthy on the way, and in how many waves."""
    kinds = [
        f"{kind} {c['before']} → {c['after']}, never fewer than {c['fewest']}"
        for kind, c in document["capacity"].items()
    ]
    waves = 1 + max((s["wave"] for change in document["changes"] for s in change["steps"]), default=0)
    return [f"Healthy dynos: {'; '.join(kinds)}{f' ({waves} waves)' if waves > 1 else ''}"] if kinds else []


def _change(change: Mapping[str, Any], tinted: bool, every: bool) -> list[str]:
    name = "/".join(change["address"].split("/")[:1] + change["address"].split("/")[2:])
    head = f"  {_SIGN[change['action']]} {name}"
    lines = [colour(head, change["action"], tinted) + f"  ({change['cause']})"]
    if every or change["action"] == "update":
        lines += [
            f"      {f['name']}: {_value(f['before'])} → {_value(f['after'])}" for f in change["fields"]
        ]
    return lines


def _value(value: object) -> str:
    return (
        "none"
        if value is None
        else {True: "yes", False: "no"}.get(value, str(value))
        if isinstance(value, bool)
        else str(value)
    )


def _summary(document: Mapping[str, Any], seconds: float) -> str:
    s = document["summary"]
    counts = (
        f"{s['create']} to create, {s['update']} to update, {s['delete']} to delete, {s['in_sync']} in sync"
    )
    return f"Plan: {counts} ({s['hosts']} host{'s' if s['hosts'] != 1 else ''}, {seconds:.1f} s)"


def problem(found: Problem, tinted: bool = False) -> str:
    """`file:line:column: pointer: what`, the source line with a marker, and what to do."""
    place = f"{found.where}: " if found.where else ""
    pointer = f"{found.where.pointer}: " if found.where and found.where.pointer else ""
    lines = [place + pointer + colour(f"{found.severity}: ", found.severity, tinted) + found.summary]
    lines += _marked(found)
    lines += [f"    {line}" for line in found.detail.splitlines()]
    return "\n".join((*lines, *([f"  next: {found.hint}"] if found.hint else [])))


def _marked(found: Problem) -> list[str]:
    where = found.where
    if where is None or where.source is None or where.line is None:
        return []
    gutter = f"  {where.line} | "
    marker = [" " * (len(gutter) + where.column - 1) + "^"] if where.column else []
    return [gutter + where.source, *marker]


def table(rows: Iterable[tuple[object, ...]]) -> str:
    """Columns as wide as their widest cell."""
    cells = [[str(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))] if cells else []
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells
    )
