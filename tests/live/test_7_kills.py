"""An apply is killed, cut off or interrupted at any boundary of a step: what served serves on, and a plain apply ends it."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import zip_longest
from pathlib import Path

import pytest
from campaign import LONG, Done, Seen, at, attach, chance, edited, kill, report, run, send, whole
from conftest import CHAOS, Shop
from here import HOSTS
from load import steady

pytestmark = pytest.mark.live

MINUTE = 60.0 * float(os.environ.get("CHAOS_SHARE") or 1)
"""In seconds; a share of it for who has less time."""


@dataclass
class Tally:
    """How many points of a scenario were tried, within its minutes, and what that took."""

    name: str
    total: int
    minutes: float
    recoveries: list[float] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def in_time(self, points: list[int]) -> Iterator[int]:
        """The points, as long as there is time; at least one."""
        for n, point in enumerate(points):
            if n and time.monotonic() - self.began > self.minutes * MINUTE:
                return
            print(f"{self.name}: point {point} of {self.total}")
            yield point

    def sample(self) -> str:
        return "" if LONG else f", a sample of about {self.total}"

    def told(self, tried: int, requests: int) -> None:
        slowest = max(self.recoveries)
        report(
            f"{self.name}: {len(self.recoveries)} of {tried} points{self.sample()}: all converged; "
            f"slowest apply afterwards {slowest:.1f} s; {requests} requests, 0 failed"
        )


def points(rng: random.Random, total: int, few: int) -> list[int]:
    """All of them in the long form, in an order that spreads those for which there is time."""
    every = list(range(1, total + 1))
    return rng.sample(every, total if LONG else min(few, total))


@cache
def boundaries(shop_folder: Path) -> int:
    """Of a release that nobody disturbs."""
    shop = Shop(shop_folder)
    edited(shop, "undisturbed")
    done = run(shop, "apply", "--yes")
    assert done.code == 0, done.stderr
    return len(done.boundaries)


def killed(shop: Shop, k: int, *words: str) -> Done:
    done = run(shop, *words, when=at(k), do=kill)
    assert done.code in (-signal.SIGKILL, 0), f"{done.code}\n{done.stderr}"
    return done


def test_a_release_killed_at_a_boundary(chaos: Shop) -> None:
    rng = chance("kill a release")
    chosen = points(rng, boundaries(chaos.folder), 3)
    tally = Tally("a release killed", boundaries(chaos.folder), 45 if LONG else 1)
    with steady() as load:
        for k in tally.in_time(chosen):
            edited(chaos, f"killed-at-{k}")
            killed(chaos, k, "apply", "--yes")
            tally.recoveries.append(whole(chaos))
            assert chaos.get().split()[2] == f"killed-at-{k}"
    tally.told(len(chosen), len(load.answers))


def counted(shop: Shop, formation: dict[str, dict[str, int]]) -> int:
    """Boundaries of a scaling that nobody disturbs."""
    shop.edit("fleet.json", formation=formation)
    return len(run(shop, "apply", "--yes").boundaries)


def test_a_scale_change_killed_at_a_boundary(chaos: Shop) -> None:
    rng = chance("kill a scaling")
    sizes = [{"web": {"quantity": 3}}, {"web": {"quantity": 2}}]
    total = max(counted(chaos, formation) for formation in sizes) if LONG else 12
    chosen = points(rng, total, 1)
    tally = Tally("a scale-up and a scale-down killed", total, 20 if LONG else 0.5)
    with steady() as load:
        for k in tally.in_time(chosen):
            for formation in sizes:
                chaos.edit("fleet.json", formation=formation)
                killed(chaos, k, "apply", "--yes")
                tally.recoveries.append(whole(chaos))
                webs = [d for d in chaos.ps() if d["dyno"].startswith("web.")]
                assert len(webs) == formation["web"]["quantity"]
    tally.told(2 * len(chosen), len(load.answers))


@pytest.fixture
def second(chaos: Shop, tmp_path: Path) -> Iterator[Shop]:
    """Another app on the same hosts, for what ends with an app that is not there."""
    folder = tmp_path / "second"
    shutil.copytree(CHAOS, folder)
    shutil.copy(chaos.folder / "fleet.json", folder)
    app = Shop(folder)
    formation = {"web": {"quantity": 2}, "worker": {"quantity": 0}}
    app.edit("fleet.json", app="second", domains=["second.test"], formation=formation)
    yield app
    app.deploy("destroy", "--confirm", "second", "--lock-wait", "90s")


LEFT = (
    "ls -d /var/lib/deployer/apps/second /var/lib/deployer/dynos/second.* /etc/nginx/conf.d/deployer.second.conf"
    " 2>/dev/null; nft list tables | grep -F deployer.second; true"
)


def gone(app: Shop) -> None:
    app.deploy("destroy", "--confirm", "second")
    assert {host: app.ssh(host, LEFT) for host in HOSTS} == dict.fromkeys(HOSTS, "")


def test_a_first_deploy_and_a_destroy_killed_at_a_boundary(chaos: Shop, second: Shop) -> None:
    """Beside them another app serves, which must notice nothing."""
    rng = chance("kill a first deploy and a destroy")
    leave = ("destroy", "--confirm", "second")
    first, last = 30, 14  # about as many as there are
    if LONG:
        first, last = (len(run(second, *words).boundaries) for words in (("apply", "--yes"), leave))
    chosen = points(rng, first, 1), points(rng, last, 1)
    pairs = list(zip_longest(*chosen))
    tally = Tally("a first deploy and a destroy killed", first + last, 35 if LONG else 0.5)
    with steady() as load:
        for n in tally.in_time(list(range(len(pairs)))):
            deploy_at, destroy_at = pairs[n]
            killed(second, deploy_at or first, "apply", "--yes")
            tally.recoveries.append(whole(second))
            assert second.get(host="second.test").split()[2] == "first"
            killed(second, destroy_at or last, *leave)
            tally.recoveries.append(whole(second))
            gone(second)
    tally.told(2 * len(pairs), len(load.answers))


CUT = 'main=$(systemctl show --property=MainPID --value ssh) && pkill -KILL -P "$main" || true'
"""Ends every session of the host's sshd, and not sshd."""


