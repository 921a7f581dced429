"""Host keys on first contact: fetched with paramiko, shown as fingerprints, pinned."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import closing

import paramiko

import deployer.remote.connect  # noqa: F401, I001  (it patches the sockets and threads that paramiko takes)
from deployer.fleet import Host
from deployer.remote.known import known_hosts

SECONDS = 10


def pin(hosts: Iterable[Host], keys_file: str | None) -> list[str]:
    """Pin the key of each host that has none yet; a known one is never replaced. Returns what was pinned.

    A host that does not answer is left for the look that follows, which names it.
    """
    path = known_hosts(keys_file)
    known = paramiko.HostKeys(str(path))
    lines = []
    for host in hosts:
        name = host.address if host.port == 22 else f"[{host.address}]:{host.port}"
        if known.lookup(name) is None and (key := _key(host)):
            known.add(name, key.get_name(), key)
            lines.append(f"pinned {host.name} ({name}): {key.get_name()} {key.fingerprint}")
    known.save(str(path))
    return lines


def _key(host: Host) -> paramiko.PKey | None:
    try:
        with socket.create_connection((host.address, host.port), timeout=SECONDS) as link:
            return _asked(link)
    except (OSError, paramiko.SSHException):
        return None


def _asked(link: socket.socket) -> paramiko.PKey:
    with closing(paramiko.Transport(link)) as transport:
        transport.start_client(timeout=SECONDS)
        return transport.get_remote_server_key()
