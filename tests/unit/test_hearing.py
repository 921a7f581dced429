"""What a host that works says, and how its silence and its end are taken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from deployer.model.events import Event
from deployer.model.steps import Fetch, Put, Send, Sh, Stage, Step, Text
from deployer.remote import channel
from deployer.remote.hearing import Listener
from deployer.remote.orders import orders
from deployer.remote.stopping import Stop

STEPS = (
    ("lxc/box-1/web.1", Step(Stage.START, "start web.1", Sh(("true",)), live=True)),
    ("lxc/box-1/web.2", Step(Stage.START, "start web.2", Sh(("true",)))),
)


class Run(SimpleNamespace):
    """As much of a run as a listener touches."""

    def __init__(self) -> None:
        hosts = {"box-1": SimpleNamespace(address="192.0.2.1")}
        hidden = (Text("hunter22\nabc", secret=True), Text("public"))
        super().__init__(
            links=SimpleNamespace(hosts=hosts),
            hidden=hidden,
            lost=set(),
            addresses={},
            stopped=False,
            stop=Stop(),
            said=[],
        )

    def event(self, kind: Any, **words: Any) -> None:
        self.said.append(Event(kind, **words))


@pytest.fixture
def run() -> Run:
    return Run()


def listener(run: Run, *said: tuple[Any, ...]) -> Listener:
    found = Listener(run, "box-1", STEPS)  # type: ignore[arg-type]
    for event in said:
        found.hear(json.dumps(event))
    return found


def test_events_are_of_the_step_and_signs_of_life_are_none(run: Run) -> None:
    found = listener(
        run, (0, "start"), (0, "alive"), (0, "line", "with hunter22, abc"), (0, "ok"), (1, "start")
    )
    assert [(e.kind, e.address) for e in run.said] == [
        ("start", STEPS[0][0]),
        ("line", STEPS[0][0]),
        ("ok", STEPS[0][0]),
        ("start", STEPS[1][0]),
    ]
    assert run.said[1].detail == {"text": "with (secret), abc"}
    assert (found.begun, found.done, found.at, found.problem) == (1, 0, STEPS[1][1], None)


def test_a_step_that_failed_is_told_by_its_change_and_last_lines(run: Run) -> None:
    found = listener(run, (0, "start"), (0, "line", "no room"), (0, "failed", "exit status 7"))
    found.end(1, "")
    assert found.problem and found.problem.summary == "box-1: could not start web.1"
    assert found.problem.detail == "exit status 7\nno room"
    assert (run.addresses, run.lost) == ({"box-1": STEPS[0][0]}, set())


def test_a_broken_link_is_no_failed_step(run: Run) -> None:
    found = listener(run, (0, "start"))
    found.end(-1, "nothing was heard of it for 30 s")
    assert found.problem and found.problem.summary == "the connection to box-1 broke"
    assert found.problem.detail == "nothing was heard of it for 30 s\nit was at: start web.1"
    assert (run.addresses, run.lost) == ({}, {"box-1"})


def test_a_host_that_cannot_run_steps_is_not_lost(run: Run) -> None:
    found = listener(run)
    found.end(90, "sudo: a password is required")
    assert found.problem and "exit status 90" in found.problem.summary
    assert run.lost == set()


def test_a_run_that_was_stopped_says_so(run: Run) -> None:
    found = listener(run, (0, "start"), (0, "ok"), (1, "stopped"))
    found.end(0, "")
    assert (found.stopped, run.stopped, found.problem, found.begun) == (True, True, None, 0)
    assert [e.kind for e in run.said] == ["start", "ok"]


def test_words_of_somebody_else_are_shown_as_the_steps(run: Run) -> None:
    found = listener(run, (0, "start"))
    strange = ["no mail for hunter22.", "3", "{}", '["x", "line", "y"]', '[7, "ok"]', "[0]", "[0, 1]", ""]
    for line in strange:
        found.hear(line)
    assert [e.detail["text"] for e in run.said[1:]] == ["no mail for (secret).", *strange[1:]]
    found.hear(json.dumps((0, "failed", "exit status 7")))
    assert found.problem and found.problem.detail.splitlines()[:2] == [
        "exit status 7",
        "no mail for (secret).",
    ]


TELL = """
import sys
from deployer.cli.options import Act
from deployer.cli.telling import acting
from deployer.model.events import Event
from deployer.model.plan import Plan
sys.stdin.readline()
with acting(Act(as_json=sys.argv[1] == "json"), Plan("hello", "v1", (), 0, ())) as order:
    for n in range(3):
        order.tell(Event("look", say="look again"))
