"""What a proof showed: as problems, as a document, and in one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.planning.proof import Goal, Seen, line_name, tries
from deployer.problems import Problem, Where


@dataclass(frozen=True)
class Proof:
    """What was shown; `problems` say what was not."""

    release: str
    when: str
    requests: int
    routers: Mapping[str, tuple[str, ...]]
    """By router: the web dynos that answered through it."""
    lines: Mapping[str, tuple[str, ...]]
    """By logplex host: the dynos whose line arrived."""
    seconds: float
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """As it is kept with the release."""
        return {
            "ok": self.ok,
            "release": self.release,
            "when": self.when,
            "requests": self.requests,
            "routers": {name: list(dynos) for name, dynos in sorted(self.routers.items())},
            "lines": {name: list(dynos) for name, dynos in sorted(self.lines.items())},
            "seconds": round(self.seconds, 2),
            "missing": [problem.summary for problem in self.problems],
        }


def judged(goal: Goal, seen: Seen, when: str, seconds: float) -> Proof:
    """What all reports together show."""
    return Proof(
        release=goal.world.release.name if goal.world.release else "",
        when=when,
        requests=len(seen.answers),
        routers={router: _reached(goal, seen, router) for router in goal.routers},
        lines={host: _arrived(goal, seen, host) for host in goal.logplex} if goal.seats else {},
        seconds=seconds,
        problems=tuple(_problems(goal, seen)),
    )


def _reached(goal: Goal, seen: Seen, router: str) -> tuple[str, ...]:
    answered = {dyno for dyno, why in tries(goal, seen, router) if not why}
    return tuple(dyno for dyno in goal.web if dyno in answered)


def _arrived(goal: Goal, seen: Seen, host: str) -> tuple[str, ...]:
    return tuple(seat.name for seat in goal.seats if line_name(goal, seat) in seen.found.get(host, {}))


def _problems(goal: Goal, seen: Seen) -> Iterator[Problem]:
    """Each cause once: what follows from a host that could not be asked is not named again."""
    for host, why in sorted(seen.broken.items()):
        hint = "check the machine and its network, then look: deploy plan"
        yield Problem(f"{host} could not be asked for its part of the proof", _where(goal, host), why, hint)
    for seat in goal.seats:
        if seat.name in seen.refused:
            hint = f"see what it says: deploy logs --ps {seat.name}"
            what = f"the output of {seat.name} takes no line"
            yield Problem(what, _where(goal, seat.host), seen.refused[seat.name], hint)
    if any(host in seen.found for host in goal.logplex):
        asked = (router for router in goal.routers if router not in seen.broken)
        yield from (p for router in asked for p in _silent(goal, seen, router))
    yield from (p for host in goal.logplex if host not in seen.broken for p in _lost(goal, seen, host))


def _silent(goal: Goal, seen: Seen, router: str) -> Iterator[Problem]:
    heard = tries(goal, seen, router)
    if not heard:
        yield _unheard(goal, seen, router)
        return
    reached = _reached(goal, seen, router)
    for dyno in (name for name in goal.web if name not in reached):
        whys = [why for name, why in heard if why and name in (dyno, "")]
        detail = whys[-1] if whys else f"the router gave it none of {len(heard)} marked requests"
        hint = f"see what it says: deploy logs --ps {dyno}"
        yield Problem(f"{dyno} did not answer through {router}", _where(goal, router), detail, hint)


def _unheard(goal: Goal, seen: Seen, router: str) -> Problem:
    """Not one line of a router came: it may not answer at all."""
    prefix = f"{goal.mark}-{goal.routers.index(router)}-"
    answers = [answer for mark, answer in seen.answers.items() if mark.startswith(prefix)]
    if any(isinstance(answer, int) for answer in answers):
        hint = f"on {router}: systemctl status deployer.log"
        detail = "without them nobody can tell which dyno answered"
        return Problem(f"no line of the router on {router} arrived", _where(goal, router), detail, hint)
    hint = f"on {router}: systemctl status nginx"
    detail = "\n".join(sorted({str(answer) for answer in answers}))
    return Problem(f"the router on {router} does not answer", _where(goal, router), detail, hint)


def _lost(goal: Goal, seen: Seen, host: str) -> Iterator[Problem]:
    arrived = _arrived(goal, seen, host)
    sent = [s for s in goal.seats if s.host not in seen.broken and s.name not in seen.refused]
    lost = [seat for seat in sent if seat.name not in arrived]
    if lost:
        names = ", ".join(seat.name for seat in lost)
        senders = ", ".join(sorted({seat.host for seat in lost}))
        hint = f"on {senders}: systemctl status deployer.log; on {host}: systemctl status deployer.logplex"
        yield Problem(f"no line of {names} arrived at {host}", _where(goal, host), hint=hint)


def _where(goal: Goal, host: str) -> Where:
    return Where(f"{host}/{next(h.address for h in goal.world.hosts if h.name == host)}")


def line(document: Mapping[str, Any]) -> str:
    """A kept proof (`Proof.as_dict`) in one line."""
    if not document["ok"]:
        return f"Not proved: {'; '.join(document['missing'])} ({document['seconds']:.1f} s)."
    shown = [*_through(document["routers"]), *_to(document["lines"])]
    if not shown:
        return "Nothing to prove: no dyno runs, or no logplex host would hear of it."
    return f"Proved: {', '.join(shown)} ({document['seconds']:.1f} s)."


def _through(routers: Mapping[str, list[str]]) -> Iterator[str]:
    for dynos in list(routers.values())[:1]:
        verb, each = ("reaches", "") if len(routers) == 1 else ("reach", " each")
        yield f"{_count(routers, 'router')} {verb} {_count(dynos, 'web dyno')}{each}"


def _to(logplex: Mapping[str, list[str]]) -> Iterator[str]:
    for dynos in list(logplex.values())[:1]:
        whose = "1 dyno's" if len(dynos) == 1 else f"{len(dynos)} dynos'"
        yield f"{whose} lines arrive at {_count(logplex, 'logplex host')}"


def _count(things: Iterable[object], word: str) -> str:
    number = len(list(things))
    return f"{number} {word}{'' if number == 1 else 's'}"
