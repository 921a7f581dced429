"""One look at a fleet, with the connections to act on what was seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from deployer.model.steps import Text
from deployer.planning import planner
from deployer.problems import Problem, UnreachableError
from deployer.providers import PROVIDERS
from deployer.spec.fleet import Host
from deployer.spec.spec import Spec
from deployer.world import releases, rollback
from deployer.world.facts import Facts, Probe

if TYPE_CHECKING:
    from deployer.remote.connect import Links
    from deployer.remote.tail import End


@dataclass(frozen=True)
class Sight:
    """What one look at a fleet gave, and the connections to act on it."""

    links: Links
    facts: Mapping[str, Facts]
    hosts: tuple[Host, ...]
    notes: tuple[str, ...] = ()
    lost: frozenset[str] = frozenset()
    """Hosts that failed meanwhile: their facts are from before."""
    missed: Mapping[str, Problem] = field(default_factory=dict)
    """Hosts that did not answer a further look, and why."""


def look(spec: Spec, without: tuple[str, ...] = ()) -> Sight:
    """Connect to all hosts and read their facts. Raises UnreachableError naming all that are missing.

    Hosts that the app was on and that left fleet.json are looked at too, with no role: so they are drained.
    """
    hosts = tuple(h for h in spec.fleet.hosts if h.name not in without)
    sight, lost = _see(spec, hosts)
    if not lost and (left := departing(spec, sight.facts, without)):
        sight.links.close()
        sight, lost = _see(spec, (*hosts, *left))
        gone_for_good = {h.name for h in left} & lost.keys()
        notes = tuple(
            f"{name} left fleet.json and does not answer: its dynos are taken to be gone"
            for name in sorted(gone_for_good)
        )
        present = tuple(h for h in sight.hosts if h.name not in gone_for_good)
        lost = {name: problem for name, problem in lost.items() if name not in gone_for_good}
        sight = replace(sight, hosts=present, notes=notes)
    if lost:
        sight.links.close()
        raise UnreachableError(_named(problem) for problem in lost.values())
    return sight


def _see(spec: Spec, hosts: tuple[Host, ...]) -> tuple[Sight, Mapping[str, Problem]]:
    from deployer.remote.connect import connect
    from deployer.remote.observe import observe

    links = connect(hosts, spec.fleet.known_hosts)
    seen = observe(links, probe(spec))
    return Sight(links, seen.facts, hosts), seen.lost


def probe(spec: Spec) -> Probe:
    """What to look at, on every host."""
    asked = planner.probe(PROVIDERS, spec.fleet.app)
    if spec.to or spec.recalls:
        asked |= rollback.probe(spec.fleet.app, spec.to)
    if spec.compares:
        asked |= Probe(readable=asked.files) | rollback.probe(spec.fleet.app, "")
    return asked


def departing(spec: Spec, facts: Mapping[str, Facts], without: tuple[str, ...]) -> tuple[Host, ...]:
    """Hosts that the app's record on the others names and fleet.json no longer does."""
    known = {h.name for h in spec.fleet.hosts} | set(without)
    path = f"{releases.APPS}/{spec.fleet.app}/app.json"
    bearers = {facts[name].texts.get(path): name for name in sorted(facts)}  # one for each different record
    records = [facts[name].document(path).get("hosts", {}) for name in sorted(bearers.values())]
    found = {name: row for record in records for name, row in record.items() if name not in known}
    ways = ((h.key, h.jump) for h in spec.fleet.hosts if h.key or h.jump)
    key, jump = next(ways, (None, None))
    rows = ((name, {word: found[name][word] for word in _RECORDED}) for name in sorted(found))
    return tuple(Host(name=name, key=key, jump=jump, **row) for name, row in rows)


_RECORDED = ("address", "port", "user", "mesh")
"""What an app's record keeps of the way to a host."""


def _named(problem: Problem) -> Problem:
    return replace(problem, hint=f"{problem.hint}; or go on without it: --without HOST")


def look_again(sight: Sight, spec: Spec) -> Sight:
    """The same hosts over the same connections, as they are now; `missed` are those that no longer answer."""
    from deployer.remote.observe import observe

    seen = observe(sight.links, probe(spec))
    missed = {h.name: seen.lost[h.name] for h in sight.hosts if h.name in seen.lost}
    there = tuple(h for h in sight.hosts if h.name in seen.facts)
    return replace(sight, facts=seen.facts, hosts=there, missed=missed)


def secret(sight: Sight, path: str) -> Text | None:
    """A text of ours that may be secret, on the first host that has it."""
    from deployer.remote.observe import observe

    seen = observe(sight.links, Probe(private=frozenset({path}))).facts
    found = next((seen[name].private[path] for name in sorted(seen) if path in seen[name].private), None)
    return None if found is None else Text(found, secret=True)


def end_of(sight: Sight, path: str, size: int) -> End | None:
    """The last `size` bytes of a text of ours, as lines, on the first host that has it."""
    from deployer.remote import tail

    return tail.end_of(sight.links, path, size)