def test_a_connection_cut_at_a_boundary(chaos: Shop) -> None:
    rng = chance("cut a connection")
    chosen = points(rng, boundaries(chaos.folder), 1)
    tally = Tally("a connection cut", boundaries(chaos.folder), 20 if LONG else 0.5)
    codes: Counter[int] = Counter()
    with steady() as load:
        for k in tally.in_time(chosen):
            host = rng.choice(HOSTS)
            edited(chaos, f"cut-at-{k}")

            def cut(_process: subprocess.Popen[str], event: Seen, host: str = host) -> None:
                print(f"cutting {host} at {event}")
                attach(host, CUT)

            done = run(chaos, "apply", "--yes", when=at(k), do=cut)
            assert done.code in (0, 3, 8), f"{done.code}\n{done.stdout[-2000:]}\n{done.stderr}"
            assert done.code == 0 or host in done.stderr
            codes[done.code] += 1
            tally.recoveries.append(whole(chaos))
    print(f"exit codes of the applies that were cut: {dict(codes)}")
    tally.told(len(chosen), len(load.answers))


def unfinished(done: Done) -> Counter[tuple[str, str, str]]:
    """Steps that began and of which nobody heard the end."""
    steps = {
        kind: Counter((e.host, e.address, e.say) for e in done.events if e.kind == kind)
        for kind in ("start", "ok")
    }
    return steps["start"] - steps["ok"]


SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("number", SIGNALS if LONG else SIGNALS[:1], ids=lambda number: number.name)
def test_an_interrupt_finishes_the_step_and_gives_up_the_lock(chaos: Shop, number: signal.Signals) -> None:
    rng = chance(f"interrupt {number.name}")
    total = boundaries(chaos.folder)
    k = rng.randint(total // 5, total * 3 // 4)
    edited(chaos, f"interrupted-by-{number.name}-at-{k}")
    with steady() as load:
        done = run(chaos, "apply", "--yes", when=at(k), do=send(number))
        assert done.code == 130, f"{done.code}\n{done.stdout[-2000:]}\n{done.stderr}"
        assert unfinished(done) == Counter()
        chaos.settle()
    report(f"{number.name} at boundary {k} of {total}: exit 130; {len(load.answers)} requests, 0 failed")


def test_a_second_interrupt_ends_at_once(chaos: Shop) -> None:
    rng = chance("interrupt twice")
    total = boundaries(chaos.folder)
    k = rng.randint(total // 5, total * 3 // 4)
    sent: list[float] = []

    def twice(process: subprocess.Popen[str], _: Seen) -> None:
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        sent.append(time.monotonic())

    edited(chaos, f"interrupted-twice-at-{k}")
    with steady() as load:
        done = run(chaos, "apply", "--yes", when=at(k), do=twice)
        assert done.code == 130, f"{done.code}\n{done.stderr}"
        took = done.began + done.seconds - sent[0]
        assert took <= 3
        whole(chaos)
    report(f"a second interrupt: ended after {took:.1f} s; {len(load.answers)} requests, 0 failed")
