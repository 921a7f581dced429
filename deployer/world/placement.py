"""Who sits where: each dyno's host, address and port, chosen before anything is done."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network
from typing import Any

from deployer.problems import InputError, Problem, Where
from deployer.spec.app import App
from deployer.spec.fleet import Fleet, Host
from deployer.spec.sizes import Size
from deployer.world.facts import Facts
from deployer.world.releases import APPS
from deployer.world.world import Release, Seat

WEB, RELEASE = "web", "release"
DYNOS = "/var/lib/deployer/dynos"
FIRST_PORT, LAST_PORT = 20000, 29999
FIRST_BASE, SLOTS, IDS = 0x70000000, 4096, 65536
"""User namespaces lie above the ids that Debian's users and systemd's containers take."""


@dataclass(frozen=True)
class Wanted:
    """One dyno to be seated."""

    type: str
    n: int
    size: Size
    cause: str
    """Why, where there was none of this number before."""


@dataclass
class Room:
    """What is still free on one host while seats are handed out."""

    host: Host
    memory: int
    addresses: Iterator[str]
    """Those that are free, in order; so are the ports."""
    ports: Iterator[int]
    types: Counter[str] = field(default_factory=Counter)

    def rank(self, kind: str) -> Rank:
        return (self.types[kind], -self.memory, self.host.name)


Rank = tuple[int, int, str]
"""Sorts hosts by how willingly they take one more of a type. Each seat that is handed out makes one worse."""


class Rooms:
    """The hosts that take dynos. A rank may be one of before: it is put right when it comes to the front."""

    def __init__(self, rooms: Mapping[str, Room]) -> None:
        self.by_name = rooms
        self.ranks: dict[str, list[Rank]] = {}

    def choose(self, want: Wanted, homes: Iterable[str]) -> Room | None:
        """Where it sat before, else the host with the fewest of its type; None where it fits nowhere."""
        rooms = (self.by_name[home] for home in homes)
        at_home = (room for room in rooms if room.memory >= want.size.memory)
        return next(at_home, None) or self._emptiest(want)

    def _emptiest(self, want: Wanted) -> Room | None:
        ranks = self._ranks(want.type)
        while ranks:
            room = self.by_name[ranks[0][2]]
            rank = room.rank(want.type)
            if room.memory < want.size.memory:
                heapq.heappop(ranks)  # no host gets memory back
            elif rank != ranks[0]:
                heapq.heapreplace(ranks, rank)
            else:
                return room
        return None

    def _ranks(self, kind: str) -> list[Rank]:
        if kind not in self.ranks:
            self.ranks[kind] = sorted(room.rank(kind) for room in self.by_name.values())
        return self.ranks[kind]


def formation(app: App, fleet: Fleet) -> dict[str, tuple[int, Size]]:
    """Quantity and size of each process type: fleet.json over app.json over Heroku's default, web=1."""
    scales = {**app.formation, **fleet.formation}
    found = {}
    for kind in sorted(set(app.processes) - {RELEASE}):
        scale = scales.get(kind)
        quantity = scale.quantity if scale else int(kind == WEB)
        found[kind] = (quantity, size_of(kind, app, fleet))
    return found


def in_words(scales: Mapping[str, tuple[int, Size]]) -> str:
    """A formation as Heroku's log says it (contract 3.12)."""
    return " ".join(f"{kind}@{scales[kind][0]}:{scales[kind][1].name.title()}" for kind in sorted(scales))


def size_of(kind: str, app: App, fleet: Fleet) -> Size:
    """The size of a process type's dynos: fleet.json over app.json over the fleet's default."""
    scale = fleet.formation.get(kind) or app.formation.get(kind)
    return fleet.sizes[(scale.size if scale else None) or fleet.default_size]


def seats(
    app: App, fleet: Fleet, hosts: Iterable[Host], facts: Mapping[str, Facts], release: Release
) -> tuple[Seat, ...]:
    """A seat for each dyno. Who runs well stays. Raises InputError for all that find no room."""
    rooms = Rooms({h.name: _room(h, facts[h.name], fleet) for h in hosts if "dynos" in h.roles})
    before = _seated(fleet.app, facts)
    taken = []
    homeless = []
    for want in _wanted(formation(app, fleet), release, before):
        seat = _seat(fleet, want, release, rooms, before.get((want.type, want.n), []))
        taken.append(seat) if seat else homeless.append(want)
    if homeless:
        left = _left(rooms.by_name.values())
        raise InputError(_no_room(want, left) for want in homeless)
    return tuple(sorted(taken, key=lambda s: (s.type, s.n)))


def present(app: str, facts: Mapping[str, Facts], release: Release | None = None) -> tuple[Seat, ...]:
    """The seats just as they are, of one release (what a failed one goes back to) or of all."""
    names = ("app", "type", "n", "release", "address", "host_port", "memory", "pids")
    found = [
        Seat(**{name: dyno[name] for name in names}, host=host, limit=dyno.get("limit") or dyno["memory"])
        for places in _seated(app, facts).values()
        for host, dyno in places
        if release is None or dyno["release"] == release.number
    ]
    return tuple(sorted(found, key=lambda s: (s.type, s.n)))


