"""Host keys on first contact: fetched with paramiko, shown as fingerprints, pinned."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

import paramiko
from pyinfra.connectors.sshuserclient.client import get_host_keys

from deployer.problems import Problem
from deployer.remote.connect import Links, connect  # noqa: I001  (it patches what paramiko takes)
from deployer.remote.jump import gates_of, through
from deployer.remote.known import known_hosts
from deployer.spec.fleet import Host
from deployer.spec.jumps import gate

SECONDS = 10
Way = Callable[[], Any]
"""Opens a socket or a channel to a host's sshd; gives None or a Problem where it cannot."""


def pin(hosts: Iterable[Host], keys_file: str | None) -> list[str]:
    """Pin the key of each host that has none yet, jump hosts first; a known one is never replaced.

    Returns what was pinned. A host that does not answer is left for the look that follows, which names it.
    """
    hosts = tuple(hosts)
    gates = gates_of(hosts)
    near = [host for host in hosts if not host.jump]
    lines = _pin(((host, _direct(host)) for host in (*gates, *near)), keys_file)
    return lines + _pin_behind(gates, [host for host in hosts if host.jump], keys_file) if gates else lines


def _pin_behind(gates: tuple[Host, ...], hosts: list[Host], keys_file: str | None) -> list[str]:
    links = connect(gates, keys_file)
    try:
        return _pin(((host, _through(host, links)) for host in hosts), keys_file)
    finally:
        links.close()


def _pin(ways: Iterable[tuple[Host, Way]], keys_file: str | None) -> list[str]:
    path = known_hosts(keys_file)
    known = paramiko.HostKeys(str(path))
    lines = []
    for host, way in ways:
        name = host.address if host.port == 22 else f"[{host.address}]:{host.port}"
        if known.lookup(name) is None and (key := _key(way)):
            known.add(name, key.get_name(), key)
            lines.append(f"pinned {host.name} ({name}): {key.get_name()} {key.fingerprint}")
    known.save(str(path))
    # pyinfra would read the file only once
    get_host_keys.cache.clear()
    return lines


def _direct(host: Host) -> Way:
    return lambda: socket.create_connection((host.address, host.port), timeout=SECONDS)


def _through(host: Host, gates: Links) -> Way:
    """Over the open jump host; one that let nobody in is named by the look that follows."""
    door = gate(host)
    is_open = door is not None and door.name in gates.open
    return lambda: through(gates.client(door.name), host, SECONDS) if door and is_open else None


def _key(way: Way) -> paramiko.PKey | None:
    try:
        link = way()
        if link is None or isinstance(link, Problem):
            return None
        with closing(link):
            return _asked(link)
    except (OSError, paramiko.SSHException):
        return None


def _asked(link: Any) -> paramiko.PKey:
    with closing(paramiko.Transport(link)) as transport:
        transport.start_client(timeout=SECONDS)
        return transport.get_remote_server_key()
