"""One host, live: fabric follows a command and hands its lines on. Never together with a fleet run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from deployer.fleet import Host
from deployer.jumps import gate
from deployer.problems import Problem, UnreachableError, Where

TAIL = "/var/lib/deployer/bin/log-tail"


def log_lines(
    hosts: Iterable[Host], keys_file: str | None, argv: tuple[str, ...], on_line: Callable[[str], None]
) -> None:
    """Lines of `log-tail` from the first logplex host that answers. Raises UnreachableError."""
    import shlex

    problems = []
    for host in hosts:
        sudo = "" if host.user == "root" else "sudo -n "
        try:
            with connection(host, keys_file) as link:
                link.run(
                    sudo + shlex.join((TAIL, *argv)), out_stream=_Lines(on_line), warn=True, in_stream=False
                )
            return
        except OSError as error:
            problems.append(_lost(host, error))
    raise UnreachableError(problems)


def connection(host: Host, keys_file: str | None) -> Any:
    """fabric's, opened, through the jump host if there is one. Raises OSError, for SSH's errors too."""
    from fabric import Connection
    from paramiko import RejectPolicy, SSHException

    from deployer.remote.known import known_hosts

    door = gate(host)
    link = Connection(
        host.address,
        user=host.user,
        port=host.port,
        gateway=connection(door, keys_file) if door else None,
        connect_timeout=10,
        connect_kwargs={"key_filename": host.key} if host.key else {},
    )
    link.client.load_host_keys(str(known_hosts(keys_file)))
    link.client.set_missing_host_key_policy(RejectPolicy())
    try:
        link.open()
    except SSHException as error:
        raise OSError(str(error)) from error
    return link


def _lost(host: Host, error: OSError) -> Problem:
    where = Where(f"{host.name}/{host.address}")
    return Problem(
        f"{host.name} cannot be reached", where, str(error), "check that it is up, then run the command again"
    )


class _Lines:
    """A stream that hands on whole lines."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self.on_line, self.rest = on_line, ""

    def write(self, text: str) -> None:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            self.on_line(line)

    def flush(self) -> None:
        """Whole lines are handed on as they come."""
