"""The lock of one host: a conversation with the process there that holds it (`lock.py`)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, Queue
from threading import Thread
from typing import Any

from deployer.remote.channel import MARK, NO_PYTHON

RENEW = 15
"""Seconds; a lease of 60 s outlives three renewals that came to nothing."""
ANSWER = 15
"""Seconds for a host to answer; one that takes longer counts as one whose link broke."""
STEP = 30
"""Seconds more that a host waits for a step of an earlier apply."""
LET_GO = 10
REST = "what is left is the next plan"

Record = dict[str, Any]
"""Who holds a lock: `who`, `doing` and `age` in seconds."""


@dataclass
class Grip:
    """What is known of one host's lock. `dial` opens the conversation; `hang_up` ends the whole link."""

    host: str
    dial: Callable[[], Any]
    hang_up: Callable[[], None]
    lost: Callable[[str, str], None]
    """Told once if the lock is lost while it is held: in words, and what the host said."""
    unwanted: Callable[[], bool] = lambda: False
    """Whether the wait for it is to end."""
    channel: Any = None
    held: bool = False
    dropped: bool = False
    other: Record | None = None
    """Who holds it instead."""
    said: list[str] = field(default_factory=list)
    """What came that is no answer: why the script failed."""
    failed: bool = False
    answers: Queue[Record] = field(default_factory=Queue)
    thread: Thread | None = None


def at_once(job: Callable[[Grip], None], grips: Iterable[Grip], seconds: float) -> None:
    """`job` on all of them; what is not done after `seconds` is left behind."""
    threads = [Thread(target=job, args=(grip,), daemon=True) for grip in grips]
    for thread in threads:
        thread.start()
    until = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))


def take(grip: Grip, waits: Callable[[str, Record], None]) -> None:
    """Begin, and set `held`, `other` or `failed`; none if the link broke, on a fresh host, or if unwanted."""
    grip.thread = Thread(target=_converse, args=(grip,), daemon=True)
    grip.thread.start()
    found = _answer(grip, ANSWER)
    if "waits" in found:
        waits(grip.host, found["waits"])
        found = _answer(grip, STEP + ANSWER)
    grip.other = found if "who" in found else found.get("lost")
    grip.failed = found.get("ended", NO_PYTHON) != NO_PYTHON
    if not found:
        grip.hang_up()  # nobody knows what would still be done over it, without a lock


def let_go(grip: Grip) -> None:
    """Give it up, and wait until that is done."""
    grip.dropped = True
    if grip.channel is not None and grip.thread is not None:
        with suppress(OSError):  # the link broke: over there the lock ends with it
            grip.channel.send(b"drop\n")
            grip.channel.shutdown_write()  # the end is heard even if the word was read ahead with the request
        grip.thread.join(LET_GO)
        grip.channel.close()


def _answer(grip: Grip, seconds: int) -> Record:
    """Seconds are counted one by one: a client that was itself held up has not listened in that time."""
    for _ in range(seconds):
        with suppress(Empty):
            return grip.answers.get(timeout=1)
        if grip.unwanted():
            return {"unwanted": True}
    return {}


def _converse(grip: Grip) -> None:
    try:
        grip.channel = grip.dial()
        if grip.dropped:
            grip.channel.close()
            return
        for line in _lines(grip.channel):
            _hear(grip, line)
        end = {} if grip.dropped else _end(grip)
    except Exception as error:  # a broken link is what the host answers; the steps meet it by themselves
        grip.said.append(str(error))
        end = {}
    grip.answers.put(end)
    if end and grip.held and not grip.dropped and not grip.other:
        why = f"the lock of {grip.host} is held no longer: its process there ended; {REST}"
        grip.lost(why, "\n".join(grip.said))


def _lines(channel: Any) -> Iterator[bytes]:
    """What the host says; whenever it has been silent for a while, the lease is renewed."""
    channel.settimeout(RENEW)
    rest = b""
    while True:
        try:
            block = channel.recv(4096)
        except TimeoutError:
            # It may have ended, and what it said last is still to be read; `sendall` would never return then.
            with suppress(OSError):
                channel.send(b"renew\n")
            continue
        if not block:
            return
        *lines, rest = (rest + block).split(b"\n")
        yield from lines


def _hear(grip: Grip, line: bytes) -> None:
    if line == MARK:
        grip.said.clear()  # that was the login's shell
        return
    if not line.startswith(b"{"):
        grip.said.append(line.decode("utf-8", "replace"))
        return
    answer = json.loads(line)
    grip.held = grip.held or "held" in answer
    grip.answers.put(answer)
    if "lost" in answer and grip.held and not grip.dropped:
        grip.other = answer["lost"]
        whose = f"{grip.other['who']} ({grip.other['doing']})"
        grip.lost(f"the lock of {grip.host} was taken by {whose}; {REST}", "\n".join(grip.said))


def _end(grip: Grip) -> Record:
    """The exit status, if the link outlived the talk: paramiko ends its channels a moment before the link."""
    status = grip.channel.recv_exit_status()
    time.sleep(0.3)
    return {"ended": status} if grip.channel.get_transport().is_active() else {}
