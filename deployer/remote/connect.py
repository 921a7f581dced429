"""Connections to a fleet, all at once: pyinfra's, over host keys that are pinned."""

from __future__ import annotations

from gevent import events, monkey

# each of its 23 patches would look through all installed packages for plugins of gevent; we have none
events.notify_and_call_entry_points = events.notify
monkey.patch_all(ssl=False)

import logging  # noqa: E402  (hosts run one after another unless gevent patches first)
from collections.abc import Callable, Iterable, Mapping  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
from pyinfra.api import Config, Inventory, State  # noqa: E402
from pyinfra.api.exceptions import ConnectError  # noqa: E402
from pyinfra.api.host import Host as Remote  # noqa: E402

from deployer.problems import Problem, Where  # noqa: E402
from deployer.remote.jump import check, gates_of, through, unreached  # noqa: E402
from deployer.remote.known import known_hosts  # noqa: E402
from deployer.spec.fleet import Host  # noqa: E402
from deployer.spec.jumps import gate  # noqa: E402

CONNECT_SECONDS = 10
AT_ONCE = 8
"""Half-open connections through one jump host: sshd drops at random from 10 on."""

logging.getLogger("pyinfra").addHandler(logging.NullHandler())
logging.getLogger("pyinfra").propagate = False
logging.getLogger("paramiko").addHandler(logging.NullHandler())
logging.getLogger("paramiko").propagate = False


@dataclass(frozen=True)
class Links:
    """An open fleet: pyinfra's state, the hosts that answered, and why the others did not."""

    state: State
    open: Mapping[str, Remote]
    hosts: Mapping[str, Host]
    lost: Mapping[str, Problem]
    keys_file: str | None = None
    gates: Links | None = None
    """The jump hosts, each with one connection for all hosts behind it."""

    def client(self, name: str) -> Any:
        """The paramiko client of a connected host."""
        return self.open[name].connector.client  # type: ignore[attr-defined]

    def each(self, job: Callable[[str], Any]) -> dict[str, Any]:
        """`job(host)` on all connected hosts at once; an exception is a value, never raised here."""
        jobs = {name: gevent.spawn(_caught, job, name) for name in sorted(self.open)}
        return {name: greenlet.get() for name, greenlet in jobs.items()}

    def close(self) -> None:
        for name in self.open:
            self.client(name).close()
        if self.gates:
            self.gates.close()


def _caught(job: Callable[[str], Any], name: str) -> Any:
    try:
        return job(name)
    except Exception as error:  # handed to the caller as the host's result
        return error


def connect(hosts: Iterable[Host], keys_file: str | None) -> Links:
    """Open all hosts in parallel. Never raises for a host that does not answer: see `lost`."""
    by_name = {host.name: host for host in hosts}
    behind = gates_of(by_name.values())
    gates = connect(behind, keys_file) if behind else None
    data = [(host.name, _data(host, keys_file)) for host in by_name.values()]
    config = Config(CONNECT_TIMEOUT=CONNECT_SECONDS, FAIL_PERCENT=100, PARALLEL=max(len(data), 1))
    state = State(Inventory((data, {})), config, check_for_changes=False)
    found = _connect_all(state, by_name, gates)
    lost = {name: error for name, error in found.items() if isinstance(error, Problem)}
    opened = {name: remote for name, remote in found.items() if not isinstance(remote, Problem)}
    for remote in opened.values():
        state.activate_host(remote)
    return Links(state, opened, by_name, lost, keys_file, gates)


def anew(links: Links, name: str, seconds: float) -> Links | None:
    """A further connection to one host, tried for so many seconds; None if there is none to be had."""
    with gevent.Timeout(seconds, False):
        while True:
            found = connect((links.hosts[name],), links.keys_file)
            if found.open:
                return found
            gevent.sleep(1)
    return None


def _connect_all(state: State, hosts: Mapping[str, Host], gates: Links | None) -> dict[str, Any]:
    turns = {name: gevent.lock.BoundedSemaphore(AT_ONCE) for name in (gates.hosts if gates else ())}
    jobs = {r.name: state.pool.spawn(_open, r, hosts[r.name], gates, turns) for r in state.inventory}
    gevent.joinall(jobs.values(), timeout=CONNECT_SECONDS * 6)
    return {n: job.get() if job.ready() else _silent(hosts[n]) for n, job in sorted(jobs.items())}


def _silent(host: Host) -> Problem:
    where = Where(f"{host.name}/{host.address}")
    said = "nothing came of it within a minute"
    return Problem(f"{host.name} cannot be reached", where, said, check(host))


def _open(remote: Remote, host: Host, gates: Links | None, turns: Mapping[str, Any]) -> Remote | Problem:
    door = gate(host)
    if not (gates and door):
        return _opened(remote, host)
    if closed := gates.lost.get(door.name):
        return unreached(host, closed.summary, closed.hint)
    with turns[door.name]:
        way = through(gates.client(door.name), host, CONNECT_SECONDS)
        if isinstance(way, Problem):
            return way
        remote.connector.data["ssh_paramiko_connect_kwargs"] = {"sock": way}
        return _opened(remote, host)


def _opened(remote: Remote, host: Host) -> Remote | Problem:
    try:
        remote.connect(show_errors=False, raise_exceptions=True)
        return remote
    except ConnectError as error:
        return _why(host, error)


def _data(host: Host, keys_file: str | None) -> dict[str, Any]:
    data: dict[str, Any] = {
        "ssh_hostname": host.address,
        "ssh_port": host.port,
        "ssh_user": host.user,
        "ssh_strict_host_key_checking": "yes",
        "ssh_known_hosts_file": str(known_hosts(keys_file)),
        # a second try would find the way through a jump host used up
        "ssh_connect_retries": 0 if host.jump else 1,
    }
    if host.key:
        data["ssh_key"] = str(Path(host.key).expanduser())
    return data


_HINTS = (
    (
        "No existing session",
        "it accepts connections, but its sshd does not answer",
        "look at the machine's console: it may be out of memory, or its sshd stopped",
    ),
    (
        "SSH host key error",
        "the host key has changed",
        "if the machine was reinstalled, remove its old line from known_hosts; else somebody is in between",
    ),
    (
        "StrictPolicy",
        "its host key is not known",
        "compare its fingerprint with the machine's, then repeat with --accept-new",
    ),
    (
        "Authentication error",
        "it refused the key",
        "check `ssh.user` and `ssh.key` in fleet.json, and authorized_keys on the host",
    ),
    ("Could not resolve hostname", "its name has no address", "check `address` in fleet.json"),
)


def _why(host: Host, error: ConnectError) -> Problem:
    words = str(error)
    for mark, what, hint in _HINTS:
        if mark in words:
            return Problem(f"{host.name}: {what}", Where(f"{host.name}/{host.address}"), hint=hint)
    return Problem(f"{host.name} cannot be reached", Where(f"{host.name}/{host.address}"), words, check(host))
