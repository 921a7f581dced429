"""An apply is killed, cut off or interrupted at any boundary of a step: what served serves on, and a plain apply ends it."""

from __future__ import annotations

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

import left
import pytest
from campaign import LONG, Done, Seen, at, attach, chance, edited, kill, report, run, send, whole
from conftest import CHAOS, Shop
from here import HOSTS
from load import steady

pytestmark = pytest.mark.live


@dataclass(frozen=True)
class Share:
    """A part of a scenario's points, `n` of `of` from 0 on: together they have all of them."""

    n: int
    of: int

    def __str__(self) -> str:
        return f"{self.n + 1} of {self.of}"

    def points(self, rng: random.Random, total: int, few: int) -> list[int]:
        """Numbers from 1 to `total`, in any order. The short form tries a few of all."""
        mine = range(1 + self.n, total + 1, self.of)
        return rng.sample(mine, len(mine) if LONG else min(few, len(mine)))


def dealt(shares: int) -> pytest.MarkDecorator:
    """The long form has a test for each share, so that fleets take them as they are free."""
    every = [Share(n, shares) for n in range(shares)] if LONG else [Share(0, 1)]
    return pytest.mark.parametrize("share", every, ids=str)


@dataclass
class Tally:
    """What became of the points of a share."""

    name: str
    total: int
    recoveries: list[float] = field(default_factory=list)
    over: int = 0
    """Runs that had ended before they could be killed."""

    def kill(self, shop: Shop, k: int, *words: str) -> None:
        """Kills a command at boundary `k`, and has a plain apply mend it."""
        done = run(shop, *words, when=at(k), do=kill)
        assert done.code in (-signal.SIGKILL, 0), f"{done.code}\n{done.stderr}"
        self.over += done.code == 0
        self.recoveries.append(whole(shop))

    def told(self, requests: int) -> None:
        """Once the load has ended, so that none of its requests has failed."""
        over = f" ({self.over} had ended before)" if self.over else ""
        slowest = max(self.recoveries, default=0.0)
        report(
            f"{self.name}: {len(self.recoveries)} of {self.total} points{over}, all converged; "
            f"slowest apply afterwards {slowest:.1f} s; {requests} requests, 0 failed"
        )


@cache
def boundaries(shop_folder: Path) -> int:
    """Of a release that nobody disturbs."""
    shop = Shop(shop_folder)
    edited(shop, "undisturbed")
    done = run(shop, "apply", "--yes")
    assert done.code == 0, done.stderr
    return len(done.boundaries)


@dealt(24)
def test_a_release_killed_at_a_boundary(chaos: Shop, share: Share) -> None:
    tally = Tally("a release killed", boundaries(chaos.folder))
    with steady() as load:
        for k in share.points(chance(f"kill a release, {share}"), tally.total, 3):
            edited(chaos, f"killed-at-{k}")
            tally.kill(chaos, k, "apply", "--yes")
            assert chaos.get().split()[2] == f"killed-at-{k}"
    tally.told(len(load.answers))


def counted(shop: Shop, formation: dict[str, dict[str, int]]) -> int:
    """Boundaries of a scaling that nobody disturbs."""
    shop.edit("fleet.json", formation=formation)
    return len(run(shop, "apply", "--yes").boundaries)


@dealt(4)
def test_a_scale_change_killed_at_a_boundary(chaos: Shop, share: Share) -> None:
    sizes = [{"web": {"quantity": 3}}, {"web": {"quantity": 2}}]
    longest = max(counted(chaos, formation) for formation in sizes) if LONG else 12
    tally = Tally("a scale-up and a scale-down killed", 2 * longest)
    with steady() as load:
        for k in share.points(chance(f"kill a scaling, {share}"), longest, 1):
            for formation in sizes:
                chaos.edit("fleet.json", formation=formation)
                tally.kill(chaos, k, "apply", "--yes")
                webs = [d for d in chaos.ps() if d["dyno"].startswith("web.")]
                assert len(webs) == formation["web"]["quantity"]
    tally.told(len(load.answers))


LEAVE = ("destroy", "--confirm", "second")


def another(chaos: Shop, folder: Path) -> Shop:
    """A second app for the same hosts."""
    shutil.copytree(CHAOS, folder)
    shutil.copy(chaos.folder / "fleet.json", folder)
    app = Shop(folder)
    formation = {"web": {"quantity": 2}, "worker": {"quantity": 0}}
    app.edit("fleet.json", app="second", domains=["second.test"], formation=formation)
    return app


@pytest.fixture
def second(chaos: Shop, tmp_path: Path) -> Iterator[Shop]:
    """For what ends with an app that is not there."""
    app = another(chaos, tmp_path / "second")
    yield app
    app.deploy(*LEAVE, "--lock-wait", "90s")


@pytest.fixture(scope="session")
def lengths(chaos: Shop, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, int]:
    """Boundaries of a first deploy and of a destroy that nobody disturbs; in the short form, about so many."""
    if not LONG:
        return 116, 44
    app = another(chaos, tmp_path_factory.mktemp("lengths") / "second")
    first, last = (run(app, *words) for words in (("apply", "--yes"), LEAVE))
    assert (first.code, last.code) == (0, 0), f"{first.stderr}\n{last.stderr}"
    return len(first.boundaries), len(last.boundaries)


def gone(app: Shop) -> None:
    app.deploy(*LEAVE)
    assert left.of_an_app("second") == {}


@dealt(40)
def test_a_first_deploy_and_a_destroy_killed_at_a_boundary(
    second: Shop, lengths: tuple[int, int], share: Share
) -> None:
    """Beside them another app serves, which must notice nothing."""
    rng = chance(f"kill a first deploy and a destroy, {share}")
    pairs = zip_longest(*(share.points(rng, length, 1) for length in lengths))
    tally = Tally("a first deploy and a destroy killed", sum(lengths))
    with steady() as load:
        for deploy_at, destroy_at in pairs:
            tally.kill(second, deploy_at, "apply", "--yes") if deploy_at else whole(second)
            assert second.get(host="second.test").split()[2] == "first"
            if destroy_at:
                tally.kill(second, destroy_at, *LEAVE)
            gone(second)
    tally.told(len(load.answers))


CUT = 'main=$(systemctl show --property=MainPID --value ssh) && pkill -KILL -P "$main" || true'
"""Ends every session of the host's sshd, and not sshd."""


@dealt(24)
def test_a_connection_cut_at_a_boundary(chaos: Shop, share: Share) -> None:
    rng = chance(f"cut a connection, {share}")
    tally = Tally("a connection cut", boundaries(chaos.folder))
    codes: Counter[int] = Counter()
    with steady() as load:
        for k in share.points(rng, tally.total, 1):
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
    tally.told(len(load.answers))


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
