"""Signals of a run under way. gevent patches for good, so the run is a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from deployer.remote.stopping import Stop

RUN = """
from gevent import monkey
monkey.patch_all(ssl=False)
import signal, sys, gevent
from deployer.remote.stopping import interruptible

class Links:
    def each(self, job):
        print("told", flush=True)

before = signal.getsignal(signal.SIGTERM)
job = gevent.spawn(gevent.sleep, float(sys.argv[1]))
try:
    with interruptible(Links(), lambda event: print(event.kind, event.say, flush=True)) as stop:
        print("ready", flush=True)
        job.get()
    print("ended", stop.why, signal.getsignal(signal.SIGTERM) == before, flush=True)
except KeyboardInterrupt:
    print("at once", signal.getsignal(signal.SIGTERM) == before, flush=True)
"""


def begin(seconds: float) -> subprocess.Popen[str]:
    argv = (sys.executable, "-c", RUN, str(seconds))
    run = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert run.stdout and run.stdout.readline() == "ready\n"
    return run


def said(run: subprocess.Popen[str], lines: int) -> list[str]:
    assert run.stdout
    return [run.stdout.readline().strip() for _ in range(lines)]


FIRST = ["stop nothing more is begun, and what runs is finished; once more stops at once", "told"]


def test_the_first_who_asks_says_why_and_hosts_are_told_once() -> None:
    told: list[str] = []
    stop = Stop(told.append)
    assert stop.why is None
    stop.ask("the lock was lost", "no space left")
    stop.ask("interrupted")
    assert (stop.why, stop.detail, told) == ("the lock was lost", "no space left", [stop.token])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_lets_the_running_step_end(number: signal.Signals) -> None:
    run = begin(3)
    run.send_signal(number)
    assert said(run, 3) == [*FIRST, "ended interrupted True"]
    assert run.communicate(timeout=30) == ("", "")


@pytest.mark.parametrize("numbers", [(signal.SIGINT, signal.SIGTERM), (signal.SIGTERM, signal.SIGINT)])
def test_the_second_of_either_kind_stops_at_once(numbers: tuple[signal.Signals, signal.Signals]) -> None:
    run = begin(300)
    run.send_signal(numbers[0])
    assert said(run, 2) == FIRST
    run.send_signal(numbers[1])
    assert said(run, 1) == ["at once True"]
    assert run.communicate(timeout=30) == ("", "")


def test_without_a_signal_nothing_is_said() -> None:
    assert said(begin(0.1), 1) == ["ended None True"]
