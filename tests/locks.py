"""Hosts' locks on this machine: `lock.py` as it runs on a host, on files of a folder."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from shipped import script

SCRIPT = script("lock.py")
START = """
import json, os, runpy, sys, time
script, names, jump, line = sys.argv[1], json.loads(sys.argv[2]), float(sys.argv[3]), sys.stdin.buffer.readline()
wall = time.time
time.time = lambda: wall() + jump
main = runpy.run_path(script, run_name="lock")["main"]
clock = main.__globals__["clock"]
pwrite = os.pwrite
def full(*words):
    if os.path.exists(names["FULL"]):
        raise OSError(28, "No space left on device")
    return pwrite(*words)
os.pwrite = full
later = lambda: os.path.getsize(names["LATER"]) if os.path.exists(names["LATER"]) else 0
main.__globals__.update(names, clock=lambda: clock() + later())
sys.exit(main(json.loads(line.decode())))
"""


STEP_SECONDS = 1


def argv(folder: Path, jump: float = 0) -> list[str]:
    """With a wall clock that is `jump` seconds off; each byte of `later` is a second that has passed.

    As long as a file `full` is there, no record can be written.
    It looks often, so that no test has to wait.
    """
    names = {
        "PATH": str(folder / "run" / "lock"),
        "RUNNER": str(folder / "run" / "runner"),
        "LATER": str(folder / "later"),
        "FULL": str(folder / "full"),
        "AUDIT": str(folder / "audit.log"),
        "LOOK_SECONDS": 0.05,
        "STEP_LOOK_SECONDS": 0.05,
        "STEP_SECONDS": STEP_SECONDS,
    }
    return [sys.executable, "-c", START, str(SCRIPT), json.dumps(names), str(jump)]


class Talk:
    """A conversation with `lock.py` that can do what paramiko's channels can."""

    def __init__(self, folder: Path, line: bytes, jump: float = 0) -> None:
        self.socket, other = socket.socketpair()
        self.process = subprocess.Popen(argv(folder, jump), stdin=other, stdout=other, stderr=other)
        other.close()
        self.recv, self.settimeout = self.socket.recv, self.socket.settimeout
        self.send, self.close = self.socket.send, self.socket.close
        self.sendall = self.socket.sendall
        self.shutdown_write = partial(self.socket.shutdown, socket.SHUT_WR)
        self.send(line)

    def hear(self) -> dict[str, Any]:
        """Its next answer; what it says to a person is passed over, `{}` at its end."""
        self.settimeout(10)
        said = b""
        while not said.endswith(b"\n"):
            block = self.recv(1)
            if not block:
                break
            said += block
        return self.hear() if said and not said.startswith(b"{") else dict(json.loads(said or b"{}"))

    def end(self) -> int:
        return self.process.wait(10)

    def recv_exit_status(self) -> int:
        return self.end()

    def get_transport(self) -> Talk:
        return self

    def is_active(self) -> bool:
        return True


def ask(folder: Path, line: bytes) -> tuple[int, bytes, bytes]:
    done = subprocess.run(argv(folder), input=line, capture_output=True, timeout=20)
    return done.returncode, done.stdout, done.stderr
