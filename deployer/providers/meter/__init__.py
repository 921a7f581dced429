"""The meter: on every host a daemon that tells the fleet how its dynos are, and their apps what they use."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from deployer.model.steps import Stage, Step, Text, sha
from deployer.providers import parts
from deployer.providers.base import About, given, packaged, plain_cause, render, roles
from deployer.spec.fleet import Host
from deployer.spec.spec import Spec
from deployer.world.facts import Facts, Probe
from deployer.world.releases import app_id
from deployer.world.world import World

METER_PORT = 20515
FOLDER = "/var/lib/deployer/meter"
UNIT = "/etc/systemd/system/deployer.meter.service"
CHOICE = "/etc/deployer/meter/{}.json"
LOADED = "/run/deployer/meter.loaded"
SCRIPTS = ("collect", "dynos", "logplex", "prometheus", "say", "serve")
DAEMON = "daemon"
_TELLS = "Every host tells the fleet how its dynos are; the running meter must be of the files on disk."


@dataclass(frozen=True)
class DaemonSeen:
    """`loaded` is the digest of the scripts and the unit that the running daemon was started from."""

    key: str
    loaded: str | None
    active: bool
    enabled: bool


@dataclass(frozen=True)
class Daemon:
    loaded: str

    @property
    def key(self) -> str:
        return DAEMON

    def expect(self) -> DaemonSeen:
        return DaemonSeen(DAEMON, self.loaded, True, True)


class MeterProvider:
    name = "meter"
    base = (f"file:{FOLDER}/*", f"file:{UNIT}", DAEMON)

    def desire(self, world: World, host: Host) -> Iterator[Any]:
        if not host.roles:
            return
        files = (*_scripts(), _unit(world, host))
        yield from files
        if world.metrics.dynos and world.release and "dynos" in host.roles:
            choice = json.dumps({"id": app_id(world.app)}) + "\n"
            yield parts.File(CHOICE.format(world.app), Text(choice))
        yield Daemon(sha("".join(file.content.reveal() for file in files)))

    def probe(self, app: str) -> Probe:
        return Probe(
            files=frozenset({f"{FOLDER}/*.py", UNIT, CHOICE.format(app)}),
            texts=frozenset({LOADED}),
            units=frozenset({"deployer.meter.service"}),
        )

    def observe(self, app: str, facts: Facts) -> Iterator[Any]:
        yield from parts.see_files(facts, (f"{FOLDER}/", UNIT, CHOICE.format(app)))
        unit = "deployer.meter.service"
        if unit in facts.units:
            loaded = parts.loaded(facts, LOADED)
            yield DaemonSeen(DAEMON, loaded, facts.active(unit), facts.enabled(unit))

    def converge(self, want: Any, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        """The meter serves every app of a host: only an app's own choice goes with the app."""
        if isinstance(want, Daemon):
            return _start(have, differs)
        is_shared = not have or not have.key.startswith(f"file:{CHOICE.partition('{')[0]}")
        return parts.converge(want, have, differs) if want or not is_shared else ()

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        if isinstance(want, Daemon) and have and "loaded" in differs:
            return "the running meter is of other files" if have.loaded else "it does not run"
        return plain_cause(want, have, differs)

    def about(self, spec: Spec, host: Host, key: str) -> About:
        if key.startswith("file:"):
            return parts.about(spec, host, key, _TELLS)
        places = (f"{FOLDER}/", "deployer.meter.service", LOADED)
        asks = (*given(spec, "metrics"), roles(spec, host))
        return About(asks, places, _TELLS, drop=f"take all roles from {host.name}, in fleet.json")


def _scripts() -> Iterator[parts.File]:
    return (parts.File(f"{FOLDER}/{name}.py", packaged(f"meter/on_host/{name}.py")) for name in SCRIPTS)


def _unit(world: World, host: Host) -> parts.File:
    address = listens_at(host, world.facts[host.name])
    text = render(
        "meter/service.j2", folder=FOLDER, unit=UNIT, loaded=LOADED, address=address, port=METER_PORT
    )
    return parts.unit_file(UNIT, text)


def listens_at(host: Host, facts: Facts) -> str:
    """The host's address in the mesh. Where that is a name, or is translated on its way, any of the host's:
    the wall lets only the fleet in."""
    return host.mesh if host.mesh in facts.addresses and ":" not in host.mesh else "0.0.0.0"


def _start(have: DaemonSeen | None, differs: frozenset[str]) -> Iterator[Step]:
    unit = "deployer.meter.service"
    if have is None or "enabled" in differs:
        yield parts.systemctl("enable", unit, stage=Stage.PREPARE, say=f"enable {unit}")
    if have is None or differs & {"loaded", "active"}:
        yield parts.systemctl("restart", unit, stage=Stage.PREPARE, say=f"have {unit} run what is there")
