"""Hosts that are reached through another: one connection to the jump host, a channel to each behind it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from deployer.problems import Problem, Where
from deployer.spec.fleet import Host
from deployer.spec.jumps import gate


def gates_of(hosts: Iterable[Host]) -> tuple[Host, ...]:
    """The jump hosts of these, by name; the key is that of the first host behind it."""
    found: dict[str, Host] = {}
    for host in hosts:
        if door := gate(host):
            found.setdefault(door.name, door)
    return tuple(found[name] for name in sorted(found))


def through(client: Any, host: Host, seconds: float) -> Any:
    """A channel to the sshd of `host` over the jump host's paramiko client, or why there is none."""
    from paramiko import SSHException

    target, origin = (host.address, host.port), ("127.0.0.1", 0)
    try:
        return client.get_transport().open_channel("direct-tcpip", target, origin, timeout=seconds)
    except (SSHException, OSError, EOFError) as error:
        return unreached(host, f"{host.jump} says: {error or type(error).__name__}", check(host))


def unreached(host: Host, said: str, hint: str) -> Problem:
    where = Where(f"{host.name}/{host.address}")
    return Problem(f"{host.name} cannot be reached through its jump host", where, said, hint)


def check(host: Host) -> str:
    """What to type to see whether a host is up."""
    jump = f"-J {host.jump} " if host.jump else ""
    return f"check that it is up: ssh {jump}-p {host.port} {host.user}@{host.address}"