Place = tuple[str, Mapping[str, Any]]
"""A host, and the document of a dyno that is there."""
Seated = dict[tuple[str, int], list[Place]]


def _wanted(scales: Mapping[str, tuple[int, Size]], release: Release, before: Seated) -> Iterator[Wanted]:
    there = Counter(kind for kind, _ in before)
    for kind, (quantity, size) in scales.items():
        more = f"{kind} has {there[kind]} of {quantity} dynos"
        cause = more if before else f"first release {release.name}"
        yield from (Wanted(kind, n, size, cause) for n in range(1, quantity + 1))


def _seated(app: str, facts: Mapping[str, Facts]) -> Seated:
    """The app's dynos that are there, by type and number, newest release first."""
    found: Seated = {}
    for host in sorted(facts):
        for _, dyno in facts[host].documents(DYNOS, "dyno.json"):
            if dyno["app"] == app:
                found.setdefault((dyno["type"], dyno["n"]), []).append((host, dyno))
    for places in found.values():
        places.sort(key=lambda place: -int(place[1]["release"]))
    return found


def anew(
    seats: Iterable[Seat], release: Release, hosts: Iterable[Host], facts: Mapping[str, Facts], fleet: Fleet
) -> Iterator[Seat]:
    """The same seats for another release beside these: same hosts, addresses and ports of their own."""
    rooms = {host.name: _room(host, facts[host.name], fleet) for host in hosts}
    for seat in seats:
        address, port = _numbers(None, rooms[seat.host], bool(seat.host_port))
        yield replace(seat, release=release.number, address=address, host_port=port)


def free(host: Host, facts: Facts) -> int:
    """Memory of a host in MB that no dyno has, whosever they are."""
    return _memory(host, facts) - sum(int(d["memory"]) for _, d in facts.documents(DYNOS, "dyno.json"))


def _memory(host: Host, facts: Facts) -> int:
    return host.memory or facts.memory or 1 << 40


def _room(host: Host, facts: Facts, fleet: Fleet) -> Room:
    dynos = [dyno for _, dyno in facts.documents(DYNOS, "dyno.json")]
    others = sum(dyno["memory"] for dyno in dynos if dyno["app"] != fleet.app)
    taken = {dyno["address"] for dyno in dynos}
    used = {dyno["host_port"] for dyno in dynos} | facts.listeners.keys()
    return Room(
        host,
        _memory(host, facts) - others,
        (address for address in addresses(fleet.dyno_network) if address not in taken),
        (port for port in range(FIRST_PORT, LAST_PORT + 1) if port not in used),
    )


def _seat(fleet: Fleet, want: Wanted, release: Release, rooms: Rooms, before: list[Place]) -> Seat | None:
    places = [(h, d) for h, d in before if h in rooms.by_name]
    room = rooms.choose(want, [host for host, _ in places])
    if room is None:
        return None
    room.memory -= want.size.memory
    room.types[want.type] += 1
    here = (d for h, d in places if h == room.host.name and d["release"] == release.number)
    address, port = _numbers(next(here, None), room, want.type == WEB)
    return Seat(
        app=fleet.app,
        type=want.type,
        n=want.n,
        release=release.number,
        host=room.host.name,
        address=address,
        host_port=port,
        memory=want.size.memory,
        limit=want.size.limit,
        pids=want.size.pids,
        cause=_cause(want, release, before, room.host.name),
    )


def _numbers(here: Mapping[str, Any] | None, room: Room, web: bool) -> tuple[str, int]:
    if here:
        return here["address"], here["host_port"]
    return next(room.addresses), next(room.ports) if web else 0


def gateway(network: IPv4Network) -> str:
    """The host's own address in its dyno network: the first."""
    return str(network[1])


def addresses(network: str) -> Iterator[str]:
    """Those that dynos may have, in order."""
    net = IPv4Network(network)
    return (str(net[i]) for i in range(2, min(net.num_addresses - 1, 60000)))


def _cause(want: Wanted, release: Release, before: list[Place], host: str) -> str:
    if not before:
        return want.cause
    home, newest = before[0]
    if newest["release"] != release.number:
        return f"release {release.name} replaces v{newest['release']}"
    return "its definition changed" if home == host else f"moved from {home}"


def _left(rooms: Iterable[Room]) -> str:
    return ", ".join(f"{room.host.name} has {max(room.memory, 0)} MB left" for room in rooms)


def _no_room(want: Wanted, left: str) -> Problem:
    return Problem(
        f"no host has room for {want.type}.{want.n}, which needs {want.size.memory} MB",
        Where("fleet.json", pointer="hosts"),
        left,
        "add a host with the role dynos, choose a smaller size in `formation`, or lower its quantity",
    )


def base(app: str, facts: Mapping[str, Facts]) -> int:
    """The first id of the app's user namespace: as it is on the hosts, else one that is free on all."""
    taken: dict[str, int] = {}
    for host in sorted(facts):
        for name, document in facts[host].documents(APPS, "app.json"):
            taken.setdefault(name, document["base"])
    if app in taken:
        return taken[app]
    first = int(hashlib.sha256(app.encode()).hexdigest(), 16) % SLOTS
    bases = (FIRST_BASE + ((first + i) % SLOTS) * IDS for i in range(SLOTS))
    return next(b for b in bases if b not in taken.values())
