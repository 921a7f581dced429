"""Dynos as values: what is seen of one, what is wanted of one, and what it has to start again for."""

from __future__ import annotations

from dataclasses import dataclass

from deployer.model import diff
from deployer.model.diff import KEPT, Sealed
from deployer.model.steps import Text, sha
from deployer.providers.lxc import dyno
from deployer.world.facts import Facts
from deployer.world.placement import DYNOS
from deployer.world.world import Seat, World

RUN = "/run/deployer/dynos"
RESTART = frozenset({"config", "command", "settings", "running"})
"""What a dyno has to start again for."""


@dataclass(frozen=True)
class DynoSeen:
    """`running` is the digest that the dyno was started from, or the word for why it is not up."""

    key: str
    config: str | None
    command: str | None
    settings: str | None
    place: str | None
    enabled: bool
    running: str


@dataclass(frozen=True)
class Leaving:
    """A dyno that makes way: its routers leave it, it ends what it has begun, and stops in its wave."""

    key: str
    wave: int
    drain: int
    says: str = ""
    """A line for the app's log before it stops."""

    def expect(self) -> None:
        return None


@dataclass(frozen=True)
class Standing:
    """A dyno of the release that served before a failed one: it stays just as it is."""

    key: str

    def expect(self) -> DynoSeen:
        return DynoSeen(self.key, *([KEPT] * 6))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Dyno:
    seat: Seat
    config: Text
    command: Text
    settings: Text
    place: Text
    env: Text
    wave: int = 0
    drain: int = 0
    """Seconds to end its requests before it starts again."""
    says: str = ""
    """A line for the app's log before it starts."""

    @property
    def key(self) -> str:
        return self.seat.key

    def expect(self) -> DynoSeen:
        started = sha("".join(t.reveal() for t in (self.config, self.command, self.settings, self.env)))
        return DynoSeen(
            self.key,
            self.config.sha,
            self.command.sha,
            self.settings.sha,
            self.place.sha,
            True,
            Sealed(started, "up"),
        )


def keys(app: str, facts: Facts) -> list[str]:
    """All dynos of the app that are there, by their folders and units."""
    folders = (f.removeprefix(f"{DYNOS}/") for f in facts.folders if f.startswith(f"{DYNOS}/"))
    units = (u.removeprefix("deployer.dyno@").removesuffix(".service") for u in facts.units)
    return sorted({key for key in (*folders, *units) if key.startswith(f"{app}.")})


def seen(key: str, facts: Facts) -> DynoSeen:
    unit = f"deployer.dyno@{key}.service"
    folder = f"{DYNOS}/{key}"
    return DynoSeen(
        key,
        facts.sha(f"{folder}/config"),
        facts.sha(f"{folder}/command"),
        facts.sha(f"{folder}/dyno.env"),
        facts.sha(f"{folder}/dyno.json"),
        facts.enabled(unit),
        running(key, facts),
    )


def is_up(key: str, facts: Facts) -> bool:
    return isinstance(running(key, facts), Sealed)


def running(key: str, facts: Facts) -> str:
    """The digest that a dyno was started from, or the word for why it is not up."""
    unit = facts.units.get(f"deployer.dyno@{key}.service")
    if unit is None or unit.active in ("inactive", "deactivating"):
        return "stopped"
    if unit.active == "activating" and unit.sub == "start-post":
        return "booting"
    if unit.active != "active":
        return "crashed"
    place = facts.document(f"{DYNOS}/{key}/dyno.json")
    if place.get("port") and not facts.answers.get(f"{place['address']}:{place['port']}"):
        return "not answering"
    return Sealed(facts.texts.get(f"{RUN}/{key}.loaded", "").strip(), "up")


def restarting(world: World) -> frozenset[str]:
    """`host/key` of the dynos that are there and that the plan starts again."""
    there = {f"{host}/{key}" for host, facts in world.facts.items() for key in keys(world.app, facts)}
    dynos = ((f"{seat.host}/{seat.key}", seat) for seat in world.seats if seat.key not in world.standing)
    return frozenset(
        place
        for place, seat in dynos
        if place in there and world.env
        if diff.differs(wanted(world, seat).expect(), seen(seat.key, world.facts[seat.host])) & RESTART
    )


def wanted(world: World, seat: Seat, says: str = "") -> Dyno:
    if world.release is None or world.env is None:
        raise ValueError("a dyno without a release")
    command = world.release.processes[seat.type]
    return Dyno(
        seat,
        dyno.config(world, seat),
        Text(command),
        dyno.settings(world, seat),
        dyno.place(world, seat),
        world.env,
        world.rollout.starts_in(seat.host, seat.key),
        world.rollout.drain if seat.port else 0,
        says,
    )
