"""A plan under way on a terminal: a region that lives, and above it what stays to be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
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

    def drawn() -> Table:
        return _table(now, clock(), console.height)

    with Live(console=console, get_renderable=drawn, refresh_per_second=A_SECOND, transient=True):

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


def _table(now: Now, clock: float, height: int) -> Table:
    """As wide as the terminal and never higher: what a host does is cut before its name and its count are."""
    table = Table.grid(padding=(0, 2), expand=True)
    for name, share in (("host", None), ("count", None), ("say", 1), ("time", None)):
        table.add_column(name, no_wrap=True, overflow="ellipsis", ratio=share)
    name, time = progress.head(now, clock)
    if name:
        table.add_row(Text(name, "bold"), "", "", Text(time))
    for host, *cells in progress.rows(now, clock, max(height - 3, 2)):
        table.add_row(Text(f"  {host}"), *map(Text, cells))
    return table
