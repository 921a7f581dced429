"""One host, live: what `log-tail` says there, line by line. Never together with a fleet run."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any

from deployer.problems import Problem, Where
from deployer.remote.channel import MARK
from deployer.spec.fleet import Host
from deployer.spec.jumps import gate

TAIL = "/var/lib/deployer/bin/log-tail"
SILENCE = 10.0
"""Seconds after which a host that says nothing, not even that it lives, counts as gone."""
PATIENCE = 120.0
"""The same of one that only looks through its files."""
MARKED = "echo; echo '{mark}'; exec ".replace("{mark}", MARK.decode())
"""Before a command: what stands before the mark is what the login's own files say."""
OnLines = Callable[[list[str]], None]
OnPlace = Callable[[str], None]


def log_tail(
    host: Host, keys_file: str | None, argv: tuple[str, ...], on_lines: OnLines, on_place: OnPlace
) -> None:
    """Runs log-tail; its lines go to `on_lines` as they come, the places it was at to `on_place`.

    Returns at its end. Raises OSError where the host, or the connection to it, is gone.
    """
    from paramiko import SSHException

    sudo = "" if host.user == "root" else "sudo -n "
    try:
        with connection(host, keys_file) as link:
            channel = link.transport.open_session(timeout=SILENCE)
            channel.settimeout(PATIENCE if argv[-1] == "end" else SILENCE)
            channel.exec_command(MARKED + sudo + shlex.join((TAIL, *argv)))
            hand_on(channel, on_lines, on_place)
    except (SSHException, EOFError) as error:
        raise OSError(str(error) or type(error).__name__) from error


def hand_on(channel: Any, on_lines: OnLines, on_place: OnPlace) -> None:
    """What comes after the mark, to its end. Raises OSError where log-tail failed."""
    rest, speaks = b"", False
    while block := channel.recv(1 << 18):
        *rows, rest = (rest + block).split(b"\n")
        if not speaks and (speaks := MARK in rows):
            del rows[: rows.index(MARK) + 1]
        if speaks:
            _told(rows, on_lines, on_place)
    if status := channel.recv_exit_status():
        raise OSError(channel.recv_stderr(1000).decode("utf-8", "replace").strip() or f"log-tail: {status}")


def _told(rows: list[bytes], on_lines: OnLines, on_place: OnPlace) -> None:
    places = [row[1:].decode() for row in rows if row.startswith(b"\0")]
    on_lines([row.decode("utf-8", "replace") for row in rows if not row.startswith(b"\0")])
    if places:
        on_place(places[-1])


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


def lost(host: Host, error: OSError) -> Problem:
    where = Where(f"{host.name}/{host.address}")
    return Problem(
        f"{host.name} cannot be reached", where, str(error), "check that it is up, then run the command again"
    )
