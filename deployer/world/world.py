"""The World: everything that decides what each host should hold, complete before anything is done."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property, wraps
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Literal, TypeVar

from deployer.model.plan import Capacity
from deployer.model.steps import Stage, Text
from deployer.spec.drains import Drain
from deployer.spec.fleet import Health, Host, Metrics, Routing
from deployer.spec.https import Tls
from deployer.spec.platform import Certificate, Platform
from deployer.spec.slug import Build
from deployer.spec.stacks import Stack
from deployer.world.facts import Facts

Outcome = Literal["pending", "succeeded", "failed"]

APP_PORT = 5000
"""`$PORT` of every web dyno: each has a network of its own, so one number serves all."""
DYNO_USER = 1000
"""The uid inside a dyno; on the host it is the app's base plus this."""


@dataclass(frozen=True)
class Release:
    """An immutable record. `config` maps names to keyed digests, so that it may be shown."""

    number: int
    slug: str
    stack: str
    processes: Mapping[str, str]
    config: Mapping[str, str]
    outcome: Outcome = "pending"
    why: str = ""
    who: str = ""
    when: str = ""
    commit: str = ""

    @property
    def name(self) -> str:
        return f"v{self.number}"

    @property
    def inputs(self) -> tuple[Any, ...]:
        """What makes a release: equal inputs are one (docs/architecture.md, "Releases and keys")."""
        return (self.slug, self.stack, dict(self.processes), dict(self.config))

    def as_dict(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return values | {name: dict(sorted(values[name].items())) for name in ("processes", "config")}


def read_release(document: Mapping[str, Any]) -> Release:
    return Release(**{name: document[name] for name in Release.__dataclass_fields__})


@dataclass(frozen=True)
class Seat:
    """A dyno's place: on which host, under which address, and which port of the host leads to it."""

    app: str
    type: str
    n: int
    release: int
    host: str
    address: str
    host_port: int
    memory: int
    limit: int
    pids: int
    cause: str = ""

    @cached_property
    def key(self) -> str:
        return f"{self.app}.{self.type}.{self.n}.v{self.release}"

    @cached_property
    def octets(self) -> bytes:
        """The address, as the network has it."""
        return IPv4Address(self.address).packed

    @property
    def name(self) -> str:
        return f"{self.type}.{self.n}"

    @property
    def port(self) -> int:
        return APP_PORT if self.host_port else 0


@dataclass(frozen=True)
class Task:
    """A command of the app that runs once, in a dyno of its own, at its stage of an apply."""

    name: str
    stage: Stage
    command: str
    memory: int
    limit: int
    pids: int


@dataclass(frozen=True)
class Wave:
    """One step of a rollout: dynos to start, what the routers serve then, dynos to stop after that.

    Dynos are `host/key`: one that moves has the same key on two hosts.
    """

    start: frozenset[str] = frozenset()
    routes: Mapping[str, str] = field(default_factory=dict)
    """`address:port` of hosts to the keys of web dynos."""
    stop: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Rollout:
    """How the dynos that are there make way for those that are wanted; no waves where all stay."""

    waves: tuple[Wave, ...] = ()
    routes: Mapping[str, str] = field(default_factory=dict)
    """What the routers serve at the end, as in a wave."""
    capacity: Mapping[str, Capacity] = field(default_factory=dict)
    watch: int = 0
    """Seconds that a new release is watched for after the switch."""
    drain: int = 0
    """Seconds that a dyno which routers have left may go on with what it has begun."""

    def starts_in(self, host: str, key: str) -> int:
        """The wave of START; 0 also for what is in none."""
        return self._starts.get(f"{host}/{key}", 0)

    def stops_in(self, host: str, key: str) -> int:
        """The wave of RETIRE: 0, the end of the run, for the last and for what is in no wave."""
        return self._stops.get(f"{host}/{key}", 0)

    @cached_property
    def _starts(self) -> Mapping[str, int]:
        return {place: i for i, wave in reversed([*enumerate(self.waves)]) for place in wave.start}

    @cached_property
    def _stops(self) -> Mapping[str, int]:
        return {place: i for i, wave in reversed([*enumerate(self.waves[:-1], 1)]) for place in wave.stop}


@dataclass(frozen=True)
class Claims:
    """What an app asks of the routers that it shares.

    Domains are one app's alone; the address and the ranges hold as long as one app asks for them.
    """

    domains: tuple[str, ...] = ()
    virtual_address: str = ""
    proxy_protocol: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Only what is claimed."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True)
class World:
    """What should be: the app on its fleet, with every name, port and address chosen."""

    app: str
    hosts: tuple[Host, ...]
    facts: Mapping[str, Facts]
    stack: Stack
    release: Release | None
    records: tuple[Release, ...]
    """The records to keep, the current release among them, by number."""
    seats: tuple[Seat, ...]
    base: int
    """First id of the app's user namespace on every host."""
    network: str
    claims: Claims = Claims()
    """What the app asks of the routers: its domains, and what they are to do for it."""
    allow: tuple[str, ...] = ()
    platform: Platform = Platform()
    """What commands have put beside the files; `domains` has its share of that already."""
    tls: Tls = Tls()
    acme_roots: str = field(default="", repr=False)
    """PEM of what to trust the ACME CA's own server by, beside the usual roots."""
    certificates: Mapping[str, Certificate] = field(default_factory=dict)
    """The user's own, by name: of the files and of commands."""
    now: str = ""
    """When it was decided, as ISO 8601: certificates expire."""
    drains: tuple[Drain, ...] = ()
    """Where log lines go besides the logplex: those of the files, and those of commands."""
    keys: Text | None = None
    sealed: bool = False
    """Whether the keys were there before."""
    env: Text | None = None
    config: Mapping[str, Text] | None = None
    build: Build | None = None
    """How the current slug is made; None where only what is there may be used."""
    tasks: tuple[Task, ...] = ()
    """What the release that is not live yet still has to run."""
    rollout: Rollout = Rollout()
    health: Health | None = None
    routing: Routing = Routing()
    metrics: Metrics = Metrics()
    standing: frozenset[str] = frozenset()
    """Keys of dynos that stay just as they are, whatever is known of their release."""
    who: str = ""
    """Whoever asks for this world."""
    formation: str = ""
    """How many dynos of each type and which size, in Heroku's words: `web@2:Standard-1X worker@0:Basic`."""
    lost: frozenset[str] = frozenset()
    """Hosts that cannot be reached now: they keep what they have, and no router is sent there anew."""
    routers: tuple[Host, ...] = ()
    """All that fleet.json names, also those that are left out now: they may still hold what routers share."""

    answers: dict[Callable[[World], Any], Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """Of functions that are asked once (`once`)."""

    def seats_on(self, host: str) -> tuple[Seat, ...]:
        return self._seats_by_host.get(host, ())

    @cached_property
    def _seats_by_host(self) -> Mapping[str, tuple[Seat, ...]]:
        found: dict[str, list[Seat]] = {}
        for seat in self.seats:
            found.setdefault(seat.host, []).append(seat)
        return {host: tuple(seats) for host, seats in found.items()}

    @property
    def hidden(self) -> tuple[Text, ...]:
        """What no output may show: config vars, the URLs of drains, private keys."""
        told = (*(drain.url for drain in self.drains), *(pair.key for pair in self.certificates.values()))
        return (*(self.config or {}).values(), *(Text(value, secret=True) for value in told))

    @cached_property
    def net(self) -> IPv4Network:
        """The dynos' own, on each host."""
        return IPv4Network(self.network)

    @cached_property
    def scale(self) -> Mapping[str, int]:
        """How many dynos of each type there are to be."""
        return Counter(seat.type for seat in self.seats)

    @cached_property
    def numbered(self) -> Mapping[tuple[str, int], Seat]:
        """The dynos that there are to be, by type and number."""
        return {(seat.type, seat.n): seat for seat in self.seats}

    @cached_property
    def web(self) -> tuple[Seat, ...]:
        return tuple(seat for seat in self.seats if seat.host_port)

    @property
    def domains(self) -> tuple[str, ...]:
        return self.claims.domains

    def with_role(self, role: str) -> tuple[Host, ...]:
        return self._by_role.get(role, ())

    @cached_property
    def _by_role(self) -> Mapping[str, tuple[Host, ...]]:
        roles = sorted({role for host in self.hosts for role in host.roles})
        return {role: tuple(host for host in self.hosts if role in host.roles) for role in roles}

    @cached_property
    def members(self) -> tuple[Host, ...]:
        """The hosts that have any role."""
        return tuple(host for host in self.hosts if host.roles)

    @cached_property
    def builder(self) -> Host:
        """The host that makes images and slugs: the first with the role that is there."""
        return next(
            (h for h in self.with_role("build") if h.name not in self.lost), self.with_role("build")[0]
        )

    def mesh_address(self, host: str) -> str:
        return self._mesh[host]

    @cached_property
    def _mesh(self) -> Mapping[str, str]:
        return {host.name: host.mesh for host in self.hosts}

    @cached_property
    def teller(self) -> str:
        """The host that says what is done for the app as a whole: the first with dynos that is there."""
        there = [host for host in self.members if host.name not in self.lost]
        return next((h.name for h in there if "dynos" in h.roles), there[0].name if there else "")

    @cached_property
    def seal(self) -> str:
        """The app's, where the hosts hold it: one that is yet to be written differs from plan to plan."""
        return str(json.loads(self.keys.reveal())["seal"]) if self.keys and self.sealed else ""

    @cached_property
    def slugs(self) -> frozenset[str]:
        return frozenset(record.slug for record in self.records if record.outcome != "failed")

    @property
    def image(self) -> str:
        """The name of the stack's image, without its variant."""
        return f"{self.stack.name}.{self.stack.digest}"


Answer = TypeVar("Answer")


def once(ask: Callable[[World], Answer]) -> Callable[[World], Answer]:
    """What is the same for all hosts: worked out for the first that asks, and not for each of a thousand."""

    @wraps(ask)
    def answered(world: World) -> Answer:
        if ask not in world.answers:
            world.answers[ask] = ask(world)
        found: Answer = world.answers[ask]
        return found

    return answered
