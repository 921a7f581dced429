"""Other hands: edits on hosts between plan and apply and during an apply, and two applies at once."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from campaign import LONG, PATIENCE, Seen, attach, chance, edited, past, report, run, whole
from conftest import Shop
from here import HOSTS, routers
from load import steady

pytestmark = pytest.mark.live


@dataclass(frozen=True)
class Edit:
    """Something that somebody does by hand on one of these hosts; no request is lost by it alone."""

    name: str
    script: str
    hosts: tuple[str, ...] = HOSTS


SITE = "/etc/nginx/conf.d/deployer.hello.conf"
WORKER = "'deployer.dyno@hello.worker.*'"
EDITS = (
    Edit("a line in the site", f"echo '# by hand' >>{SITE}", ("box-1", "box-2")),
    Edit("a lost reload", "sed -i s/^../zz/ /run/deployer/nginx.loaded", ("box-1", "box-2")),
    Edit("a changed script", "echo '# by hand' >>/var/lib/deployer/bin/dyno-end"),
    Edit("a changed log rule", "echo '# by hand' >>/etc/deployer/rsyslog/log.conf"),
    Edit("a stopped logplex", "systemctl stop deployer.logplex", ("box-1",)),
    Edit("a worker stopped", f"systemctl stop {WORKER} || true"),
    Edit("a mode changed", "chmod 700 /var/lib/deployer/bin/log-tail"),
    Edit("a file of somebody's own", "date >>/etc/motd; mkdir -p /srv/own; date >/srv/own/file"),
    Edit("a table of somebody's own", "nft add table ip somebody"),
)
HARMLESS = tuple(e for e in EDITS if e.name != "a worker stopped")
"""While an apply runs, a worker that is stopped may well be the one that it watches: exit 8, and rightly."""


def by_hand(rng: random.Random, edits: tuple[Edit, ...]) -> tuple[str, str]:
    """Does one of the edits. Its host and its name."""
    edit = rng.choice(edits)
    host = rng.choice(edit.hosts)
    print(f"by hand on {host}: {edit.name}")
    attach(host, edit.script)
    return host, edit.name


@pytest.mark.parametrize("round_", range(20 if LONG else 2))
def test_edits_between_plan_and_apply(chaos: Shop, tmp_path: Path, round_: int) -> None:
    """What the plan relies on must not have moved; what it does not rely on may."""
    rng = chance(f"edits between plan and apply {round_}")
    saved = str(tmp_path / "plan.json")
    kind = ("release", "drift")[round_ % 2]
    if kind == "release":
        edited(chaos, f"planned-{round_}-{rng.random()}")
    else:
        attach("box-1", f"echo '# first' >>{SITE}")
    before = chaos.get()
    chaos.deploy("plan", "--out", saved)
    host, name = by_hand(rng, EDITS)
    with steady() as load:
        done = chaos.deploy("apply", saved, code=None)
        assert done.returncode in (0, 5, 7), f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        if done.returncode == 5:
            assert host in done.stderr, f"{name} on {host}: {done.stderr}"
            assert chaos.get().split()[1:] == before.split()[1:], "a stale plan changes nothing"
        chaos.settle()
    report(
        f"{name} on {host} between the plan of a {kind} and its apply: exit {done.returncode}; {len(load.answers)} requests, 0 failed"
    )


@pytest.mark.parametrize("round_", range(20 if LONG else 1))
def test_edits_while_an_apply_runs(chaos: Shop, round_: int) -> None:
    rng = chance(f"edits while an apply runs {round_}")
    k = rng.randint(0, 24)
    edited(chaos, f"edited-{round_}-{rng.random()}")
    done_by_hand: list[tuple[str, str]] = []

    def edit(_process: subprocess.Popen[str], event: Seen) -> None:
        print(f"at {event}")
        done_by_hand.append(by_hand(rng, HARMLESS))

    with steady() as load:
        done = run(chaos, "apply", "--yes", when=past("SHIP", k), do=edit)
        assert done.code in (0, 7), f"{done.code} {done_by_hand}\n{done.stdout[-2000:]}\n{done.stderr}"
        whole(chaos)
    report(f"{done_by_hand} while an apply ran: exit {done.code}; {len(load.answers)} requests, 0 failed")


def client(shop: Shop, folder: Path, word: str) -> Shop:
    """Another machine's worth of client, which wants another release."""
    shutil.copytree(shop.folder, folder)
    other = Shop(folder)
    edited(other, word)
    return other


def at_once(clients: list[Shop], *words: str) -> list[tuple[int, float]]:
    """An apply of each, begun together: how each ended, and when."""
    with ExitStack() as said:
        files = [said.enter_context(c.folder.with_suffix(".said").open("w")) for c in clients]
        running = [
            subprocess.Popen(
                c.argv("apply", "--yes", *words), env=c.environment, stdout=subprocess.DEVNULL, stderr=file
            )
            for c, file in zip(clients, files, strict=True)
        ]
    ended: dict[int, float] = {}
    deadline = time.monotonic() + 300
    while len(ended) < len(running):
        assert time.monotonic() < deadline, "two applies at once do not end"
        ended.update(
            {n: time.monotonic() for n, p in enumerate(running) if n not in ended and p.poll() is not None}
        )
        time.sleep(0.05)
    return [(running[n].returncode, ended[n]) for n in range(len(running))]


@pytest.mark.parametrize("round_", range(20 if LONG else 2))
def test_two_applies_at_once(chaos: Shop, tmp_path: Path, round_: int) -> None:
    rng = chance(f"two applies at once {round_}")
    words = [f"{side}-{round_}-{rng.random()}" for side in ("left", "right")]
    clients = [client(chaos, tmp_path / side, word) for side, word in zip(("a", "b"), words, strict=True)]
    waits = ("--lock-wait", PATIENCE) if round_ % 2 else ()
    with steady() as load:
        ends = at_once(clients, *waits)
    codes = sorted(code for code, _ in ends)
    said = [(tmp_path / f"{side}.said").read_text() for side in ("a", "b")]
    assert codes[0] == 0 and codes[1] in (0, 5, 6), (ends, said)
    last = max((when, n) for n, (code, when) in enumerate(ends) if code == 0)[1]
    dynos = chaos.ps()
    assert len({d["release"] for d in dynos}) == 1, dynos
    assert {d["state"] for d in dynos} == {"up"}
    assert {chaos.get(router).split()[2] for router in routers() * 2} == {words[last]}
    assert clients[last].changes() == []
    edited(chaos, words[last])
    report(
        f"two applies at once{', waiting' if waits else ''}: exits {codes}, nothing mixed; {len(load.answers)} requests, 0 failed"
    )
