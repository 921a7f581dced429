"""The script that runs steps on a host, run here: what it writes, says and exits with."""

from __future__ import annotations

import getpass
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from deployer.remote import channel

SCRIPT = Path(channel.__file__).with_name("runner.py")
ME = f"{os.getuid()}:{os.getgid()}"


def run(*steps: tuple[dict[str, Any], bytes]) -> tuple[int, list[list[Any]]]:
    header = json.dumps([{**step, "size": len(body)} for step, body in steps]).encode()
    stdin = header + b"\n" + b"".join(body for _, body in steps)
    done = subprocess.run([sys.executable, str(SCRIPT)], input=stdin, capture_output=True, timeout=30)
    assert done.stderr == b""
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def sh(*argv: str, body: bytes = b"", timeout: float = 10) -> tuple[dict[str, Any], bytes]:
    return {"do": "sh", "argv": argv, "timeout": timeout}, body


def put(path: Path, body: bytes, mode: int = 0o640, owner: str = ME) -> tuple[dict[str, Any], bytes]:
    return {"do": "put", "path": str(path), "mode": mode, "owner": owner}, body


def test_steps_run_in_order_and_get_their_own_bytes(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / "file"
    status, events = run(
        put(file, b"a\nb\x00"), sh("cat", body=b"hello\n"), sh("true", body=b"nobody reads"), sh("true")
    )
    assert (status, file.read_bytes(), file.stat().st_mode & 0o7777) == (0, b"a\nb\x00", 0o640)
    assert events == [[0, "start"], [0, "ok"], [1, "start"], [1, "line", "hello"], [1, "ok"]] + [
        [n, word] for n in (2, 3) for word in ("start", "ok")
    ]
    assert list(file.parent.iterdir()) == [file]


def test_more_than_anybody_reads_does_not_reach_the_next_step() -> None:
    status, events = run(sh("true", body=b"x" * (1 << 20)), sh("cat", body=b"mine"))
    assert (status, events[-2:]) == (0, [[1, "line", "mine"], [1, "ok"]])


def test_the_first_failure_is_the_last_step(tmp_path: Path) -> None:
    status, events = run(sh("sh", "-c", "echo why >&2; exit 7"), put(tmp_path / "never", b""))
    assert (status, events) == (1, [[0, "start"], [0, "line", "why"], [0, "failed", "exit status 7"]])
    assert not (tmp_path / "never").exists()


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (sh("/no/such/program"), "No such file"),
        (sh("sleep", "20", timeout=0.2), "no end after"),
        (put(Path("/proc/nowhere/file"), b"x"), "/proc/nowhere"),
    ],
    ids=["missing", "hangs", "no-place"],
)
def test_why_a_step_failed(step: tuple[dict[str, Any], bytes], why: str) -> None:
    status, events = run(step)
    assert status == 1
    assert events[-1][1] == "failed"
    assert why in events[-1][2]


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"old")
    header = json.dumps([{"do": "put", "path": str(file), "mode": 0o644, "owner": ME, "size": 100}]).encode()
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], input=header + b"\nhalf", capture_output=True, timeout=30
    )
    assert (done.returncode, file.read_bytes()) == (1, b"old")


def test_owners_go_by_name_too(tmp_path: Path) -> None:
    group = subprocess.run(["id", "-gn"], capture_output=True, text=True, check=True).stdout.strip()
    status, _ = run(put(tmp_path / "file", b"x", owner=f"{getpass.getuser()}:{group}"))
    assert status == 0
    assert run(put(tmp_path / "other", b"x", owner="no-such-user:root"))[0] == 1


def test_a_watched_step_ends_when_nobody_listens_any_more() -> None:
    order = {
        "do": "sh",
        "argv": ["sh", "-c", "echo begun; exec sleep 60"],
        "timeout": 60,
        "size": 0,
        "watched": True,
    }
    runner = subprocess.Popen([sys.executable, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert runner.stdin and runner.stdout
    runner.stdin.write(json.dumps([order]).encode() + b"\n")
    runner.stdin.close()
    while b"begun" not in runner.stdout.readline():
        pass
    runner.stdout.close()
    began = time.monotonic()
    runner.wait(timeout=30)
    assert time.monotonic() - began < 20
