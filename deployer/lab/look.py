"""The lab as it is now."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deployer.lab import contact, container, host, layout, machine, network


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
    """The lab as it is now; `fleet`, `known_hosts` and `key` are paths, None where nothing was written."""

    bridge: str | None
    hosts: tuple[LabHost, ...]
    fleet: str | None
    known_hosts: str | None
    key: str | None

    def as_dict(self) -> dict[str, Any]:
        """The same as plain JSON values: `hosts` is a list of objects with the fields of `LabHost`."""
        return asdict(self) | {"hosts": [asdict(host) for host in self.hosts]}


def status() -> Lab:
    """Looks at the lab and changes nothing."""
    machine.require()
    names = host.existing()
    with ThreadPoolExecutor(layout.AT_ONCE) as pool:
        hosts = tuple(pool.map(_look, names))
    folder = _recorded_folder()
    return Lab(
        bridge=layout.BRIDGE if network.is_up() else None,
        hosts=hosts,
        fleet=_if_there(folder / "fleet.json") if folder else None,
        known_hosts=_if_there(folder / "known_hosts") if folder else None,
        key=_if_there(layout.key()),
    )


def _look(name: str) -> LabHost:
    state, pid = container.state(name)
    return LabHost(name, layout.address(name), state, pid, state == "running" and contact.answers(name))


def _recorded_folder() -> Path | None:
    file = layout.record()
    return Path(json.loads(file.read_text())["folder"]) if file.exists() else None


def _if_there(file: Path) -> str | None:
    return str(file) if file.exists() else None
