"""The lab as a fleet: what the deployer is told about it, as about any fleet."""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path
from typing import Any

from deployer.lab import layout, machine
from deployer.lab.layout import Ground
from deployer.problems import InputError, Problem, Where

HINT = "put it right, or name another folder"
ROLES = {"box-1": ["router", "dynos", "logplex", "build", "data"], "box-2": ["router", "dynos"]}


def read(folder: Path) -> dict[str, Any]:
    """The `fleet.json` that is in `folder`, if any; `InputError` where it is no JSON object of hosts."""
    file = folder / "fleet.json"
    try:
        content = json.loads(file.read_text()) if file.exists() else {}
    except json.JSONDecodeError as error:
        where = Where(str(file), error.lineno, error.colno)
        raise InputError(Problem(f"this is not JSON: {error.msg}", where, hint=HINT)) from error
    if not _is_a_fleet(content):
        summary = "a fleet is an object whose `ssh` and named `hosts` are objects"
        raise InputError(Problem(summary, Where(str(file)), hint=HINT))
    return dict(content)


def write(ground: Ground, folder: Path, names: list[str], known_hosts: str) -> None:
    """Writes `fleet.json` and `known_hosts` into `folder`, each only if it would change."""
    folder.mkdir(parents=True, exist_ok=True)
    fleet, keys = folder / "fleet.json", folder / "known_hosts"
    machine.write_whole(keys, known_hosts)
    before = read(folder)
    after = merged(ground, before, names, str(keys.absolute()))
    if after != before:
        machine.write_whole(fleet, json.dumps(after, indent=2, ensure_ascii=False) + "\n")


def merged(ground: Ground, before: dict[str, Any], names: list[str], known_hosts: str) -> dict[str, Any]:
    """The lab's hosts and ssh settings in a fleet whose every other word stays the user's."""
    there = before.get("hosts", {})
    hosts = {host["name"]: host for host in there} if isinstance(there, list) else there
    others = {name: host for name, host in hosts.items() if not _of_a_lab(host)}
    ours = {name: _host(ground, name, hosts.get(name, {})) for name in names}
    after = others | ours
    if isinstance(there, list):
        return _with(ground, before, [host | {"name": name} for name, host in after.items()], known_hosts)
    return _with(ground, before, after, known_hosts)


def _with(ground: Ground, before: dict[str, Any], hosts: object, known_hosts: str) -> dict[str, Any]:
    ssh = before.get("ssh", {}) | {"user": "root", "key": str(ground.key), "known_hosts": known_hosts}
    return before | {"hosts": hosts, "ssh": ssh}


def _host(ground: Ground, name: str, before: dict[str, Any]) -> dict[str, Any]:
    roles = before.get("roles", ROLES.get(name, ["dynos"]))
    return before | {"address": ground.address(name), "roles": roles}


def _of_a_lab(host: dict[str, Any]) -> bool:
    try:
        return ipaddress.ip_address(host.get("address", "")) in ipaddress.ip_network(layout.SUBNETS)
    except ValueError:
        return False


def _is_a_fleet(content: object) -> bool:
    if not isinstance(content, dict) or not isinstance(content.get("ssh", {}), dict):
        return False
    hosts = content.get("hosts", {})
    if isinstance(hosts, list):
        return all(isinstance(host, dict) and "name" in host for host in hosts)
    return isinstance(hosts, dict) and all(isinstance(host, dict) for host in hosts.values())
