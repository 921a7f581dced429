"""An early end: what runs is finished, nothing is begun."""

from __future__ import annotations

import json
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING

from deployer.model.events import Event, Tell
from deployer.remote import channel

if TYPE_CHECKING:
    from deployer.remote.connect import Links

SIGNALS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = "interrupted"
"""Why a run ends that the user himself has stopped."""


class Stop:
    """Whether a run is to end early, and why; `token` is how the hosts know the run."""

    def __init__(self, pass_on: Callable[[str], object] = lambda token: None) -> None:
        self.why: str | None = None
        self.detail = ""
        """What a host said about it."""
        self.token = secrets.token_hex(8)
        self._pass_on = pass_on

    def ask(self, why: str, detail: str = "") -> None:
        """Have every host stop after its running step. The first who asks says why; it may be asked again."""
        if self.why is None:
            self.why, self.detail = why, detail
            self._pass_on(self.token)


@contextmanager
def interruptible(links: Links, tell: Tell) -> Iterator[Stop]:
    """SIGINT or SIGTERM stops after the running step; the second raises KeyboardInterrupt at once."""
    import gevent

    signals = count(1)
    stop = Stop(lambda token: gevent.spawn(_pass_on, links, token))

    def hear() -> None:
        if next(signals) > 1:
            gevent.get_hub().handle_system_error(KeyboardInterrupt, KeyboardInterrupt())
            return
        say = "nothing more is begun, and what runs is finished; once more stops at once"
        tell(Event("stop", say=say))
        stop.ask(INTERRUPTED)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    # Python's own handlers wait for the next turn of gevent's loop, and a signal does not always begin one
    ears = [gevent.signal_handler(number, hear) for number in SIGNALS]
    try:
        yield stop
    finally:
        for ear in ears:
            ear.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _pass_on(links: Links, token: str) -> None:
    """A host that cannot be told is one that the run itself has lost, or will in 30 s."""
    order = json.dumps({"stop": token}).encode() + b"\n"
    links.each(lambda name: _one(links, name, order))


def _one(links: Links, name: str, order: bytes) -> None:
    line = channel.python_line(links.hosts[name].user)
    channel.execute(links.client(name), line, (channel.script("runner.py"), order))
