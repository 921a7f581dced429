"""Holding the lock of a fleet while something is done to it."""

from __future__ import annotations

import getpass
import json
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from deployer.problems import LockedError, Problem, Where
from deployer.remote import channel

if TYPE_CHECKING:
    from deployer.remote.connect import Links

LEASE = 300
"""Seconds without a renewal after which a dead holder's lock is nobody's."""
RENEW = 60


def who() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


@contextmanager
def locked(links: Links, doing: str, wait: int = 0) -> Iterator[None]:
    """The lock of every connected host, renewed until the block ends. Raises LockedError."""
    import gevent

    request = {"id": uuid.uuid4().hex, "who": who(), "doing": doing, "seconds": LEASE}
    _take(links, request, wait)
    keeper = gevent.spawn(_keep, links, request)
    try:
        yield
    finally:
        keeper.kill()
        _ask(links, {**request, "do": "drop"})


def unlock(links: Links, doing: str) -> None:
    """Take the lock from whoever holds it: for a holder that is known to be dead."""
    _ask(links, {"id": "", "who": who(), "doing": doing, "seconds": 0, "do": "break"})


def _take(links: Links, request: dict[str, Any], wait: int) -> None:
    import gevent

    for left in range(wait, -1, -5):
        held = _ask(links, {**request, "do": "take"})
        if not held:
            return
        _ask(links, {**request, "do": "drop"})
        if left - 5 < 0:
            raise LockedError(_held(links, name, holder) for name, holder in held.items())
        gevent.sleep(5)


def _keep(links: Links, request: dict[str, Any]) -> None:
    import gevent

    while True:
        gevent.sleep(RENEW)
        _ask(links, {**request, "do": "renew"})


def _ask(links: Links, request: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Who else holds the lock, by host; a host whose link broke has no say and is met again later."""
    line = json.dumps(request).encode() + b"\n"
    answers = links.each(lambda name: _one(links, name, line))
    return {name: found for name, found in answers.items() if isinstance(found, dict) and found}


def _one(links: Links, name: str, line: bytes) -> dict[str, Any]:
    command = channel.python_line(links.hosts[name].user)
    ended = channel.execute(links.client(name), command, (channel.script("lock.py"), line))
    return json.loads(ended.output) if ended.status == LockedError.exit_code else {}


def _held(links: Links, name: str, holder: dict[str, Any]) -> Problem:
    return Problem(
        f"{holder['who']} holds the lock of {name}, for {holder['age']} s, for: {holder['doing']}",
        Where(f"{name}/{links.hosts[name].address}"),
        "nothing was changed",
        "wait for it with --lock-wait SECONDS, or, if its holder is dead: deploy unlock",
    )
