"""What the tests of the campaign share: a seed, a report, and an apply that is met at one of its events."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import here
from conftest import SEED, Shop

from deployer.lab import container

LONG = os.environ.get("CHAOS") == "long"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PATIENCE = "90s"
"""How long an apply waits for the lease of one that was killed."""
EVENTUALLY = 180.0
"""Seconds in which a plain apply mends whatever there was: 32 were the most that was seen, on a busy machine."""


def chance(name: str) -> random.Random:
    """Random numbers that CHAOS_SEED brings back, the same for a test whichever others run."""
    print(f"CHAOS_SEED={SEED} brings this back ({name})")
    return random.Random(f"{SEED} {name}")


def report(line: str) -> None:
    """A figure for docs/reliability.md: printed, and kept in the file that CHAOS_REPORT names."""
    print(line)
    if name := os.environ.get("CHAOS_REPORT"):
        with open(name, "a") as file:
            file.write(f"{line}\n")


def attach(host: str, script: str, check: bool = True) -> str:
    """Runs a shell script as root inside a practice host, past its sshd."""
    pid = container.state(here.ground(), host)[1]
    inside = (
        "nsenter",
        "--target",
        str(pid),
        "--mount",
        "--uts",
        "--ipc",
        "--net",
        "--pid",
        "--root",
        "--wd",
    )
    argv = (*inside, "env", f"PATH={PATH}", "sh", "-c", script)
    done = subprocess.run(
        argv, capture_output=True, text=True, check=False, timeout=60, stdin=subprocess.DEVNULL
    )
    assert not check or done.returncode == 0, f"{host}: {script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Seen:
    """An event of a run, and when it was read."""

    at: float
    kind: str
    host: str
    address: str
    say: str

    @property
    def boundary(self) -> bool:
        """Before a remote step, or after it."""
        return self.kind in ("start", "ok")


@dataclass
class Done:
    """A run of the command line that has ended."""

    code: int
    events: list[Seen]
    stdout: str
    stderr: str
    began: float
    seconds: float

    @property
    def boundaries(self) -> list[Seen]:
        return [event for event in self.events if event.boundary]

    def locked(self) -> float:
        """Seconds that the lock was held: a release with a build takes it twice."""
        moments = {kind: sum(e.at for e in self.events if e.kind == kind) for kind in ("locked", "unlocked")}
        return moments["unlocked"] - moments["locked"]

    def stage(self, name: str) -> list[float]:
        """When each wave of a stage began."""
        return [e.at for e in self.events if e.kind == "stage" and e.say.startswith(name)]


Meet = Callable[[subprocess.Popen[str], Seen], None]
"""What is done to a run, or to the world, at one of its events."""
When = Callable[[Seen, int], bool]
"""Whether this event, of this number, is the one."""


def kill(process: subprocess.Popen[str], _: Seen) -> None:
    process.kill()


def send(number: signal.Signals) -> Meet:
    return lambda process, _: process.send_signal(number)


def nothing(_process: subprocess.Popen[str], _event: Seen) -> None:
    """For a run that is only watched."""


def run(shop: Shop, *words: str, when: When | None = None, do: Meet = nothing) -> Done:
    """A command with --json; `do` is called once, at the first event of which `when(event, its number)` is true.

    Boundaries are numbered from 1; an event that is none has the number of the last.
    """
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as said:
        argv = shop.argv(*words, "--json")
        process = subprocess.Popen(
            argv, env=shop.environment, stdout=subprocess.PIPE, stderr=said, text=True, start_new_session=True
        )
        watchdog = threading.Timer(600, process.kill)
        watchdog.start()
        try:
            events, lines = _follow(process, when, do)
            code = process.wait()
        finally:
            watchdog.cancel()
            process.kill()
        said.seek(0)
        return Done(code, events, "".join(lines), said.read(), began, time.monotonic() - began)


def _follow(process: subprocess.Popen[str], when: When | None, do: Meet) -> tuple[list[Seen], list[str]]:
    events: list[Seen] = []
    lines: list[str] = []
    number, met = 0, when is None
    for line in process.stdout or ():
        lines.append(line)
        event = _event(line)
        if event is None:
            continue
        events.append(event)
        number += event.boundary
        if not met and when is not None and when(event, number):
            met = True
            do(process, event)
    return events, lines


def _event(line: str) -> Seen | None:
    try:
        found = json.loads(line)
    except ValueError:  # the last line of a run that was killed may be half a line
        return None
    if not isinstance(found, dict) or "event" not in found:
        return None
    return Seen(time.monotonic(), found["event"], found["host"], found["address"], found["say"])


def at(k: int) -> When:
    """When boundary number `k` is read."""
    return lambda event, number: event.boundary and number >= k


def past(stage: str, k: int) -> When:
    """When `k` boundaries were read since a stage began. From SHIP on a release holds its lock to the end."""
    begun: list[int] = []

    def when(event: Seen, number: int) -> bool:
        if event.kind == "stage" and event.say == stage:
            begun.append(number)
        return bool(begun) and number >= begun[0] + k

    return when


def edited(shop: Shop, word: str) -> None:
    """Another release: the page shows the word."""
    (shop.folder / "word.txt").write_text(f"{word}\n")


@contextmanager
def fleet_with(shop: Shop, **changes: Any) -> Iterator[None]:
    """fleet.json with these keys while the block runs; what was applied of it is not undone here."""
    path: Path = shop.folder / "fleet.json"
    before = path.read_text()
    shop.edit("fleet.json", **changes)
    try:
        yield
    finally:
        path.write_text(before)


def whole(shop: Shop, *words: str) -> float:
    """What holds eventually: after a plain apply, no unlock, the plan is empty. The seconds that the apply took."""
    began = time.monotonic()
    shop.apply("--lock-wait", PATIENCE, *words)
    seconds = time.monotonic() - began
    assert shop.changes() == []
    assert seconds <= EVENTUALLY
    return seconds
