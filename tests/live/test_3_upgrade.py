"""A fleet that older code made is taken over by today's: what starts again is said beforehand, and no request is lost."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import images
import older
import practice
import pytest
from campaign import report
from conftest import HELLO, Shop
from here import HOSTS, OURS, ROUTERS
from load import Load, steady

from deployer.lab import record

pytestmark = pytest.mark.live

LAB = f"{OURS}upgrade"
DYNO = re.compile(r"lxc/(?P<host>[^/]+)/(?P<key>hello\.\w+\.\d+\.v\d+)")
UNITS = "systemctl show 'deployer.dyno@hello.*' --property=Id,InvocationID --value"


@pytest.fixture(autouse=True)
def settled() -> None:
    """The fleet of the other tests has no part in this."""


@pytest.fixture
def fleet(request: pytest.FixtureRequest, run: Path, tmp_path: Path) -> Iterator[Shop]:
    """The example app, applied by the older code on three fresh hosts."""
    folder = tmp_path / "hello"
    shutil.copytree(HELLO, folder)
    with practice.fleet(LAB, folder, run, request.session) as ground:
        Shop(folder).edit("fleet.json", app="hello")
        old = older.Older(folder, older.code(tmp_path / "code"))
        assert old.lies_at().is_relative_to(old.code)
        with images.made_once(run, ground):
            old.settle()
        yield Shop(folder)


@dataclass(frozen=True)
class Dynos:
    """`host/key` of those that start, start again and stop."""

    start: frozenset[str]
    again: frozenset[str]
    stop: frozenset[str]

    def __str__(self) -> str:
        return f"{len(self.start)} started, {len(self.again)} started again, {len(self.stop)} stopped"


def runs(shop: Shop) -> dict[str, str]:
    """Which start of its unit each dyno of the fleet lives in, by `host/key`."""
    found = {}
    for host in HOSTS:
        for unit, start in re.findall(r"deployer\.dyno@(\S+)\.service\n(\w+)", shop.ssh(host, UNITS)):
            found[f"{host}/{unit}"] = start
    return found


def happened(before: dict[str, str], after: dict[str, str]) -> Dynos:
    again = {key for key in before.keys() & after.keys() if before[key] != after[key]}
    return Dynos(
        frozenset(after.keys() - before.keys()), frozenset(again), frozenset(before.keys() - after.keys())
    )


def said(plan: dict[str, Any]) -> Dynos:
    """What a plan announces. One that is updated starts again only if a step says so."""
    found: dict[str, set[str]] = {"create": set(), "update": set(), "delete": set()}
    for change in plan["changes"]:
        address = DYNO.fullmatch(change["address"])
        if address and (change["action"] != "update" or starts(change)):
            found[change["action"]].add("/".join(address.groups()))
    return Dynos(*(frozenset(found[action]) for action in ("create", "update", "delete")))


def starts(change: dict[str, Any]) -> bool:
    return any(step["say"].startswith("start ") for step in change["steps"])


def untold(shop: Shop, dynos: Dynos) -> list[str]:
    """Those of which the plan has no line for a person to read."""
    text = shop.deploy("plan").stdout
    keys = (key.partition("/")[2] for key in dynos.start | dynos.again | dynos.stop)
    return [key for key in keys if f"lxc/{key}" not in text]


def applied(shop: Shop, what: str, load: Load) -> Dynos:
    """An apply does to dynos what its plan said, and the plan after it is empty."""
    plan, before, asked = shop.plan(), runs(shop), len(load.answers)
    announced = said(plan)
    assert untold(shop, announced) == []
    shop.settle()
    dynos = happened(before, runs(shop))
    assert dynos == announced
    count = f"{len(plan['changes'])} changes, {len(load.answers) - asked} requests"
    report(f"{what}: dynos {dynos}, as its plan said; {count}")
    return dynos


def test_a_fleet_of_older_code_is_taken_over(fleet: Shop) -> None:
    """By an apply of the same files; then it is worked with: a release, and the way back to one that the older code made."""
    source = fleet.folder / "app.py"
    as_it_was = source.read_text()
    with steady(tuple(record.find(LAB).address(host) for host in ROUTERS)) as load:
        applied(fleet, "an upgrade of the deployer", load)
        source.write_text(f"{as_it_was}\n# another release\n")
        dynos = applied(fleet, "a release after it", load)
        assert (len(dynos.start), len(dynos.again), len(dynos.stop)) == (3, 0, 3)
        fleet.deploy("rollback", "v1", "--yes")
        source.write_text(as_it_was)
        assert fleet.changes() == []
    report(f"a fleet of older code: {len(load.answers)} requests, {len(load.failures)} failed")
