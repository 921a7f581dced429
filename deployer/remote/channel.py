"""One command on one host: how a script gets there, as whom it runs, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from threading import Event, Thread
from typing import Any

NO_SUDO, NO_PYTHON = 90, 91
"""Exit numbers of the bootstrap line: sudo asks for a password; there is no python3."""
SILENCE = 60.0
"""Seconds without a word after which a look at a host is given up."""
BLOCK = 1 << 16

MARK = b"--- deployer"
"""The line after which a script speaks. What stands before it comes from the login's own files: bash reads
`~/.bashrc` for a command over SSH, too."""

_PYTHON = (
    "command -v python3 >/dev/null || exit 91; exec {as_root} python3 -c "
    "'import sys; n = int(sys.stdin.buffer.readline());"
    ' print("\\n{mark}", flush=True);'
    ' exec(compile(sys.stdin.buffer.read(n), "deployer", "exec"))\''
).replace("{mark}", MARK.decode())
_AS_ROOT = "sudo -n true 2>/dev/null || exit 90; "


@dataclass(frozen=True)
class Ended:
    """How a command ended; `output` is empty where lines were handed on as they came.

    Where a script was to speak and never did, it is what was said in its place.
    """

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
    text = source(name).encode()
    return str(len(text)).encode() + b"\n" + text


def source(name: str) -> str:
    """A script for hosts as it lies in this room."""
    return (files("deployer") / "remote" / "on_host" / name).read_text("utf-8")


def execute(
    client: Any,
    line: str,
    stdin: Iterable[bytes],
    on_line: Callable[[str], None] | None = None,
    silence: float = SILENCE,
) -> Ended:
    """Run `line` on a connected paramiko client.

    Raises OSError or SSHException when the link breaks, TimeoutError after `silence` seconds without a word;
    the connection is closed then, since nobody knows what still goes over it.
    """
    transport = client.get_transport()
    if transport is None or not transport.is_active():
        raise OSError("the connection is closed")
    with _Patience(client, silence) as patience:
        channel = transport.open_session(timeout=20)
        channel.exec_command(line)
        Thread(target=_send, args=(channel, stdin), daemon=True).start()
        output = _lines(channel, on_line, patience) if on_line else _spoken(_all(channel.recv, patience))
        errors = _all(channel.recv_stderr, patience)
        status = channel.recv_exit_status()
        channel.close()
    return Ended(status, output, errors)


class _Patience:
    """Closes a connection over which nothing comes, and so ends paramiko's waits: most have no limit.

    It counts its own ticks: a client that was itself held up has not listened in that time.
    """

    def __init__(self, client: Any, seconds: float) -> None:
        self.client, self.seconds, self.silent, self.over = client, seconds, 0.0, Event()

    def __enter__(self) -> _Patience:
        Thread(target=self._count, daemon=True).start()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.over.set()
        if self.silent >= self.seconds:
            raise TimeoutError(f"nothing was heard of it for {self.seconds:g} s")

    def heard(self) -> None:
        self.silent = 0.0

    def _count(self) -> None:
        tick = min(1.0, self.seconds / 4)
        while not self.over.wait(tick):
            self.silent += tick
            if self.silent >= self.seconds:
                self.client.close()
                return


def converse(client: Any, line: str, stdin: Iterable[bytes]) -> Any:
    """An open paramiko channel to `line`, which was told `stdin`: its output and errors in one.

    Raises OSError or SSHException when the link breaks; a link that says nothing at all may keep it for ever.
    """
    transport = client.get_transport()
    if transport is None:
        raise OSError("the connection is closed")
    channel = transport.open_session(timeout=10)
    channel.set_combine_stderr(True)
    channel.exec_command(line)
    for block in stdin:
        channel.sendall(block)
    return channel


def _send(channel: Any, blocks: Iterable[bytes]) -> None:
    """Runs beside the reading, so that a slow receiver never holds back what it has to say."""
    try:
        for block in blocks:
            channel.sendall(block)
        channel.shutdown_write()
    except OSError:
        channel.close()  # the receiver is gone; its exit status, or the lack of one, tells why


def _all(receive: Callable[[int], bytes], patience: _Patience) -> bytes:
    blocks = []
    while block := receive(BLOCK):
        patience.heard()
        blocks.append(block)
    return b"".join(blocks)


def _spoken(output: bytes) -> bytes:
    before, mark, after = output.partition(b"\n" + MARK + b"\n")
    return after if mark else before


def _lines(channel: Any, on_line: Callable[[str], None], patience: _Patience) -> bytes:
    """What stands before the mark, where that never comes; else all lines after it are handed on."""
    rest, before, speaks = b"", [], False  # at the end the rest is half a line, of a link that broke
    while block := channel.recv(BLOCK):
        patience.heard()
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if speaks:
                on_line(line.decode("utf-8", "replace"))
            elif not (speaks := line == MARK):
                before.append(line)
    return b"" if speaks else b"\n".join((*before, rest))
