"""A release that is no good goes by itself, before the switch and after it; the one that served goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from campaign import LONG, edited, fleet_with, report, run, whole
from conftest import Shop
from here import ROUTERS
from load import Load, steady

pytestmark = pytest.mark.live

SICK = {"SICK_STATUS": "503"} | ({} if LONG else {"SICK_TIMES": "20"})
"""A check may fail for 60 s; a dyno that ends by itself is sooner given up."""
PLANTED = {"PLANTED": {"env": "PLANTED"}}


def refused(shop: Shop, what: str, config: dict[str, str], lost: int = 0, **fleet: Any) -> tuple[str, Load]:
    """Applies a bad release under load: exit 8, and all is as before. What was said, and the load.

    At most `lost` requests may fail.
    """
    old = {d["release"] for d in shop.ps()}
    assert len(old) == 1
    with fleet_with(shop, config=PLANTED | config, **fleet), steady(strict=False) as load:
        done = run(shop, "apply", "--yes")
    assert len(load.failures) <= lost, f"{len(load.failures)} of {len(load.answers)}: {load.failures}"
    assert done.code == 8, f"{done.code}\n{done.stdout[-2000:]}\n{done.stderr}"
    assert "goes on serving" in done.stderr
    assert {(d["release"], d["state"]) for d in shop.ps()} == {(next(iter(old)), "up")}
    assert shop.get().split()[1] in old
    assert shop.changes() == []
    report(
        f"{what}: back to the old release after {done.seconds:.1f} s; {len(load.answers)} requests, "
        f"{len(load.failures)} failed"
    )
    return done.stderr + done.stdout, load


def test_one_that_fails_its_check_never_serves(chaos: Shop) -> None:
    said, load = refused(chaos, "a failed health check", SICK)
    assert "healthz answers 503 because SICK_STATUS says so" in said, "its last log lines are shown"
    assert len(load.releases()) == 1, "no router may have listed it"


def test_one_that_crashes_after_the_switch_is_taken_back(chaos: Shop) -> None:
    """What the dyno had begun to answer goes with it, one request through each router; no other fails."""
    crash = {"CRASH": "web.2:1.5"}
    said, load = refused(
        chaos, "a crash after the switch", crash, lost=len(ROUTERS), rollout={"watch": 6, "drain": 4}
    )
    assert "web.2 will crash in 1.5 s because CRASH says so" in said
    assert len(load.releases()) == 2, "it did serve for a moment"


def test_one_that_eats_its_memory_never_serves(chaos: Shop) -> None:
    said, load = refused(chaos, "a dyno out of memory", {"EAT_MB": "2048"})
    assert len(load.releases()) == 1
    assert "R15" in said or "memory" in said.lower()


@pytest.mark.skipif(not LONG, reason="make chaos does it")
def test_ten_bad_releases_in_a_row_leave_no_trace(chaos: Shop) -> None:
    before = json.loads(chaos.deploy("releases", "--json").stdout)
    good = next(r["number"] for r in before if r["current"])
    for n in range(10):
        refused(chaos, f"bad release {n + 1} of 10", {"SICK_STATUS": str(500 + n), "SICK_TIMES": "20"})
    edited(chaos, "after-ten-bad-ones")
    whole(chaos)
    after = json.loads(chaos.deploy("releases", "--json").stdout)
    assert next(r["number"] for r in after if r["current"]) > good
