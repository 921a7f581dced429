"""The dynos: one unprivileged container each, kept alive by one systemd unit each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from deployer.model.diff import Sealed
from deployer.model.steps import Act, Guard, Put, Sh, Stage, Step
from deployer.providers import parts
from deployer.providers.base import About, given, plain_cause, render, roles, scale
from deployer.providers.host import BIN
from deployer.providers.lxc.dynos import RESTART, RUN, Dyno, DynoSeen, Leaving, Standing, keys, seen, wanted
from deployer.providers.rsyslog import said
from deployer.spec.fleet import Host
from deployer.spec.spec import Spec
from deployer.world.facts import Facts, Probe
from deployer.world.placement import DYNOS, WEB, gateway
from deployer.world.world import World

UNIT = "/etc/systemd/system/deployer.dyno@.service"
NETWORK_UNIT = "/etc/systemd/system/deployer.network.service"
_DYNO = (
    "As many dynos of a type run as its quantity says (in fleet.json, else in app.json), all of the current "
    "release; who runs well stays where it is. It is up when it runs what its files say and, of web, answers."
)
_NETWORK_AGAIN = """
systemctl daemon-reload
[ ! -e "$1" ] || exec systemctl restart deployer.network.service
[ ! -e /sys/class/net/deployer0 ] || exec ip address flush dev deployer0
"""
"""Without a unit only the address goes, which may keep SSH out: dynos may hang on the bridge."""
_OLD = "one of an older release goes in any case"


class LxcProvider:
    name = "lxc"
    base = ("file:*", "unit:*")

    def desire(self, world: World, host: Host) -> Iterator[Any]:
        if "dynos" in host.roles or "build" in host.roles:
            yield from _network(world)
        says = said.of_scale(world)
        for seat in world.seats_on(host.name):
            stays = seat.key in world.standing or world.env is None
            line = says.get(f"{host.name}/{seat.key}", "")
            yield Standing(seat.key) if stays else wanted(world, seat, line)
        stay = {seat.key for seat in world.seats_on(host.name)}
        for key in keys(world.app, world.facts[host.name]):
            if key not in stay:
                place = world.facts[host.name].document(f"{DYNOS}/{key}/dyno.json")
                drain = world.rollout.drain if place.get("port") else 0
                line = says.get(f"{host.name}/{key}", "")
                yield Leaving(key, world.rollout.stops_in(host.name, key), drain, line)

    def probe(self, app: str) -> Probe:
        names = ("config", "command", "dyno.env", "dyno.json")
        return Probe(
            files=frozenset({f"{DYNOS}/{app}.*/{n}" for n in names} | {UNIT, NETWORK_UNIT}),
            texts=frozenset({f"{DYNOS}/*/dyno.json", f"{RUN}/{app}.*.loaded", said.scale_mark(app)}),
            folders=frozenset({f"{DYNOS}/{app}.*"}),
            units=frozenset({f"deployer.dyno@{app}.*.service", "deployer.network.service"}),
        )

    def observe(self, app: str, facts: Facts) -> Iterator[Any]:
        yield from parts.see_files(facts, (UNIT, NETWORK_UNIT))
        yield from parts.see_units(facts, ["deployer.network.service"])
        for key in keys(app, facts):
            yield seen(key, facts)

    def converge(self, want: Any, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        if isinstance(want, Dyno):
            return _start(want, have, differs)
        if isinstance(want, Leaving):
            return _stop(want)
        return parts.converge(want, have, differs) if want else ()

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        if isinstance(want, Dyno) and have is None:
            return want.seat.cause
        if isinstance(want, Leaving):
            return _farewell(world, have.key)
        if isinstance(have, DynoSeen) and differs == {"running"}:
            return "it is not running as it should"
        return plain_cause(want, have, differs)

    def about(self, spec: Spec, host: Host, key: str) -> About:
        if key.startswith(("file:", "unit:")):
            return parts.about(spec, host, key, "Dynos have one network of their own on each host.")
        kind, n, _ = key.removeprefix(f"{spec.fleet.app}.").rsplit(".", 2)
        places = (f"{DYNOS}/{key}/", f"deployer.dyno@{key}.service", f"{RUN}/{key}.loaded")
        asks = (*scale(spec, kind), *(given(spec, "health") if kind == WEB else ()), roles(spec, host))
        scaled = f"set the quantity of {kind} to {{}}, in fleet.json or app.json"
        return About(
            asks, places, _DYNO, f"{scaled.format(f'{n} or more')} ({_OLD})", scaled.format(int(n) - 1)
        )


def _network(world: World) -> Iterator[Any]:
    address, prefix = gateway(world.net), world.net.prefixlen
    yield parts.unit_file(UNIT, render("lxc/dyno.service.j2"))
    text = render("lxc/network.service.j2", address=address, prefix=prefix)
    restart = (parts.REREAD, Sh(("systemctl", "restart", "deployer.network.service")))
    guard = Guard((NETWORK_UNIT,), (("sh", "-c", _NETWORK_AGAIN, "sh", NETWORK_UNIT),))
    said = "set the dyno network up"
    yield parts.File(NETWORK_UNIT, text, after=restart, say_after=said, guard=guard)
    yield parts.Unit("deployer.network.service")


def _start(want: Dyno, have: DynoSeen | None, differs: frozenset[str]) -> Iterator[Step]:
    unit = f"deployer.dyno@{want.key}.service"
    if want.says:
        yield said.step(Stage.START, want.seat.app, want.says, said.scale_mark(want.seat.app), want.wave)
    acts = [
        *_files(want),
        (f"enable {want.seat.name}", Sh(("systemctl", "enable", unit)), "enabled"),
    ]
    for say, act, field in acts:
        if have is None or field in differs:
            yield Step(Stage.START, say, act, wave=want.wave)
    if have is None or differs & RESTART:
        act = Sh(("systemctl", "restart", unit), timeout=150)
        if have and isinstance(have.running, Sealed) and want.drain:
            yield _drain(Stage.START, want)
        yield Step(Stage.START, f"start {want.seat.name} and wait until it is up", act, wave=want.wave)


def _files(want: Dyno) -> Iterator[tuple[str, Act, str]]:
    """What is said, done, and the field that it is for."""
    contents = (
        ("config", "config", want.config, 0o600),
        ("command", "command", want.command, 0o600),
        ("dyno.env", "settings", want.settings, 0o600),
        ("dyno.json", "place", want.place, 0o644),
    )
    for name, field, content, mode in contents:
        yield f"write {name} of {want.seat.name}", Put(f"{DYNOS}/{want.key}/{name}", content, mode), field


def _drain(stage: Stage, want: Dyno | Leaving) -> Step:
    act = Sh((f"{BIN}/dyno-drain", want.key, str(want.drain)), timeout=want.drain + 60)
    return Step(stage, f"let {want.key} end its requests", act, wave=want.wave)


def _stop(want: Leaving) -> Iterator[Step]:
    unit = f"deployer.dyno@{want.key}.service"
    if want.says:
        app = want.key.partition(".")[0]
        yield said.step(Stage.RETIRE, app, want.says, said.scale_mark(app), want.wave)
    if want.drain:
        yield _drain(Stage.RETIRE, want)
    stop = Sh(("systemctl", "disable", "--now", unit), timeout=120)
    yield Step(Stage.RETIRE, f"stop {want.key}", stop, wave=want.wave)
    clear = Sh(("sh", "-c", 'systemctl reset-failed "$1" 2>/dev/null || true', "sh", unit))
    yield Step(Stage.RETIRE, f"have systemd forget {want.key}", clear, wave=want.wave)
    yield replace(parts.remove(f"{DYNOS}/{want.key}", Stage.RETIRE), wave=want.wave)


def _farewell(world: World, key: str) -> str:
    kind, n, release = key.removeprefix(f"{world.app}.").rsplit(".", 2)
    if world.release is None:
        return "the app goes" if not world.keys else "its release failed"
    successor = world.numbered.get((kind, int(n)))
    if successor is None:
        return f"{kind} scaled to {world.scale.get(kind, 0)}"
    is_newer = f"v{successor.release}" != release
    return f"release {world.release.name} replaces {release}" if is_newer else "it moved to another host"
