"""Problems, readings and progress as lines for a person. Every function returns text; `show` prints it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from deployer.problems import Problem

_COLOUR = {"create": "32", "update": "33", "delete": "31", "error": "31", "warning": "33", "dim": "2"}


def show(text: str, err: bool = False) -> None:
    """Print; the only place of the project that does."""
    print(text, file=sys.stderr if err else sys.stdout, flush=True)


def colour(text: str, kind: str, on: bool) -> str:
    return f"\033[{_COLOUR[kind]}m{text}\033[0m" if on else text


def terminal(err: bool = False) -> bool:
    """Whether it may be in colour: on a terminal, unless NO_COLOR is set (no-color.org)."""
    return not os.environ.get("NO_COLOR") and (sys.stderr if err else sys.stdout).isatty()


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


def value(of: object) -> str:
    """What a field holds, in words."""
    words = {None: "none", True: "yes", False: "no"}
    return words[of] if of is None or isinstance(of, bool) else str(of)


def table(rows: Iterable[tuple[object, ...]]) -> str:
    """Columns as wide as their widest cell."""
    cells = [[str(c) for c in row] for row in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))] if cells else []
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells
    )
