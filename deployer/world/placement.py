"""Who sits where: each dyno's host, address and port, chosen before anything is done."""

from __future__ import annotations

import hashlib
import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
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


@dataclass
class Room:
    """What is still free on one host while seats are handed out."""

    host: Host
    memory: int
    addresses: set[str]
    ports: set[int]
    types: Counter[str] = field(default_factory=Counter)

    def rank(self, kind: str) -> tuple[int, int, str]:
        return (self.types[kind], -self.memory, self.host.name)


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
    rooms = {h.name: _room(h, facts[h.name], fleet) for h in hosts if "dynos" in h.roles}
    before = _seated(fleet.app, facts)
    taken = []
    homeless = []
    scales = formation(app, fleet)
    for want in _wanted(scales):
        seat = _seat(fleet, want, scales[want.type][0], release, rooms, before)
        taken.append(seat) if seat else homeless.append(want)
    if homeless:
        raise InputError(_no_room(want, rooms.values()) for want in homeless)
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


def _wanted(scales: Mapping[str, tuple[int, Size]]) -> Iterator[Wanted]:
    for kind, (quantity, size) in scales.items():
        yield from (Wanted(kind, n, size) for n in range(1, quantity + 1))


Seated = dict[tuple[str, int], list[tuple[str, dict[str, Any]]]]


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
        address, port = _numbers(None, rooms[seat.host], fleet.dyno_network, bool(seat.host_port))
        yield replace(seat, release=release.number, address=address, host_port=port)


def free(host: Host, facts: Facts) -> int:
    """Memory of a host in MB that no dyno has, whosever they are."""
    return _memory(host, facts) - sum(int(d["memory"]) for _, d in facts.documents(DYNOS, "dyno.json"))


def _memory(host: Host, facts: Facts) -> int:
    return host.memory or facts.memory or 1 << 40


def _room(host: Host, facts: Facts, fleet: Fleet) -> Room:
    dynos = [dyno for _, dyno in facts.documents(DYNOS, "dyno.json")]
    others = sum(dyno["memory"] for dyno in dynos if dyno["app"] != fleet.app)
    return Room(
        host,
        _memory(host, facts) - others,
        {dyno["address"] for dyno in dynos},
        {dyno["host_port"] for dyno in dynos} | set(facts.listeners),
    )


def _seat(
    fleet: Fleet, want: Wanted, of: int, release: Release, rooms: Mapping[str, Room], before: Seated
) -> Seat | None:
    places = [(h, d) for h, d in before.get((want.type, want.n), []) if h in rooms]
    room = _choose(want, rooms, [host for host, _ in places])
    if room is None:
        return None
    room.memory -= want.size.memory
    room.types[want.type] += 1
    here = (d for h, d in places if h == room.host.name and d["release"] == release.number)
    address, port = _numbers(next(here, None), room, fleet.dyno_network, want.type == WEB)
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
        cause=_cause(want, of, release, before, room.host.name),
    )


def _choose(want: Wanted, rooms: Mapping[str, Room], homes: list[str]) -> Room | None:
    """Where it sat before, else the host with the fewest of its type; None where it fits nowhere."""
    fitting = [room for room in rooms.values() if room.memory >= want.size.memory]
    at_home = [room for home in homes for room in fitting if room.host.name == home]
    return next(iter(at_home), None) or min(fitting, key=lambda room: room.rank(want.type), default=None)


def _numbers(here: dict[str, Any] | None, room: Room, network: str, web: bool) -> tuple[str, int]:
    if here:
        return here["address"], here["host_port"]
    address = next(a for a in addresses(network) if a not in room.addresses)
    port = next(p for p in range(FIRST_PORT, LAST_PORT + 1) if p not in room.ports) if web else 0
    room.addresses.add(address)
    room.ports.add(port)
    return address, port


def gateway(network: str) -> str:
    """The host's own address in its dyno network: the first."""
    return str(ipaddress.ip_network(network)[1])


def addresses(network: str) -> Iterator[str]:
    """Those that dynos may have, in order."""
    net = ipaddress.ip_network(network)
    return (str(net[i]) for i in range(2, min(net.num_addresses - 1, 60000)))


def _cause(want: Wanted, of: int, release: Release, before: Seated, host: str) -> str:
    places = before.get((want.type, want.n), [])
    if not places:
        count = sum(kind == want.type for kind, _ in before)
        return f"{want.type} has {count} of {of} dynos" if before else f"first release {release.name}"
    newest = places[0][1]["release"]
    if newest != release.number:
        return f"release {release.name} replaces v{newest}"
    return "its definition changed" if places[0][0] == host else f"moved from {places[0][0]}"


def _no_room(want: Wanted, rooms: Iterable[Room]) -> Problem:
    free = ", ".join(f"{room.host.name} has {max(room.memory, 0)} MB left" for room in rooms)
    return Problem(
        f"no host has room for {want.type}.{want.n}, which needs {want.size.memory} MB",
        Where("fleet.json", pointer="hosts"),
        free,
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
