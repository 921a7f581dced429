"""Holding the locks of a fleet while something is done to it."""

from __future__ import annotations

import getpass
import json
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from deployer.model.events import Event, Tell
from deployer.problems import DeployerError, LockedError, Problem, StoppedError, UnreachableError, Where
from deployer.remote import channel
from deployer.remote.grip import ANSWER, LET_GO, STEP, Grip, Record, at_once, let_go, take
from deployer.remote.stopping import INTERRUPTED
from deployer.spec.durations import span

if TYPE_CHECKING:
    from deployer.remote.connect import Links

LEASE = 60
"""Seconds without a renewal after which the lock of a frozen holder is nobody's."""
AGAIN = 2
"""Seconds between two attempts."""
SAY_AGAIN = 10


class Stop(Protocol):
    """Who ends a run at its next good moment (`stopping.Stop`)."""

    why: str | None
    detail: str

    def ask(self, why: str, detail: str = "") -> None: ...


def who() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


@contextmanager
def locked(
    links: Links, doing: str, wait: int = 0, tell: Tell | None = None, stop: Stop | None = None
) -> Iterator[str]:
    """The lock of every connected host, renewed until the block ends; gives the id in their records.

    The first host alone, then the rest: of two at the same time exactly one wins, and the other lets go of
    all that it has. Tries for `wait` seconds. Tells events "wait", "locked" and "unlocked". If a lock is lost
    on the way, `stop` is asked to end; a broken link is no lost lock and is met by the steps themselves.
    Raises LockedError naming every holder; DeployerError if a host cannot lock at all; StoppedError if
    `stop` was asked to end while it waited.
    """
    patience = LET_GO + 2.0
    grips = list[Grip]()
    held: float | None = None
    request = {"id": uuid.uuid4().hex, "who": who(), "doing": doing, "seconds": LEASE}
    say = partial(_say, tell)
    try:
        _take(links, request, wait, grips, say, stop)
        held = time.monotonic()
        say("locked", "has the lock of " + (", ".join(g.host for g in grips if g.held) or "no host"))
        yield str(request["id"])
    except KeyboardInterrupt:
        patience = 0  # this process is about to end, and the locks with it
        raise
    finally:
        at_once(let_go, grips, patience)
        if held is not None:
            seconds = round(time.monotonic() - held, 2)
            say("unlocked", f"gave up the lock after {span(seconds)}", seconds=seconds)


def unlock(links: Links, doing: str) -> dict[str, Record]:
    """Take the lock from whoever holds it; who that was, by host. Raises UnreachableError."""
    asked = _ask(links, {"id": "", "who": who(), "doing": doing, "do": "break"})
    if silent := [
        _silent(links, name, found) for name, found in asked.items() if not isinstance(found, dict)
    ]:
        raise UnreachableError(silent)
    return {name: found for name, found in asked.items() if found}


def _say(tell: Tell | None, kind: Any, words: str, **detail: Any) -> None:
    if tell:
        tell(Event(kind, say=words, detail=detail))


def _take(
    links: Links,
    request: Mapping[str, Any],
    wait: int,
    grips: list[Grip],
    say: Callable[..., None],
    stop: Stop | None,
) -> None:
    """Fill `grips`, whose owner lets go of them whatever happens here."""
    ends, silent_until = time.monotonic() + wait, 0.0
    while True:
        _attempt(links, request, grips, say, stop)
        if stop and stop.why:
            raise _stopped(stop.why, stop.detail)
        others = {grip.host: grip.other for grip in grips if grip.other}
        if not others:
            return
        at_once(let_go, grips, LET_GO + 2)
        grips.clear()
        left = ends - time.monotonic()
        if left <= 0:
            raise LockedError(_held(links, name, found) for name, found in _all(links, others).items())
        if time.monotonic() >= silent_until:
            silent_until = time.monotonic() + SAY_AGAIN
            say("wait", f"{_waits(others)}; {span(left)} left")
        time.sleep(min(AGAIN, left))
        if stop and stop.why:
            raise _stopped(stop.why, stop.detail)


