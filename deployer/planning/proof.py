"""The proof after an apply: what is asked of each host, and what its reports hold.

A marked request through each router must be answered by each web dyno, and a marked line of each dyno must
arrive at each logplex host. Which dyno answered is the router's own word, in its line at a logplex host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deployer.providers import nginx
from deployer.providers.lxc.dynos import RUN
from deployer.providers.router import proxies
from deployer.world.world import Seat, World

ROUNDS = (1, 3, 6)
"""Rounds through a router at each attempt, ten in all: other requests take turns of the same round robin."""
ENOUGH = 2
"""Times that a dyno answers wrongly before it is asked no more."""
HTTP_PORT = 80
LOGS = "/var/lib/deployer/logs"
LINE_SECONDS = 10
"""For so long nothing that is awaited may arrive."""
_ROUTER = "heroku[router]"
_PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


@dataclass(frozen=True)
class Goal:
    """What is to be shown about a world."""

    world: World
    mark: str
    """Of this proof alone: 20 to 100 letters, digits and hyphens."""

    @property
    def logplex(self) -> tuple[str, ...]:
        return tuple(host.name for host in self.world.with_role("logplex"))

    @property
    def seats(self) -> tuple[Seat, ...]:
        """The dynos that can be heard of at all."""
        return self.world.seats if self.logplex else ()

    @property
    def web(self) -> tuple[str, ...]:
        return tuple(seat.name for seat in self.world.web) if self.logplex else ()

    @property
    def routers(self) -> tuple[str, ...]:
        return tuple(host.name for host in self.world.with_role("router")) if self.web else ()

    @property
    def status(self) -> int | None:
        """What a dyno must answer, where the files say so."""
        return self.world.health.status if self.world.health else None

    def marks(self, router: str, attempt: int) -> list[str]:
        """One for each request, as nginx takes them for ids of requests."""
        first, last = (sum(ROUNDS[:n]) * len(self.web) for n in (attempt, attempt + 1))
        return [f"{self.mark}-{self.routers.index(router)}-{i}" for i in range(first, last)]


@dataclass(frozen=True)
class Seen:
    """What the hosts reported so far."""

    answers: Mapping[str, int | str] = field(default_factory=dict)
    """By mark: the status, or why there is none."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """By dyno: why its output took no line."""
    found: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By logplex host: the lines that arrived, each under `source[process] mark`."""
    broken: Mapping[str, str] = field(default_factory=dict)
    """By host: why it could not be asked."""

    def add(self, host: str, report: Mapping[str, Any] | str) -> Seen:
        if isinstance(report, str):
            return replace(self, broken={**self.broken, host: report})
        return replace(
            self,
            answers={**self.answers, **report["answers"]},
            refused={**self.refused, **report["refused"]},
            found={**self.found, host: {**self.found.get(host, {}), **report["found"]}},
        )

    @property
    def lines(self) -> dict[str, str]:
        """What arrived anywhere."""
        return {name: line for host in sorted(self.found) for name, line in self.found[host].items()}


def orders(goal: Goal, seen: Seen, attempt: int) -> dict[str, dict[str, Any]]:
    """By host what to send to `prove.py`; empty when another attempt would show nothing new."""
    marks = {name: goal.marks(name, attempt) for name in goal.routers if _has_more(goal, seen, name, attempt)}
    seats = goal.seats if attempt == 0 else ()
    awaited = [f"{_ROUTER} {mark}" for of_one in marks.values() for mark in of_one]
    awaited += [line_name(goal, seat) for seat in seats]
    found: dict[str, dict[str, Any]] = {}
    for seat in seats:
        found.setdefault(seat.host, {}).setdefault("lines", {})[seat.name] = _line(goal, seat)
    for router, of_one in marks.items():
        found.setdefault(router, {})["requests"] = _requests(goal, router, of_one)
    for host in goal.logplex if awaited else ():
        found.setdefault(host, {})["log"] = _log(goal, awaited)
    return {host: order for host, order in sorted(found.items()) if host not in seen.broken}


def _has_more(goal: Goal, seen: Seen, router: str, attempt: int) -> bool:
    """A second attempt is for dynos whose turn others took, or that may have been unlucky once."""
    if attempt == 0:
        return True
    heard = tries(goal, seen, router)
    reached = {dyno for dyno, why in heard if not why}
    failed = [dyno for dyno, why in heard if why]
    open_ = [dyno for dyno in goal.web if dyno not in reached and failed.count(dyno) < ENOUGH]
    return bool(heard and open_)


def _requests(goal: Goal, router: str, marks: list[str]) -> dict[str, Any]:
    host = next(host for host in goal.world.hosts if host.name == router)
    name = nginx.names(goal.world)[0].replace("*", "proof")
    path = goal.world.health.path if goal.world.health else "/"
    headers = {"Host": name, "User-Agent": "deployer-proof"}
    proxy = bool(proxies(goal.world, host))
    return {"port": HTTP_PORT, "proxy": proxy, "path": path, "headers": headers, "marks": marks}


def _line(goal: Goal, seat: Seat) -> dict[str, str]:
    return {"pipe": f"{RUN}/{seat.key}/output", "text": f"deployer: proof of v{seat.release} {goal.mark}"}


def line_name(goal: Goal, seat: Seat) -> str:
    return f"app[{seat.name}] {goal.mark}"


def _log(goal: Goal, awaited: list[str]) -> dict[str, Any]:
    path = f"{LOGS}/{goal.world.app}.log"
    return {"path": path, "mark": goal.mark, "awaited": awaited, "seconds": LINE_SECONDS}


def tries(goal: Goal, seen: Seen, router: str) -> list[tuple[str, str]]:
    """`(dyno, why it did not answer as it should)` of each request whose line arrived; "" where it did."""
    marks = [mark for attempt in range(len(ROUNDS)) for mark in goal.marks(router, attempt)]
    lines = seen.lines
    words = ((mark, _words(lines.get(f"{_ROUTER} {mark}", ""))) for mark in marks)
    return [
        (said["dyno"], _why(goal, said, seen.answers.get(mark, "unknown"))) for mark, said in words if said
    ]


def _words(line: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _PAIR.findall(line)}


def _why(goal: Goal, said: Mapping[str, str], answer: int | str) -> str:
    if "code" in said:
        return f"the router said {said['code']} {said['desc']}"
    if isinstance(answer, str):
        return f"the request ended with: {answer}"
    if goal.status not in (None, answer):
        return f"it answered {answer}, where {goal.status} is declared"
    return ""
