"""How the dynos that are there make way for those that are wanted: in waves that keep many up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from deployer.model.plan import Capacity
from deployer.problems import InputError, Problem, Where
from deployer.providers.lxc.dynos import is_up, restarting
from deployer.spec.fleet import Host, share
from deployer.spec.fleet import Rollout as Limits
from deployer.world import placement
from deployer.world.world import Rollout, Seat, Wave, World


@dataclass(frozen=True)
class Place:
    """A dyno and what it takes: `route` is where routers find it (empty for none), `memory` in MB."""

    key: str
    type: str
    n: int
    host: str
    route: str
    memory: int
    up: bool = False

    @property
    def seat(self) -> str:
        return f"{self.host}/{self.key}"

    @property
    def successor(self) -> tuple[str, int]:
        """Who takes its place is of the same type and number."""
        return (self.type, self.n)

    @property
    def kind(self) -> Kind:
        return (self.type, self.up)


Kind = tuple[str, bool]
"""A type of dynos, and whether they are up."""


def schedule(
    limits: Limits,
    free: Mapping[str, int],
    there: Iterable[Place],
    wanted: Iterable[Place],
    lost: frozenset[str] = frozenset(),
) -> Rollout:
    """Waves from what is there to what is wanted. A wanted place that is not `up` has to start.

    `free` is memory in MB that no dyno of the host has. On a host that is `lost` nothing starts or stops, and
    what routers have there they keep to the end. Raises InputError for a floor that cannot be kept.
    """
    return _Course(limits, dict(free), list(there), list(wanted), lost).run()


def rolled(world: World, limits: Limits) -> World:
    """The world with the waves that lead there from what its facts show. Raises InputError as `schedule`."""
    there = {place.seat: place for host in world.hosts for place in _there(world, host)}
    wanted = [_place(world, seat) for seat in world.seats]
    stay = there.keys() - restarting(world)
    places = [replace(place, up=place.seat in stay) for place in wanted]
    free = {host.name: placement.free(host, world.facts[host.name]) for host in world.hosts}
    return replace(world, rollout=schedule(limits, free, there.values(), places, world.lost))


def _place(world: World, seat: Seat) -> Place:
    route = f"{world.mesh_address(seat.host)}:{seat.host_port}" if seat.host_port else ""
    return Place(seat.key, seat.type, seat.n, seat.host, route, seat.memory)


def _there(world: World, host: Host) -> Iterator[Place]:
    facts = world.facts[host.name]
    for seat in placement.present(world.app, {host.name: facts}):
        yield replace(_place(world, seat), up=is_up(seat.key, facts))


class _Course:
    """Hosts and dynos while the waves go over them."""

    def __init__(
        self,
        limits: Limits,
        free: dict[str, int],
        there: list[Place],
        wanted: list[Place],
        lost: frozenset[str],
    ) -> None:
        self.limits, self.free = limits, free
        self.there = {place.seat: place for place in there}
        asked = [place for place in wanted if place.up or place.host not in lost]
        coming = sorted((p for p in asked if not p.up), key=lambda p: (p.n, p.type))
        self.coming = {place.seat: place for place in coming}
        seats = {place.seat for place in asked}
        old = [place for place in there if place.seat not in seats]
        self.leaving = {place.seat: place for place in old if place.host not in lost}
        self.stranded = [place for place in old if place.host in lost]
        self.serving = {place.route: place.key for place in there if place.route and place.up}
        self.out: set[str] = set()
        self.total = Counter(place.type for place in asked)
        self.healthy = self.before = Counter(place.type for place in there if place.up)
        self.fewest = dict(self.before)
        self.types = sorted({p.type for p in (*coming, *old)})
        self.waves: list[Wave] = []

    def run(self) -> Rollout:
        while self.coming:
            self._wave()
        self._end()
        capacity = {t: Capacity(self.before[t], self._fewest(t), self.total[t]) for t in self.types}
        return Rollout(tuple(self.waves), dict(self.serving), capacity, self.limits.watch, self.limits.drain)

    def _fewest(self, kind: str) -> int:
        return min(self.fewest.get(kind, 0), self.total[kind])

    def _wave(self) -> None:
        """Start what has room; else have routers leave what must start again, or stop what must make room."""
        batch = self._batch()
        for place in batch:
            self._start(place)
        out = [] if batch else self._taken_out()
        stop = self._replaced(batch) if batch or out else self._victims()
        self._leave(stop, out)
        self.waves.append(Wave(_seats(batch), dict(self.serving), _seats(stop)))

    def _replaced(self, batch: Iterable[Place]) -> list[Place]:
        started = {place.successor for place in batch}
        return [place for place in self.leaving.values() if place.successor in started]

    def _end(self) -> None:
        """What nothing takes the place of goes with the last wave."""
        stop = list(self.leaving.values())
        self._leave(stop, self.stranded)
        if stop or self.waves:
            last = self.waves.pop() if self.waves else Wave()
            self.waves.append(Wave(last.start, dict(self.serving), last.stop | _seats(stop)))

    def _leave(self, stop: Iterable[Place], out: Iterable[Place]) -> None:
        """Routers leave both; those to stop make room."""
        for place in (*stop, *out):
            self.serving.pop(place.route, None)
        self.out |= _seats(out)
        for place in stop:
            del self.leaving[place.seat], self.there[place.seat]
            self.free[place.host] += place.memory
        there = (place for place in self.there.values() if place.seat not in self.out)
        self.healthy = Counter(place.type for place in there if place.up)
        self.fewest = {kind: min(most, self.healthy[kind]) for kind, most in self.fewest.items()}

    def _batch(self) -> list[Place]:
        """Those whose turn it is and for which there is room; who is up is taken out first."""
        batch: list[Place] = []
        turns = Counter[Kind]()
        for place in self.coming.values():
            has_room = self._needs(place) <= self.free[place.host]
            if has_room and not self._is_up(place) and self._has_turn(place, turns):
                self.free[place.host] -= self._needs(place)
                batch.append(place)
                turns[place.kind] += 1
        return batch

    def _has_turn(self, place: Place, turns: Counter[Kind]) -> bool:
        if self.limits.batch is None:
            return True
        return turns[place.kind] < share(self.limits.batch, self.total[place.type])

    def _needs(self, place: Place) -> int:
        before = self.there.get(place.seat)
        return place.memory - (before.memory if before else 0)

    def _is_up(self, place: Place) -> bool:
        before = self.there.get(place.seat)
        return before is not None and before.up and place.seat not in self.out

    def _start(self, place: Place) -> None:
        del self.coming[place.seat]
        self.out.discard(place.seat)
        self.there[place.seat] = replace(place, up=True)
        if place.route:
            self.serving[place.route] = place.key

    def _taken_out(self) -> list[Place]:
        """Dynos that must start again, as many as may be missed at once."""
        up = [self.there[place.seat] for place in self.coming.values() if self._is_up(place)]
        out: list[Place] = []
        gone = Counter[Kind]()
        for place in up:
            if self._has_turn(place, gone) and self._can_miss(place, gone):
                out.append(place)
                gone[place.kind] += 1
        if up and not out:
            raise InputError(self._too_few(up[0]))
        return out

    def _victims(self) -> list[Place]:
        """Old dynos that must stop before new ones have room: for one of those on each host."""
        first = {place.host: place for place in reversed(self.coming.values())}
        lack = {host: self._needs(place) - self.free[host] for host, place in first.items()}
        old = self._cheapest(place for place in self.leaving.values() if place.host in first)
        chosen: list[Place] = []
        gone = Counter[Kind]()
        for place in old:
            if lack[place.host] > 0 and self._can_miss(place, gone):
                chosen.append(place)
                gone[place.kind] += 1
                lack[place.host] -= place.memory
        if not chosen:
            raise InputError(self._too_few(old[0]) if old else self._stuck())
        return chosen

    def _cheapest(self, places: Iterable[Place]) -> list[Place]:
        """Who is down goes first, then who has no successor, then of the type that has most to spare."""
        successors = {place.successor for place in self.coming.values()}
        return sorted(places, key=lambda p: (p.up, p.successor in successors, -self.healthy[p.type], p.key))

    def _can_miss(self, place: Place, gone: Counter[Kind]) -> bool:
        """Without a floor half of a type may be missed, or one if nothing else helps."""
        left = self.healthy[place.type] - gone[place.type, True] - 1
        if not place.up:
            return True
        if self.limits.floor is None:
            return not gone or left >= self.total[place.type] // 2
        return left >= self._floor(place.type)

    def _floor(self, kind: str) -> int:
        return min(share(self.limits.floor or 0, self.total[kind]), self.before[kind])

    def _stuck(self) -> Problem:
        names = ", ".join(f"{place.type}.{place.n} on {place.host}" for place in self.coming.values())
        hint = "give the host more memory in `capacity`, or choose a smaller size in `formation`"
        return Problem(f"there is no order in which {names} would have room", hint=hint)

    def _too_few(self, place: Place) -> Problem:
        room = ", ".join(f"{host} has {max(mb, 0)} MB left" for host, mb in sorted(self.free.items()))
        left = self.healthy[place.type] - 1
        what = f"{place.type}.{place.n} must stop on {place.host} before another can start"
        return Problem(
            f"{place.type} cannot keep {self._floor(place.type)} healthy dynos: {what}, which leaves {left}",
            Where("fleet.json", pointer="/rollout/floor"),
            room,
            "lower `rollout.floor`, add a host or memory, or choose a smaller size in `formation`",
        )


def _seats(places: Iterable[Place]) -> frozenset[str]:
    return frozenset(place.seat for place in places)
