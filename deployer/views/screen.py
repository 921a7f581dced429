"""A plan under way on a terminal: a region that lives, and above it what stays to be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from deployer.views import progress
from deployer.views.progress import Document, Now

A_SECOND = 5
"""How often the region is drawn."""


@contextmanager
def region(
    clock: Callable[[], float], console: Console | None = None
) -> Iterator[Callable[[Document], None]]:
    """What takes events as they come. `clock` gives seconds since the command began."""
    console = console or Console(stderr=True)
    now = Now()

    with Live(
        console=console,
        get_renderable=lambda: _drawn(now, clock(), console.height),
        refresh_per_second=A_SECOND,
        transient=True,
        redirect_stdout=False,
    ):

        def hear(event: Document) -> None:
            nonlocal now
            for line, style in _lasting(now, event):
                console.print(Text.from_ansi(line, style=style), soft_wrap=True)
            now = progress.heard(now, event)

        yield hear


def _lasting(before: Now, event: Document) -> Iterator[tuple[str, str]]:
    """Each line that stays, and its style."""
    if line := progress.ended(before, event):
        yield line, "red" if any(at.state == "failed" for at in before.hosts.values()) else "green"
    if line := progress.above(event):
        yield line, "red" if event["event"] == "failed" else ""


def _drawn(now: Now, clock: float, height: int) -> Group:
    """As wide as the terminal and never higher: what a host does is cut before its name and its count are."""
    name, time = progress.head(now, clock)
    rows = progress.rows(now, clock, max(height - 3, 2))
    shown = (
        _grid([(name, time)], widest=0, style="bold"),
        _grid([(f"  {row[0]}", *row[1:]) for row in rows], 2),
    )
    return Group(*(grid for grid in shown if grid.row_count))


def _grid(rows: Sequence[tuple[str, ...]], widest: int, style: str = "") -> Table:
    """Columns as wide as need be; the `widest` takes what is left. The last one is at the right edge."""
    grid = Table.grid(padding=(0, 2), expand=True)
    for n, _ in enumerate(rows[0] if rows else ()):
        side: Literal["left", "right"] = "right" if n == len(rows[0]) - 1 else "left"
        grid.add_column(no_wrap=True, overflow="ellipsis", justify=side, ratio=1 if n == widest else None)
    for row in rows:
        grid.add_row(*map(Text, row), style=style)
    return grid
