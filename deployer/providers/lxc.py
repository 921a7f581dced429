"""The dynos: one unprivileged container each, kept alive by one systemd unit each."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from deployer.diff import KEPT, Sealed
from deployer.facts import Facts, Probe
from deployer.fleet import Host
from deployer.model import Put, Sh, Stage, Step, Text, sha
from deployer.placement import DYNOS, gateway
from deployer.providers import dyno, parts
from deployer.providers.base import plain_cause, render
from deployer.world import Seat, World

UNIT = "/etc/systemd/system/deployer.dyno@.service"
NETWORK_UNIT = "/etc/systemd/system/deployer.network.service"
RUN = "/run/deployer/dynos"


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


class LxcProvider:
    name = "lxc"

    def desire(self, world: World, host: Host) -> Iterator[Any]:
        if "dynos" in host.roles or "build" in host.roles:
            yield from _network(world)
        for seat in world.seats_on(host.name):
            yield _dyno(world, seat, world.env) if world.env else Standing(seat.key)

    def probe(self, app: str) -> Probe:
        names = ("config", "command", "dyno.env", "dyno.json")
        return Probe(
            files=frozenset({f"{DYNOS}/{app}.*/{n}" for n in names} | {UNIT, NETWORK_UNIT}),
            texts=frozenset({f"{DYNOS}/*/dyno.json", f"{RUN}/{app}.*.loaded"}),
            folders=frozenset({f"{DYNOS}/{app}.*"}),
            units=frozenset({f"deployer.dyno@{app}.*.service", "deployer.network.service"}),
        )

    def observe(self, app: str, facts: Facts) -> Iterator[Any]:
        yield from parts.see_files(facts, (UNIT, NETWORK_UNIT))
        yield from parts.see_units(facts, ["deployer.network.service"])
        for key in _keys(app, facts):
            yield _seen(key, facts)

    def converge(self, want: Any, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        if isinstance(want, Dyno):
            return _start(want, have, differs)
        if isinstance(have, DynoSeen):
            return _stop(have.key)
        return parts.converge(want, have, differs) if want else ()

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        if isinstance(want, Dyno) and have is None:
            return want.seat.cause
        if want is None and isinstance(have, DynoSeen):
            return _farewell(world, have.key)
        if isinstance(have, DynoSeen) and differs == {"running"}:
            return "it is not running as it should"
        return plain_cause(want, have, differs)


def _network(world: World) -> Iterator[Any]:
    net = ipaddress.ip_network(world.network)
    text = render("lxc.network.service.j2", address=gateway(world.network), prefix=net.prefixlen)
    reload = (Sh(("systemctl", "daemon-reload")),)
    said = "let systemd read its units again"
    yield parts.File(UNIT, Text(render("lxc.dyno.service.j2")), after=reload, say_after=said)
    restart = (*reload, Sh(("systemctl", "restart", "deployer.network.service")))
    yield parts.File(NETWORK_UNIT, Text(text), after=restart, say_after="set the dyno network up")
    yield parts.Unit("deployer.network.service")


def _keys(app: str, facts: Facts) -> list[str]:
    folders = (f.removeprefix(f"{DYNOS}/") for f in facts.folders if f.startswith(f"{DYNOS}/"))
    units = (u.removeprefix("deployer.dyno@").removesuffix(".service") for u in facts.units)
    return sorted({key for key in (*folders, *units) if key.startswith(f"{app}.")})


def _seen(key: str, facts: Facts) -> DynoSeen:
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


def _dyno(world: World, seat: Seat, env: Text) -> Dyno:
    if world.release is None:
        raise ValueError("a dyno without a release")
    command = world.release.processes[seat.type]
    return Dyno(
        seat,
        dyno.config(world, seat),
        Text(command),
        dyno.settings(world, seat),
        dyno.place(world, seat),
        env,
    )


def _start(want: Dyno, have: DynoSeen | None, differs: frozenset[str]) -> Iterator[Step]:
    folder = f"{DYNOS}/{want.key}"
    unit = f"deployer.dyno@{want.key}.service"
    contents = {
        "config": want.config,
        "command": want.command,
        "settings": want.settings,
        "place": want.place,
    }
    names = {"config": "config", "command": "command", "settings": "dyno.env", "place": "dyno.json"}
    for field, content in contents.items():
        if have is None or field in differs:
            act = Put(f"{folder}/{names[field]}", content, 0o644 if field == "place" else 0o600)
            yield Step(Stage.START, f"write {names[field]} of {want.seat.name}", act)
    if have is None or "enabled" in differs:
        yield parts.systemctl("enable", unit, stage=Stage.START, say=f"enable {want.seat.name}")
    if have is None or differs & {"config", "command", "settings", "running"}:
        say = f"start {want.seat.name} and wait until it is up"
        yield parts.systemctl("restart", unit, stage=Stage.START, say=say, timeout=150)


def _stop(key: str) -> Iterator[Step]:
    unit = f"deployer.dyno@{key}.service"
    yield parts.systemctl("disable", "--now", unit, stage=Stage.RETIRE, say=f"stop {key}")
    clear = Sh(("sh", "-c", 'systemctl reset-failed "$1" 2>/dev/null || true', "sh", unit))
    yield Step(Stage.RETIRE, f"have systemd forget {key}", clear)
    yield parts.remove(f"{DYNOS}/{key}", Stage.RETIRE)


def _farewell(world: World, key: str) -> str:
    kind, n, release = key.removeprefix(f"{world.app}.").rsplit(".", 2)
    seats = [seat for seat in world.seats if seat.type == kind]
    if world.release is None:
        return "the app goes" if not world.keys else "its release failed"
    if any(seat.n == int(n) and f"v{seat.release}" != release for seat in seats):
        return f"release {world.release.name} replaces {release}"
    if any(seat.n == int(n) for seat in seats):
        return "it moved to another host"
    return f"{kind} scaled to {len(seats)}"