def _attempt(
    links: Links, request: Mapping[str, Any], grips: list[Grip], say: Callable[..., None], stop: Stop | None
) -> None:
    def waits(host: str, other: Record) -> None:
        say("wait", _waits({host: other}))

    def begin(names: list[str]) -> None:
        more = [_grip(links, name, request, stop) for name in names]
        grips.extend(more)
        at_once(partial(take, waits=waits), more, 2 * ANSWER + STEP + 5)
        if failed := [_failed(links, grip) for grip in more if grip.failed]:
            raise DeployerError(failed)

    left = sorted(links.open)
    while left and not any(grip.held or grip.other for grip in grips):
        begin([left.pop(0)])
    if not any(grip.other for grip in grips):
        begin(left)


def _grip(links: Links, name: str, request: Mapping[str, Any], stop: Stop | None) -> Grip:
    line = json.dumps({**request, "do": "hold"}).encode() + b"\n"
    command = channel.python_line(links.hosts[name].user)
    client = links.client(name)
    return Grip(
        name,
        dial=lambda: channel.converse(client, command, (channel.script("lock.py"), line)),
        hang_up=client.close,
        lost=stop.ask if stop else lambda why, detail: None,
        unwanted=lambda: stop is not None and stop.why is not None,
    )


def _ask(links: Links, request: Mapping[str, Any]) -> dict[str, Any]:
    """A record by host, `{}` if nobody holds its lock; of a host that did not answer, why."""
    line = json.dumps(request).encode() + b"\n"
    return links.each(lambda name: _one(links, name, line))


def _one(links: Links, name: str, line: bytes) -> Record | str:
    command = channel.python_line(links.hosts[name].user)
    stdin = (channel.script("lock.py"), line)
    ended = channel.execute(links.client(name), command, stdin, silence=ANSWER)
    if ended.status == channel.NO_PYTHON:
        return {}
    return ended.errors.decode("utf-8", "replace").strip() if ended.status else dict(json.loads(ended.output))


def _all(links: Links, others: Mapping[str, Record]) -> dict[str, Record]:
    """Every holder, also of the hosts that were not tried; one that does not answer names nobody."""
    asked = _ask(links, {"id": "", "who": who(), "doing": "look", "do": "look"})
    return {**{name: found for name, found in asked.items() if found and isinstance(found, dict)}, **others}


def _waits(others: Mapping[str, Record]) -> str:
    return "waits " + ", and ".join(
        f"for {found['who']}, who holds {name} for {span(found['age'])} ({found['doing']})"
        for name, found in others.items()
    )


def _held(links: Links, name: str, holder: Record) -> Problem:
    """A step has nobody from whom its lock could be taken: it ends by itself."""
    summary = f"{holder['who']} holds the lock of {name}, for {span(holder['age'])}, for: {holder['doing']}"
    dead = "" if holder.get("step") else ", or, if its holder is dead: deploy unlock"
    return Problem(summary, _where(links, name), hint=f"wait for it with --lock-wait 15m{dead}")


def _stopped(why: str, detail: str) -> DeployerError:
    if why != INTERRUPTED:
        return LockedError(Problem(why, detail=detail, hint="run the command again"))
    hint = "deploy plan shows what there is to do"
    return StoppedError(Problem("interrupted before it had the lock", hint=hint))


def _failed(links: Links, grip: Grip) -> Problem:
    hint = "mend what it says on the host, then run the command again"
    return Problem(
        f"the lock of {grip.host} cannot be taken", _where(links, grip.host), "\n".join(grip.said), hint
    )


def _silent(links: Links, name: str, why: object) -> Problem:
    hint = "check the machine and its network, or go on with --without " + name
    return Problem(f"the lock of {name} could not be broken", _where(links, name), str(why), hint)


def _where(links: Links, name: str) -> Where:
    return Where(f"{name}/{links.hosts[name].address}")
