"""What hosts and networks do to those who use them: full disks, wrong clocks, slow links, and a door that locks itself."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from campaign import LONG, Seen, attach, chance, edited, past, report, run, whole
from conftest import Shop
from here import ground
from load import steady
from slow_link import relay
from waiting import until

from deployer.lab import contact

pytestmark = pytest.mark.live

FULL = "mount -t tmpfs -o size=4k,nr_inodes=2 none /etc/deployer/nftables"


def test_a_disk_that_fills_up_in_the_middle(chaos: Shop) -> None:
    edited(chaos, f"disk-full-{time.time():.0f}")

    def fill(_process: subprocess.Popen[str], _: Seen) -> None:
        attach("box-2", FULL)

    with steady() as load:
        try:
            done = run(chaos, "apply", "--yes", when=lambda e, _: e.boundary and e.host == "box-2", do=fill)
        finally:
            attach("box-2", "umount /etc/deployer/nftables", check=False)
        assert done.code in (3, 8), f"{done.code}\n{done.stdout[-2000:]}\n{done.stderr}"
        assert "No space left on device" in done.stderr
        assert "box-2" in done.stderr
        whole(chaos)
    report(f"a full disk in the middle: exit {done.code}, mended; {len(load.answers)} requests, 0 failed")


LATER = "/root/.local/lib/python3.11/site-packages/usercustomize.py"
AHEAD = f"""set -e
mkdir -p {LATER.rpartition("/")[0]}
echo 'import time; now = time.time; time.time = lambda: now() + 3600' >{LATER}
python3 -c 'import time; print(int(time.time()))'
"""


@contextmanager
def hour_ahead(shop: Shop, host: str) -> Iterator[None]:
    """All of our scripts there believe that it is an hour later. Containers share the machine's clock."""
    try:
        assert int(shop.ssh(host, AHEAD)) - time.time() > 3000
        yield
    finally:
        shop.ssh(host, f"rm -f {LATER}")


def test_a_clock_that_is_an_hour_off(chaos: Shop) -> None:
    edited(chaos, f"an-hour-off-{time.time():.0f}")
    refused: list[int] = []

    def try_too(_process: subprocess.Popen[str], _: Seen) -> None:
        refused.append(chaos.apply(code=None).returncode)

    with hour_ahead(chaos, "box-2"), steady() as load:
        done = run(chaos, "apply", "--yes", when=past("START", 0), do=try_too)
        assert done.code == 0, done.stderr
        assert refused == [6], "the lock holds"
        assert chaos.changes() == []
        chaos.ssh("box-1", "echo '# by hand' >>/etc/nginx/conf.d/deployer.hello.conf")
        chaos.settle()  # without waiting: the lock was given up
    report(f"a clock an hour off: the lock holds and goes; {len(load.answers)} requests, 0 failed")


@contextmanager
def far_away(shop: Shop, folder: Path) -> Iterator[Shop]:
    """The same app and hosts, seen from far away."""
    shutil.copytree(shop.folder, folder)
    rng = chance("a slow link")
    fleet = json.loads((folder / "fleet.json").read_text())
    known = [row.split(" ", 1) for row in (shop.folder / "known_hosts").read_text().splitlines()]
    rows = []
    with ExitStack() as relays:
        for host in fleet["hosts"].values():
            address = host["address"]
            port = relays.enter_context(relay(address, rng))
            rows += [f"[127.0.0.1]:{port} {key}\n" for name, key in known if name == address]
            host.update(address="127.0.0.1", port=port, private_address=address)
        trusted = folder.with_suffix(".known_hosts")  # beside the folder, where it is no source of the app
        trusted.write_text("".join(rows))
        fleet["ssh"]["known_hosts"] = str(trusted)
        (folder / "fleet.json").write_text(json.dumps(fleet))
        yield Shop(folder)


def timed(shop: Shop, *words: str) -> float:
    began = time.monotonic()
    shop.deploy(*words)
    return time.monotonic() - began


def test_a_slow_link(chaos: Shop, tmp_path: Path) -> None:
    word = f"from-far-away-{time.time():.0f}"
    near = timed(chaos, "plan")
    with far_away(chaos, tmp_path / "hello") as far, steady() as load:
        timed(far, "apply", "--yes")  # the hosts' records learn of their other addresses
        assert far.changes() == []
        plan = timed(far, "plan")
        if LONG:
            edited(far, word)
            release = timed(far, "apply", "--yes")
            assert far.changes() == []
            report(f"a slow link: a release takes {release:.1f} s")
    report(
        f"a slow link: a plan takes {plan:.1f} s instead of {near:.1f} s ({plan / near:.1f} times); "
        f"{len(load.answers)} requests, 0 failed"
    )


DROP = {
    "everything": "tcp dport 22 drop",
    "new connections": "tcp dport 22 ct state new drop",
}
RULES = "table ip deployertest { chain input { type filter hook input priority -10; %s; }; }\n"
FILE = "/etc/deployer/deployertest"
SWITCH = 75.0
"""Seconds after which the host has put itself back."""


@pytest.fixture
def door(chaos: Shop) -> Iterator[Shop]:
    chaos.ssh("box-3", f"echo before >{FILE}")
    yield chaos
    attach(
        "box-3",
        f"nft delete table ip deployertest 2>/dev/null; rm -rf {FILE} /var/lib/deployer/guard",
        check=False,
    )


@pytest.mark.parametrize("dropped", DROP if LONG else ["everything"])
def test_a_door_that_was_closed_opens_by_itself(door: Shop, dropped: str) -> None:
    program = (sys.executable, str(Path(__file__).with_name("guarded.py")))
    argv = (*program, str(door.folder / "fleet.json"), "box-3", RULES % DROP[dropped], FILE)
    running = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: not contact.answers(ground(), "box-3"), 30, "the door never closed")
        closed = time.monotonic()
        until(lambda: contact.answers(ground(), "box-3"), SWITCH, "the door stayed closed")
        took = time.monotonic() - closed
        said, wrong = running.communicate(timeout=120)
    finally:
        running.kill()
    assert running.returncode == 0, wrong
    found = json.loads(said.splitlines()[-1])
    assert "box-3" in found["failed"] or "box-3" in found["lost"], found
    assert door.ssh("box-3", f"cat {FILE}").strip() == "before"
    report(f"a door that was closed ({dropped}): open again after {took:.0f} s; it said: {found['failed']}")
