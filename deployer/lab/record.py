"""Which labs there are, and which ground each has: kept in each lab's own record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deployer.lab import layout, machine, network
from deployer.lab.layout import DEFAULT, Ground
from deployer.problems import DeployerError, InputError, Problem


def all_labs() -> list[Ground]:
    """Those with a record, the default one first, then by name."""
    others = sorted(file.parent.name for file in layout.labs().glob("*/lab.json"))
    grounds = [_ground(lab) for lab in (DEFAULT, *others)]
    return [ground for ground in grounds if ground.record.exists()]


def find(lab: str) -> Ground:
    """The ground of a lab that was claimed before. The default lab's is known without a record."""
    if lab != DEFAULT and not _ground(lab).record.exists():
        known = ", ".join(ground.lab for ground in all_labs()) or "none"
        raise InputError(Problem(f"there is no lab {lab}", hint=f"the labs of this machine: {known}"))
    return _ground(lab)


def claim(lab: str) -> Ground:
    """The same, but a new lab gets a number; call it under the machine's lock, and make the bridge there."""
    ground = _ground(lab)
    if not ground.record.exists():
        ground = Ground(lab, 0 if lab == DEFAULT else _free_number())
        ground.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(ground, folder=None)
    return ground


def keep_folder(ground: Ground, folder: Path) -> None:
    """Remembers where `up` put `fleet.json` and `known_hosts`."""
    _write(ground, str(folder.absolute()))


def folder(ground: Ground) -> Path | None:
    """Where the last `up` put them."""
    found = _read(ground.record).get("folder")
    return Path(found) if found else None


def _ground(lab: str) -> Ground:
    """0 is only a guess for a lab that has no record; its folder and its lock do not depend on it."""
    unnumbered = Ground(lab, 0)
    return Ground(lab, _read(unnumbered.record).get("number", 0))


def _free_number() -> int:
    """The first that no record has, and in whose subnet this machine has no address."""
    used = {ground.number for ground in all_labs()}
    addresses = network.addresses()
    for number in range(1, layout.MOST_LABS + 1):
        if number not in used and not network.overlapping(Ground("", number).subnet, addresses):
            return number
    hint = "`deploy lab status` lists the labs; remove one with `deploy lab down --name NAME`"
    raise DeployerError(Problem(f"all {layout.MOST_LABS} subnets for labs are taken", hint=hint))


def _read(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text())) if file.exists() else {}


def _write(ground: Ground, folder: str | None) -> None:
    machine.write_whole(ground.record, json.dumps({"number": ground.number, "folder": folder}) + "\n")
