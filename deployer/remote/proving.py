"""The proof after an apply: an exec per host and attempt, all hosts at once."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from deployer.model.events import Event, Tell
from deployer.planning.proof import ROUNDS, Goal, Seen, orders
from deployer.planning.verdict import Proof, judged, line
from deployer.problems import Problem, Where
from deployer.remote import channel
from deployer.world.releases import APPS
from deployer.world.world import World

if TYPE_CHECKING:
    from deployer.remote.connect import Links

SECONDS = 120
"""For one attempt on one host, which ends by itself long before."""
QUARANTINE = 5.5
"""Seconds until a router asks a dyno again that took no connection before it started (nginx.mesh.lua)."""


def prove(links: Links, world: World, tell: Tell) -> Proof:
    """Whether requests reach each web dyno and each dyno's lines arrive; `problems` say what is missing."""
    start = time.monotonic()
    tell(Event("proof", say="prove it from end to end"))
    goal = Goal(world, uuid.uuid4().hex)
    seen = _attempts(links, goal)
    now = time.monotonic()
    when = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
    found = judged(goal, seen, when, now - start)
    tell(Event("proof", say=line(found.as_dict())))
    return found


def keep(links: Links, world: World, proof: Proof) -> tuple[Problem, ...]:
    """Put the proof beside the record of its release, wherever that lies; gives what went wrong with that."""
    path = f"{APPS}/{world.app}/releases/{proof.release}/proof.json"
    record = {"path": path, "text": json.dumps(proof.as_dict(), indent=1) + "\n"}
    reports = _reports(links, {name: {"record": record} for name in links.open}) if proof.release else {}
    failed = {name: why for name, why in sorted(reports.items()) if isinstance(why, str)}
    return tuple(_not_kept(links, name, why) for name, why in failed.items())


def _attempts(links: Links, goal: Goal) -> Seen:
    seen = Seen()
    for attempt in range(len(ROUNDS)):
        asked = orders(goal, seen, attempt)
        if asked and attempt == len(ROUNDS) - 1:
            time.sleep(QUARANTINE)
        for host, report in _reports(links, asked).items():
            seen = seen.add(host, report)
    return seen


def _reports(links: Links, asked: Mapping[str, Any]) -> dict[str, dict[str, Any] | str]:
    """What `prove.py` says on each of these hosts, or why it says nothing."""
    if not asked:
        return {}
    said = links.each(lambda name: _one(links, name, asked[name]) if name in asked else None)
    return {name: _report(said.get(name, "there is no connection to it")) for name in asked}


def _one(links: Links, name: str, order: Mapping[str, Any]) -> dict[str, Any] | str:
    import gevent

    command = channel.python_line(links.hosts[name].user)
    request = json.dumps(order).encode()
    with gevent.Timeout(SECONDS, TimeoutError(f"nothing came back within {SECONDS} s")):
        ended = channel.execute(links.client(name), command, (channel.script("prove.py"), request))
    if ended.status != 0:
        said = ended.errors.decode("utf-8", "replace").strip()
        return f"exit status {ended.status}\n{said}".strip()
    report: dict[str, Any] = json.loads(ended.output)
    return report


def _report(said: object) -> dict[str, Any] | str:
    return said if isinstance(said, dict) else str(said)


def _not_kept(links: Links, name: str, why: str) -> Problem:
    where = Where(f"{name}/{links.hosts[name].address}")
    hint = "check the disk of the machine and its network; the app itself is not touched by this"
    return Problem(f"the proof could not be kept on {name}", where, why, hint)
