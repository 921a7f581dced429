"""The script that runs steps on a host, run here: what it writes, says and exits with."""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from shipped import script

SCRIPT = script("runner.py")
TOKEN = "0a1b"
ME = f"{os.getuid()}:{os.getgid()}"


Stepped = tuple[dict[str, Any], bytes]


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The script with a folder of its own, and with clocks that a test can wait for."""
    home = tmp_path_factory.mktemp("run")
    text = SCRIPT.read_text("utf-8")
    for before, after in (
        ("/run/deployer", str(home)),
        ("BEAT = 5\n", "BEAT = 0.3\n"),
        ("PATIENCE = 60\n", "PATIENCE = 2\n"),
    ):
        assert before in text
        text = text.replace(before, after)
    (home / "runner.py").write_text(text, "utf-8")
    monkeypatch.setitem(globals(), "HERE", home / "runner.py")
    return home


HERE = SCRIPT


def begin(*steps: Stepped, token: str = TOKEN) -> subprocess.Popen[bytes]:
    runner = subprocess.Popen([sys.executable, str(HERE)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert runner.stdin
    orders = [{**step, "size": len(body)} for step, body in steps]
    runner.stdin.write(json.dumps({"run": token, "steps": orders}).encode() + b"\n")
    runner.stdin.write(b"".join(body for _, body in steps))
    runner.stdin.close()
    return runner


def until(runner: subprocess.Popen[bytes], word: str) -> None:
    assert runner.stdout
    while word.encode() not in (line := runner.stdout.readline()):
        assert line, f"it ended and never said {word}"


def rest(runner: subprocess.Popen[bytes]) -> tuple[int, list[list[Any]]]:
    assert runner.stdout
    said = [json.loads(line) for line in runner.stdout]
    return runner.wait(timeout=30), [event for event in said if event[1] != "alive"]


def stop(token: str = TOKEN) -> None:
    order = json.dumps({"stop": token}).encode() + b"\n"
    subprocess.run([sys.executable, str(HERE)], input=order, check=True, timeout=30)


def run(*steps: Stepped) -> tuple[int, list[list[Any]]]:
    orders = [{**step, "size": len(body)} for step, body in steps]
    header = json.dumps({"run": "", "steps": orders}).encode()
    stdin = header + b"\n" + b"".join(body for _, body in steps)
    done = subprocess.run([sys.executable, str(HERE)], input=stdin, capture_output=True, timeout=30)
    assert done.stderr == b""
    said = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, [event for event in said if event[1] != "alive"]


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
    assert cut_short({"do": "put", "path": str(file), "mode": 0o644, "owner": ME}) == 1
    assert file.read_bytes() == b"old"


def cut_short(step: dict[str, Any]) -> int:
    """The link breaks after 4 bytes of 100."""
    header = json.dumps({"run": TOKEN, "steps": [{**step, "size": 100}]}).encode()
    return subprocess.run([sys.executable, str(HERE)], input=header + b"\nhalf", timeout=30).returncode


def test_no_step_takes_half_of_its_input_for_all_of_it(tmp_path: Path) -> None:
    file = tmp_path / "file"
    argv = ["sh", "-c", 'cat >"$1" && touch "$1.whole"', "-", str(file)]
    assert cut_short({"do": "sh", "argv": argv, "timeout": 10}) == 1
    assert not (tmp_path / "file.whole").exists()


def test_owners_go_by_name_too(tmp_path: Path) -> None:
    group = subprocess.run(["id", "-gn"], capture_output=True, text=True, check=True).stdout.strip()
    status, _ = run(put(tmp_path / "file", b"x", owner=f"{getpass.getuser()}:{group}"))
    assert status == 0
    assert run(put(tmp_path / "other", b"x", owner="no-such-user:root"))[0] == 1


def test_a_watched_step_ends_when_nobody_listens_any_more() -> None:
    order, body = sh("sh", "-c", "echo begun; exec sleep 60", timeout=60)
    runner = begin(({**order, "watched": True}, body))
    until(runner, "begun")
    began = time.monotonic()
    hang_up(runner)
    assert time.monotonic() - began < 20


def hang_up(runner: subprocess.Popen[bytes]) -> None:
    assert runner.stdout
    runner.stdout.close()
    assert runner.wait(timeout=30) == 1


def test_a_lost_link_ends_it_after_the_running_step(tmp_path: Path) -> None:
    done, next_one = tmp_path / "done", tmp_path / "next"
    slow = 'echo begun; sleep 1; for n in $(seq 20000); do echo "$n of much output"; done; touch "$1"'
    runner = begin(sh("sh", "-c", slow, "-", str(done)), sh("touch", str(next_one)))
    until(runner, "begun")
    hang_up(runner)
    assert (done.exists(), next_one.exists()) == (True, False)


def test_it_says_that_it_lives_while_a_step_is_silent() -> None:
    runner = begin(sh("true"), sh("sleep", "1"))
    assert runner.stdout
    said = [json.loads(line) for line in runner.stdout]
    assert said.count([1, "alive"]) >= 2
    assert runner.wait(timeout=30) == 0


def test_what_threads_say_at_once_stays_apart() -> None:
    many = "for n in $(seq 3000); do echo a line of some length with its number $n; done"
    status, said = rest(begin(sh("sh", "-c", many, timeout=30)))
    assert (status, len(said)) == (0, 3002)


def test_asked_to_stop_it_finishes_the_running_step(tmp_path: Path, home: Path) -> None:
    done, next_one = tmp_path / "done", tmp_path / "next"
    runner = begin(
        sh("sh", "-c", 'echo begun; sleep 1; touch "$1"', "-", str(done)), sh("touch", str(next_one))
    )
    until(runner, "begun")
    stop("of-another")
    stop()
    assert rest(runner) == (0, [[0, "ok"], [1, "stopped"]])
    assert (done.exists(), next_one.exists()) == (True, False)
    assert [file.name for file in home.glob("stop.*")] == ["stop.of-another"]


def test_a_stop_that_met_no_run_is_swept(home: Path) -> None:
    stop("old")
    stop("new")
    os.utime(home / "stop.old", (0, 0))
    assert run(sh("true"))[0] == 0
    assert [file.name for file in home.glob("stop.*")] == ["stop.new"]


def test_what_must_run_in_any_case_has_no_token(home: Path) -> None:
    stop("")
    assert rest(begin(sh("true"), token="")) == (0, [[0, "start"], [0, "ok"]])


def test_nobody_begins_while_another_is_at_it(home: Path) -> None:
    with open(home / "runner", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        header = json.dumps({"run": TOKEN, "steps": []}).encode() + b"\n"
        done = subprocess.run([sys.executable, str(HERE)], input=header, capture_output=True, timeout=30)
    assert done.returncode == 75
    assert b"another run is still at a step here" in done.stderr
    assert rest(begin(sh("true"))) == (0, [[0, "start"], [0, "ok"]])


def ordered(*steps: Stepped, **words: Any) -> tuple[int, list[list[Any]]]:
    told = {**words, "steps": [{**step, "size": len(body)} for step, body in steps]}
    stdin = json.dumps(told).encode() + b"\n" + b"".join(body for _, body in steps)
    done = subprocess.run([sys.executable, str(HERE)], input=stdin, capture_output=True, timeout=30)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, [event for event in said if event[1] != "alive"]


def test_a_build_neither_waits_nor_keeps_anybody_waiting(home: Path) -> None:
    with open(home / "runner", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert ordered(sh("true"), alone=False) == (0, [[0, "start"], [0, "ok"]])
    python = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    assert ordered(sh(sys.executable, "-c", python, str(home / "runner")), alone=False)[0] == 0
    assert ordered(sh(sys.executable, "-c", python, str(home / "runner")))[0] == 1


def held(home: Path, name: str, seconds: float) -> None:
    until = time.clock_gettime(time.CLOCK_BOOTTIME) + seconds
    record = {"id": name, "who": f"{name}@laptop", "doing": "apply shop v7", "since": 0, "until": until}
    (home / "lock").write_text(json.dumps(record).ljust(4096))


NO_LOCK = "the lock is held no longer"


def test_under_its_lock_it_works(home: Path) -> None:
    held(home, "ada", 60)
    assert ordered(sh("true"), lock="ada") == (0, [[0, "start"], [0, "ok"]])


@pytest.mark.parametrize(
    ("name", "seconds", "why"),
    [
        ("", 0, NO_LOCK),
        ("ada", -1, NO_LOCK),
        ("bob", 60, f"{NO_LOCK}; bob@laptop took it (apply shop v7)"),
        ("bob", -1, f"{NO_LOCK}; bob@laptop took it (apply shop v7)"),
    ],
    ids=["gone", "run-out", "taken", "broken"],
)
def test_without_its_lock_it_begins_nothing(
    home: Path, tmp_path: Path, name: str, seconds: float, why: str
) -> None:
    if name:
        held(home, name, seconds)
    assert ordered(put(tmp_path / "never", b"x"), lock="ada") == (1, [[0, "failed", why]])
    assert not (tmp_path / "never").exists()
    assert ordered(sh("true"))[0] == 0


@pytest.mark.parametrize("text", ["", "{half", "[]", '{"id": "ada"}'])
def test_a_damaged_record_is_nobodys(home: Path, text: str) -> None:
    (home / "lock").write_text(text)
    assert ordered(sh("true"), lock="ada") == (1, [[0, "failed", NO_LOCK]])


def test_a_lock_lost_between_two_steps_ends_it(home: Path, tmp_path: Path) -> None:
    held(home, "ada", 60)
    status, said = ordered(sh("rm", str(home / "lock")), put(tmp_path / "never", b""), lock="ada")
    assert (status, said) == (1, [[0, "start"], [0, "ok"], [1, "failed", NO_LOCK]])


def test_a_link_that_is_reset_kills_the_step_that_reads(tmp_path: Path) -> None:
    """The other end leaves with words unread, so the host sees a reset, and no end."""
    ours, theirs = socket.socketpair()
    runner = subprocess.Popen([sys.executable, str(HERE)], stdin=theirs, stdout=theirs)
    theirs.close()
    step = {**sh("cat", timeout=60)[0], "size": 1 << 20}
    ours.sendall(json.dumps({"steps": [step]}).encode() + b"\nhalf")
    ours.recv(4)
    time.sleep(0.5)
    began = time.monotonic()
    ours.close()
    assert runner.wait(timeout=30) == 1
    assert time.monotonic() - began < 20


def test_it_waits_for_a_step_that_was_cut_off(home: Path) -> None:
    first = begin(sh("sh", "-c", "echo begun; sleep 1"))
    until(first, "begun")
    second = begin(sh("true"))
    assert rest(second) == (0, [[0, "start"], [0, "ok"]])
    assert first.poll() == 0


def test_a_killed_runner_holds_nobody_up(home: Path) -> None:
    first = begin(sh("sh", "-c", "echo begun; exec sleep 3"))
    until(first, "begun")
    first.send_signal(signal.SIGKILL)
    assert rest(begin(sh("true"))) == (0, [[0, "start"], [0, "ok"]])
