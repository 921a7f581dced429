"""The log of an app as all of its logplex hosts have it: the latest lines, and new ones as they come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from deployer.problems import InputError, Problem, UnreachableError
from deployer.remote.reel import Reel
from deployer.remote.session import log_tail, lost
from deployer.spec.fleet import Host
from deployer.world.logs import Query, Repeats, merged

PAUSES = (1.0, 2.0, 5.0)
"""Seconds between tries to come back to a host; the last one for ever."""
FIRST = 15.0
"""Seconds that the first lines of a host are waited for."""
TICK = 0.5
Say = Callable[[str], None]


@dataclass
class Part:
    """What one host had: its lines, and why there are no more of them."""

    host: Host
    lines: list[str] = field(default_factory=list)
    error: OSError | None = None
    place: str = ""
    is_there: threading.Event = field(default_factory=threading.Event)
    """The first lines are all here, or none will come."""


def latest(hosts: Iterable[Host], keys_file: str | None, query: Query, say: Say) -> list[str]:
    """From all hosts at once; one that does not answer is said. Raises UnreachableError where none does."""
    parts = _parts(hosts)
    threads = [threading.Thread(target=_read, args=(part, keys_file, query), daemon=True) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _check(parts, say)
    return merged((part.lines for part in parts), query.number)


def follow(hosts: Iterable[Host], keys_file: str | None, query: Query, say: Say) -> Iterator[list[str]]:
    """The latest lines, then new ones in batches for ever, some of them empty; hosts may go and come back.

    Raises UnreachableError where no host answers at first.
    """
    parts, reel = _parts(hosts), Reel()
    for part in parts:
        threading.Thread(target=_stay, args=(part, keys_file, query, reel), daemon=True).start()
    end = time.monotonic() + FIRST
    for part in parts:
        part.is_there.wait(max(0.0, end - time.monotonic()))
        part.is_there.set()
    _check(parts, say)
    first = merged((list(part.lines) for part in parts), query.number)
    for part in parts:
        reel.know(list(part.lines))
    yield first
    while True:
        lines, told = reel.take(TICK)
        for words in told:
            say(words)
        yield lines


def _parts(hosts: Iterable[Host]) -> list[Part]:
    parts = [Part(host) for host in hosts]
    if not parts:
        hint = 'give a host the role "logplex", in fleet.json, then: deploy apply'
        raise InputError(Problem("no host of this fleet keeps logs", hint=hint))
    return parts


def _check(parts: list[Part], say: Say) -> None:
    failed = [(part.host, part.error) for part in parts if part.error]
    if len(failed) == len(parts):
        raise UnreachableError([lost(host, error) for host, error in failed])
    for host, error in failed:
        say(f"{host.name} is not there ({error}); these are the lines of the other logplex hosts")


def _read(part: Part, keys_file: str | None, query: Query) -> None:
    try:
        log_tail(part.host, keys_file, query.argv(), part.lines.extend, lambda _: None)
    except OSError as error:
        part.error = error


def _stay(part: Part, keys_file: str | None, query: Query, reel: Reel) -> None:
    """Follows one host for ever. After a break it goes on at the very place where it was."""
    tries = 0
    while True:
        came = _Coming(part, reel)
        argv = query.argv(part.place) if part.place else _first(part, query).argv("now")
        try:
            log_tail(part.host, keys_file, argv, came.lines, came.place)
            error = OSError("it ended the session")
        except OSError as found:
            error = found
        tries = 0 if came.is_back else tries + 1
        if not part.is_there.is_set():
            part.error = error
            part.is_there.set()
        elif came.is_back:
            reel.tell(f"{part.host.name} is gone ({error}); going on with the other logplex hosts")
        time.sleep(PAUSES[min(tries, len(PAUSES) - 1)])


def _first(part: Part, query: Query) -> Query:
    """Who comes late is only asked for what is new: the others had the rest."""
    return replace(query, number=0) if part.is_there.is_set() else query


class _Coming:
    """Tells the first lines of a host from those that follow, which begin after its first place."""

    def __init__(self, part: Part, reel: Reel) -> None:
        self.part, self.reel, self.is_back, self.repeats = part, reel, False, Repeats()

    def lines(self, lines: list[str]) -> None:
        if not self.part.is_there.is_set():
            self.part.lines.extend(lines)
            return
        for line in lines:
            self.reel.add(*self.repeats.key(line))

    def place(self, place: str) -> None:
        if self.part.is_there.is_set() and not self.is_back:
            self.reel.tell(f"{self.part.host.name} is back")
        self.is_back, self.part.place = True, place
        self.part.is_there.set()
