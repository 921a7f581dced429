"""Hosts that go, between applies and in the middle of one: without sshd, frozen, switched off."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from campaign import LONG, Seen, When, attach, chance, edited, past, report, run, whole
from conftest import Shop
from here import HOSTS, LAB, at, ground
from load import steady

from deployer import lab

pytestmark = pytest.mark.live

BACK = 90.0
"""Seconds in which a host that was switched on has all its dynos up."""
BOUNDED = 90.0
"""Seconds after which an apply has given a silent host up."""


@contextmanager
def no_sshd(host: str) -> Iterator[None]:
    attach(host, "systemctl stop ssh.service")
    try:
        yield
    finally:
        attach(host, "systemctl start ssh.service")


@pytest.mark.parametrize("host", HOSTS if LONG else ["box-3"])
def test_a_host_without_sshd_is_named_and_can_be_left_out(chaos: Shop, host: str) -> None:
    others = [other for other in HOSTS if other != host]
    with steady() as load:
        with no_sshd(host):
            said = chaos.apply(code=4).stderr
            assert f"{host} cannot be reached" in said
            assert "--without" in said
            assert not [other for other in others if f"{other} cannot" in said]
            if host == "box-1":  # nobody else builds
                assert "build" in chaos.deploy("plan", "--without", host, code=1).stderr
            elif LONG:
                edited(chaos, f"without-{host}")
                chaos.apply("--without", host)
                assert chaos.get().split()[2] == f"without-{host}"
            else:
                assert (
                    host not in json.loads(chaos.deploy("plan", "--without", host, "--json").stdout)["hosts"]
                )
        if LONG:
            whole(chaos)
        assert chaos.changes() == []
    report(f"{host} without sshd: named, and left out when asked to; {len(load.answers)} requests, 0 failed")


def power(host: str, word: str) -> None:
    """Freezes a host, or thaws it."""
    argv = (f"lxc-{word}", f"--lxcpath={ground().hosts}", f"--name={host}")
    subprocess.run(argv, check=True, capture_output=True, timeout=60)


def without_web(shop: Shop, host: str) -> None:
    """Seats web dynos elsewhere: a frozen one accepts and never answers, which no router can know."""
    if any(d["host"] == host and d["dyno"].startswith("web.") for d in shop.ps()):
        shop.apply("--without", host)
        whole(shop)


def is_on(host: str, turn: int) -> When:
    """When the host's step of this number begins."""
    count = iter(range(turn, -1, -1))
    return lambda event, _: event.kind == "start" and event.host == host and next(count, 0) == 0


@pytest.mark.parametrize("turn", range(5) if LONG else [0])
def test_a_frozen_host_holds_nothing_up(chaos: Shop, turn: int) -> None:
    without_web(chaos, "box-3")
    edited(chaos, f"frozen-at-{turn}-{time.time():.0f}")
    frozen: list[float] = []

    def freeze(_process: subprocess.Popen[str], event: Seen) -> None:
        print(f"freezing box-3 at {event}")
        frozen.append(time.monotonic())
        power("box-3", "freeze")

    with steady() as load:
        try:
            done = run(chaos, "apply", "--yes", when=is_on("box-3", turn), do=freeze)
        finally:
            if frozen:
                power("box-3", "unfreeze")
        assert frozen, f"box-3 had no step {turn}"
        took = done.began + done.seconds - frozen[0]
        # later steps may be those in which the release itself has to come up
        assert done.code in ((3, 8) if turn else (3,)), f"{done.code}\n{done.stdout[-2000:]}\n{done.stderr}"
        assert "box-3" in done.stderr
        assert took < BOUNDED
        whole(chaos)
    report(
        f"a frozen host: given up after {took:.1f} s, exit {done.code}; {len(load.answers)} requests, 0 failed"
    )


@pytest.mark.parametrize("round_", range(6 if LONG else 1))
def test_a_host_that_was_switched_off_is_back_by_itself(chaos: Shop, round_: int) -> None:
    host = chance(f"switch a host off {round_}").choice(HOSTS)
    before = chaos.ps()
    lab.stop_host(host, LAB)
    lab.start_host(host, LAB)
    began = time.monotonic()
    while left := chaos.deploy("plan", "--detailed-exitcode", code=None).returncode:
        assert time.monotonic() - began < BACK, f"{host}: plan says {left}\n{chaos.changes()}"
        time.sleep(1)
    took = time.monotonic() - began
    assert chaos.ps() == before
    assert chaos.get() and chaos.get(at("box-2"))
    report(f"{host} switched off and on: all dynos back and nothing to do {took:.1f} s after its boot")


@pytest.mark.parametrize("round_", range(10 if LONG else 1))
def test_a_host_switched_off_during_an_apply(chaos: Shop, round_: int) -> None:
    rng = chance(f"switch a host off during an apply {round_}")
    host, k = rng.choice(HOSTS[1:]), rng.randint(0, 24)
    edited(chaos, f"switched-off-{round_}-{rng.random()}")

    def switch(_process: subprocess.Popen[str], event: Seen) -> None:
        print(f"switching {host} off at {event}")
        lab.stop_host(host, LAB)
        lab.start_host(host, LAB)

    with steady((at("box-1"),), strict=False) as load:
        done = run(chaos, "apply", "--yes", when=past("SHIP", k), do=switch)
        assert done.code in (0, 3, 7, 8), f"{done.code}\n{done.stdout[-2000:]}\n{done.stderr}"
        assert done.code == 0 or host in done.stderr
        seconds = whole(chaos)
    assert {d["state"] for d in chaos.ps()} == {"up"}
    counts = f"{len(load.answers)} requests, {len(load.failures)} failed, all while the host was off"
    report(
        f"{host} switched off {k} boundaries after SHIP began: exit {done.code}, mended in {seconds:.1f} s; {counts}"
    )
