"""One command on one host: how a script gets there, as whom it runs, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from threading import Thread
from typing import Any

NO_SUDO, NO_PYTHON = 90, 91
"""Exit numbers of the bootstrap line: sudo asks for a password; there is no python3."""

_PYTHON = (
    "command -v python3 >/dev/null || exit 91; exec {as_root} python3 -c "
    "'import sys; n = int(sys.stdin.buffer.readline());"
    ' exec(compile(sys.stdin.buffer.read(n), "deployer", "exec"))\''
)
_AS_ROOT = "sudo -n true 2>/dev/null || exit 90; "


@dataclass(frozen=True)
class Ended:
    """How a command ended; `output` is empty where lines were handed on as they came."""

    status: int
    output: bytes
    errors: bytes


def python_line(user: str) -> str:
    """The one shell line that runs Python from standard input as root. Constant but for sudo."""
    if user == "root":
        return _PYTHON.replace("{as_root}", "")
    return _AS_ROOT + _PYTHON.replace("{as_root}", "sudo -n")


@cache
def script(name: str) -> bytes:
    """A shipped script, with the length that tells the receiver where it ends."""
    source = (files("deployer") / "remote" / name).read_bytes()
    return str(len(source)).encode() + b"\n" + source


def execute(
    client: Any, line: str, stdin: Iterable[bytes], on_line: Callable[[str], None] | None = None
) -> Ended:
    """Run `line` on a connected paramiko client. Raises OSError or SSHException when the link breaks."""
    channel = client.get_transport().open_session(timeout=20)
    channel.exec_command(line)
    sender = Thread(target=_send, args=(channel, stdin), daemon=True)
    sender.start()
    output = _lines(channel, on_line) if on_line else channel.makefile("rb").read()
    errors = channel.makefile_stderr("rb").read()
    status = channel.recv_exit_status()
    channel.close()
    return Ended(status, output, errors)


def _send(channel: Any, blocks: Iterable[bytes]) -> None:
    """Runs beside the reading, so that a slow receiver never holds back what it has to say."""
    try:
        for block in blocks:
            channel.sendall(block)
        channel.shutdown_write()
    except OSError:
        channel.close()  # the receiver is gone; its exit status, or the lack of one, tells why


def _lines(channel: Any, on_line: Callable[[str], None]) -> bytes:
    for line in channel.makefile("r"):
        on_line(line.rstrip("\n"))
    return b""
