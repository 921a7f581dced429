"""Labs as they are now."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from deployer.lab import contact, container, host, layout, machine, network, record
from deployer.lab.layout import DEFAULT, Ground


@dataclass(frozen=True)
class LabHost:
    """A host; `state` is LXC's word, `pid` its init's, `ssh` whether root gets in with the lab's key."""

    name: str
    address: str
    state: str
    pid: int | None
    ssh: bool


@dataclass(frozen=True)
class Lab:
    """A lab as it is now; `fleet`, `known_hosts` and `key` are paths, None where nothing was written."""

    name: str
    subnet: str
    bridge: str | None
    hosts: tuple[LabHost, ...]
    fleet: str | None
    known_hosts: str | None
    key: str | None

    def as_dict(self) -> dict[str, Any]:
        """The same as plain JSON values: `hosts` is a list of objects with the fields of `LabHost`."""
        return asdict(self) | {"hosts": [asdict(host) for host in self.hosts]}


def status(lab: str = DEFAULT) -> Lab:
    """Looks at one lab and changes nothing; raises `InputError` where there is none of this name."""
    machine.require()
    return _status(record.find(layout.named(lab)))


def every() -> list[Lab]:
    """The same for each lab of this machine, the default one first, then by name."""
    machine.require()
    return [_status(ground) for ground in record.all_labs()]


def _status(ground: Ground) -> Lab:
    with ThreadPoolExecutor(layout.AT_ONCE) as pool:
        hosts = tuple(pool.map(partial(_look, ground), host.existing(ground)))
    folder = record.folder(ground)
    return Lab(
        name=ground.lab,
        subnet=ground.subnet,
        bridge=ground.bridge if network.is_up(ground) else None,
        hosts=hosts,
        fleet=_if_there(folder / "fleet.json") if folder else None,
        known_hosts=_if_there(folder / "known_hosts") if folder else None,
        key=_if_there(ground.key),
    )


def _look(ground: Ground, name: str) -> LabHost:
    state, pid = container.state(ground, name)
    ssh = state == "running" and contact.answers(ground, name)
    return LabHost(name, ground.address(name), state, pid, ssh)


def _if_there(file: Path) -> str | None:
    return str(file) if file.exists() else None
