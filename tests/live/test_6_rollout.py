"""Traffic during everything, and rollouts that keep their floor: no request is lost."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from campaign import LONG, Done, edited, fleet_with, report, run, whole
from clients import traffic
from conftest import Shop
from here import HOSTS, at
from load import steady
from watcher import Watcher

pytestmark = pytest.mark.live

NUMBERS = itertools.count(1)


def release(shop: Shop) -> None:
    edited(shop, f"under-traffic-{next(NUMBERS)}")


def more(shop: Shop) -> None:
    shop.edit("fleet.json", formation={"web": {"quantity": 3}})


def fewer(shop: Shop) -> None:
    shop.edit("fleet.json", formation={})


def setting(shop: Shop) -> None:
    shop.edit("fleet.json", config={"PLANTED": {"env": "PLANTED"}, "NUMBER": str(next(NUMBERS))})


def as_it_is(_: Shop) -> None:
    """The files stay as they are."""


APPLY = ("apply", "--yes")
ACTIONS: dict[str, tuple[Callable[[Shop], None], tuple[str, ...]]] = {
    "a release": (release, APPLY),
    "a scale-up": (more, APPLY),
    "a host drained": (as_it_is, (*APPLY, "--without", "box-3")),
    "the host back": (as_it_is, APPLY),
    "a config change": (setting, APPLY),
    "a scale-down": (fewer, APPLY),
    "a rollback": (as_it_is, ("rollback", "--yes")),
}
"""In this order each has something to do."""
JOURNEYS = [
    ["a release", "a scale-up"],
    ["a host drained", "the host back"],
    ["a config change", "a scale-down"],
    ["a rollback"],
]


def act(shop: Shop, what: str) -> Done:
    prepare, words = ACTIONS[what]
    prepare(shop)
    done = run(shop, *words)
    assert done.code == 0, f"{what}: {done.code}\n{done.stdout[-2000:]}\n{done.stderr}"
    assert done.boundaries, f"{what} had nothing to do"
    if "--without" in words:
        assert f"{at('box-3')}:" not in shop.ssh("box-1", "cat /etc/nginx/conf.d/deployer.hello.conf")
    return done


def test_no_client_notices_anything(chaos: Shop) -> None:
    """Steady requests, uploads, long answers and websockets through both routers, whatever is done meanwhile.

    In the long form with clients of its own for each action.
    """
    before = chaos.get().split()
    drain = json.loads((chaos.folder / "fleet.json").read_text())["rollout"]["drain"]
    for journey in [[what] for what in ACTIONS] if LONG else JOURNEYS:
        with traffic() as clients:
            runs = [act(chaos, what) for what in journey]
        lived = clients.sockets_lived(runs, drain)
        assert len(clients.results) == 4
        took = ", ".join(f"{what} ({done.seconds:.1f} s)" for what, done in zip(journey, runs, strict=True))
        asked = f"{len(clients.load.answers)} requests, 0 failed, uploads and long answers complete"
        report(f"traffic during {took}: {asked}, websockets {lived}")
    now = chaos.get().split()
    assert now[2] == (chaos.folder / "word.txt").read_text().strip()
    assert now[1] != before[1]
    assert {d["dyno"] for d in chaos.ps()} == {"web.1", "web.2", "worker.1"}


@pytest.mark.parametrize("words", [(), ("--no-proof",)] if LONG else [()], ids=" ".join)
def test_release_to_serving(chaos: Shop, words: tuple[str, ...]) -> None:
    word = f"measured-{next(NUMBERS)}"
    edited(chaos, word)
    with steady() as load:
        done = run(chaos, *APPLY, *words)
    assert done.code == 0, done.stderr
    serving = load.first_of(word) - done.began
    took = f"serving after {serving:.1f} s, done after {done.seconds:.1f} s, {done.locked():.1f} s of them under the lock"
    report(f"a release {' '.join(words)}: {took}; {len(load.answers)} requests, 0 failed")


ROOM, SMALL = "256MB", "512MB"
"""A dyno, and a host with room for two."""


@contextmanager
def four_small_dynos(shop: Shop) -> Iterator[None]:
    small = {"sizes": {"small": {"memory": ROOM}}, "default_size": "small"}
    four = {"web": {"quantity": 4}, "worker": {"quantity": 1}}
    rollout = {"watch": 1, "drain": 4}
    with fleet_with(shop, **small, formation=four, rollout=rollout):
        whole(shop)
        yield


def narrow(shop: Shop, room: dict[str, str]) -> None:
    """Gives each host that much memory for dynos, and no more."""
    hosts = json.loads((shop.folder / "fleet.json").read_text())["hosts"]
    shop.edit("fleet.json", hosts={n: h | {"capacity": {"memory": room[n]}} for n, h in hosts.items()})


def test_a_rollout_without_room_keeps_its_floor(chaos: Shop, watcher: Watcher) -> None:
    with four_small_dynos(chaos):
        narrow(chaos, dict.fromkeys(HOSTS, SMALL))
        whole(chaos)
        edited(chaos, f"in-waves-{next(NUMBERS)}")
        capacity = chaos.plan()["capacity"]["web"]
        assert (capacity["before"], capacity["after"]) == (4, 4)
        assert 1 <= capacity["fewest"] <= 4
        watcher.floor.ask(capacity["fewest"])
        with steady() as load:
            done = run(chaos, *APPLY)
        assert done.code == 0, f"{done.stdout[-2000:]}\n{done.stderr}"
        waves = len(done.stage("START"))
        assert waves >= 2, [e for e in done.events if e.kind == "stage"]
        asked = f"{len(load.answers)} requests, 0 failed"
        report(
            f"rollout without room: {waves} waves, promised at least {capacity['fewest']} of 4 up, seen {watcher.floor.fewest}; {asked}"
        )

        full = {host: sum(d["host"] == host for d in chaos.ps()) for host in HOSTS}
        narrow(chaos, {host: f"{256 * max(count, 1)}MB" for host, count in full.items()})
        chaos.edit("fleet.json", rollout={"watch": 1, "drain": 4, "floor": 4})
        edited(chaos, f"no-room-{next(NUMBERS)}")
        said = chaos.deploy("plan", code=1).stderr
        assert "floor" in said
        assert re.search(r"\b4\b", said), said
        assert re.search(r"\bMB\b", said), said
    edited(chaos, f"roomy-{next(NUMBERS)}")
