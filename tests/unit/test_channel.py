"""What a script says over a connection, beside what the login's own files say: a real shell, a real script."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from deployer.remote import channel, session


class Shell:
    """A connection whose commands run in this machine's sh, after what its login's files say."""

    def __init__(self, noise: str = "") -> None:
        self.noise = noise

    def get_transport(self) -> Shell:
        return self

    def is_active(self) -> bool:
        return True

    def open_session(self, timeout: float) -> Shell:
        return self

    def exec_command(self, line: str) -> None:
        words = ("sh", "-c", f'printf %s "$1"; {line}', "sh", self.noise)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self.process: Any = subprocess.Popen(words, **pipes)  # type: ignore[call-overload]

    def sendall(self, block: bytes) -> None:
        self.process.stdin.write(block)

    def shutdown_write(self) -> None:
        self.process.stdin.close()

    def recv(self, size: int) -> bytes:
        return os.read(self.process.stdout.fileno(), size)

    def recv_stderr(self, size: int) -> bytes:
        return os.read(self.process.stderr.fileno(), size)

    def recv_exit_status(self) -> int:
        return int(self.process.wait())

    def close(self) -> None:
        self.process.stdout.close()
        self.process.stderr.close()


def asked(noise: str, script: bytes, on_line: Callable[[str], None] | None = None) -> channel.Ended:
    stdin = (str(len(script)).encode() + b"\n" + script,)
    return channel.execute(Shell(noise), channel.python_line("root"), stdin, on_line)


NOISES = ("", "Welcome to prod\n", "no end of line", '{"facts": 1}\n', "--- deployer of ours\n")


@pytest.mark.parametrize("noise", NOISES)
def test_what_the_logins_files_say_is_no_part_of_an_answer(noise: str) -> None:
    assert asked(noise, b'print("one"); print("two")') == channel.Ended(0, b"one\ntwo\n", b"")


@pytest.mark.parametrize("noise", NOISES)
def test_nor_of_what_is_told_line_by_line(noise: str) -> None:
    heard: list[str] = []
    assert asked(noise, b'print("one"); print("two")', heard.append) == channel.Ended(0, b"", b"")
    assert heard == ["one", "two"]


def test_what_is_said_in_place_of_an_answer_is_kept() -> None:
    shell = Shell("This account is closed.\n")
    assert channel.execute(shell, "exit 1", ()) == channel.Ended(1, b"This account is closed.\n", b"")
    assert channel.execute(shell, "exit 1", (), print) == channel.Ended(1, b"This account is closed.\n", b"")


@pytest.mark.parametrize("noise", NOISES)
def test_nor_of_an_apps_log(noise: str) -> None:
    shell, lines, places = Shell(noise), list[str](), list[str]()
    shell.exec_command(f"{session.MARKED}printf 'one\\n\\0at 7\\ntwo\\n'")
    session.hand_on(shell, lines.extend, places.append)
    assert (lines, places) == (["one", "two"], ["at 7"])