sys.stdout.flush()
"""


@pytest.mark.parametrize("kind", ["json", "words"])
def test_a_reader_who_leaves_ends_nothing(kind: str) -> None:
    """Nor is it taken for a link that broke."""
    argv = [sys.executable, "-c", TELL, kind]
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    run = subprocess.Popen(argv, stdin=subprocess.PIPE, **both)  # type: ignore[call-overload]
    (run.stdout if kind == "json" else run.stderr).close()
    run.stdin.write(b"now\n")
    run.stdin.close()
    assert run.wait(timeout=30) == 0
    assert (run.stderr if kind == "json" else run.stdout).read() == b""


ALIVE = """
import os, sys
from deployer.cli.options import Act
from deployer.cli.telling import acting
from deployer.model.events import Event
from deployer.model.plan import Plan
with acting(Act(), Plan("hello", "v1", (), 0, ())) as order:
    os.write(1, b"drawn")
    sys.stdin.readline()
    for n in range(3):
        order.tell(Event("wait", say="somebody holds the lock"))
"""


def test_nor_does_a_terminal_that_is_gone() -> None:
    ours, theirs = os.openpty()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": theirs}
    environment = {**os.environ, "TERM": "xterm"}
    run = subprocess.Popen([sys.executable, "-c", ALIVE], env=environment, **pipes)  # type: ignore[call-overload]
    assert run.stdout.read(5) == b"drawn"
    assert os.read(ours, 100)
    os.close(theirs)
    os.close(ours)
    run.communicate(b"now\n", timeout=30)
    assert run.returncode == 0


def test_words_before_the_first_step_break_nothing(run: Run) -> None:
    found = listener(run)
    found.hear("Welcome to box-1")
    assert (found.problem, found.begun) == (None, -1)


def test_a_step_that_its_lock_refused_is_no_failed_step(run: Run) -> None:
    found = listener(run, (0, "start"), (0, "ok"), (1, "failed", "the lock is held no longer"))
    found.end(1, "")
    assert found.problem and found.problem.summary == (
        "box-1 did not begin to start web.2: the lock is held no longer"
    )
    assert (run.addresses, run.lost, run.stopped) == ({}, set(), True)
    assert run.stop.why == "the lock of box-1 is held no longer; what is left is the next plan"


def test_orders_are_a_line_and_then_the_bytes_of_each_step() -> None:
    put, sh = Put("/x", Text("é")), Sh(("cat",), Text("in", secret=True))
    fetch, send = Fetch("slugs/a", "box-2", "192.0.2.2"), Send(("tar",), texts=(("a", Text("b")),))
    steps = [Step(Stage.SHIP, "", act) for act in (put, sh, fetch, send)]
    line, rest = b"".join(orders(steps, Text("key"), "0a1b")).split(b"\n", 1)
    told = json.loads(line)
    assert (told["run"], told["lock"], told["alone"]) == ("0a1b", "", True)
    assert [(o["do"], o["size"]) for o in told["steps"]][:3] == [("put", 2), ("sh", 2), ("sh", 4)]
    assert rest.startswith("éinkey\n".encode())
    assert len(rest) == sum(o["size"] for o in told["steps"])
    assert [bool(o.get("watched")) for o in told["steps"]] == [False, False, False, True]


class Line:
    """A connection that gives what it is fed, then is silent until somebody closes it."""

    def __init__(self, *blocks: bytes, status: int = -1, pause: float = 0.0) -> None:
        self.blocks, self.status, self.pause, self.closed = list(blocks), status, pause, threading.Event()

    def get_transport(self) -> Any:
        return SimpleNamespace(is_active=lambda: not self.closed.is_set(), open_session=lambda timeout: self)

    def exec_command(self, line: str) -> None:
        assert line == "line"

    def sendall(self, block: bytes) -> None:
        self.closed.wait()
        raise OSError("closed")

    def shutdown_write(self) -> None:
        """Nobody here waits for the end of it."""

    def recv(self, size: int) -> bytes:
        time.sleep(self.pause)
        if not self.blocks and self.status < 0:
            self.closed.wait(10)
        return self.blocks.pop(0) if self.blocks else b""

    def recv_stderr(self, size: int) -> bytes:
        return b""

    def recv_exit_status(self) -> int:
        return self.status

    def close(self) -> None:
        self.closed.set()


def test_a_silent_host_is_given_up_even_while_it_takes_nothing() -> None:
    line, heard = Line(channel.MARK, b"\non", b"e\ntwo\nhal"), []
    began = time.monotonic()
    with pytest.raises(TimeoutError, match=r"nothing was heard of it for 0\.4 s"):
        channel.execute(line, "line", (b"much",), heard.append, silence=0.4)
    assert (heard, line.closed.is_set()) == (["one", "two"], True)
    assert time.monotonic() - began < 5
    with pytest.raises(OSError, match="the connection is closed"):
        channel.execute(line, "line", ())


def test_a_slow_host_that_speaks_is_heard_to_its_end() -> None:
    line = Line(*(b"%d" % n for n in range(8)), status=3, pause=0.1)
    ended = channel.execute(line, "line", (), silence=0.4)
    assert (ended.status, ended.output) == (3, b"01234567")
