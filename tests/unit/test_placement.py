"""Who sits where: spread evenly, left where they are, with numbers that nobody else has."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from fleets import ALL, Fleet, fleet, spec

from deployer.problems import InputError
from deployer.world import placement
from deployer.world.world import World

THREE = {"one": ALL, "two": "dynos", "three": "dynos"}


def seated(world: World) -> dict[str, str]:
    return {seat.name: seat.host for seat in world.seats}


def on_three(**words: Any) -> World:
    return fleet().world(spec(hosts=THREE, **words))


@pytest.mark.parametrize(("dynos", "most"), [(1, 1), (3, 1), (4, 2), (9, 3)])
def test_dynos_of_a_type_are_spread_evenly(dynos: int, most: int) -> None:
    counts = Counter(seated(on_three(scale={"web": dynos})).values())
    assert sum(counts.values()) == dynos
    assert max(counts.values()) == most


def test_each_type_is_spread_by_itself() -> None:
    words = {"processes": {"web": "w", "worker": "k"}, "scale": {"web": 3, "worker": 3}}
    places = seated(on_three(**words))
    assert len({host for name, host in places.items() if name.startswith("worker")}) == 3


def test_web_is_one_dyno_and_other_types_none_unless_said() -> None:
    assert list(seated(on_three(processes={"web": "w", "worker": "k", "release": "r"}))) == ["web.1"]


def test_fleet_json_decides_over_app_json() -> None:
    given = spec(scale={"web": 2})
    app = given.app.model_copy(
        update={"formation": {"web": given.fleet.formation["web"].model_copy(update={"quantity": 5})}}
    )
    assert placement.formation(app, given.fleet)["web"][0] == 2
    assert placement.formation(app, given.fleet.model_copy(update={"formation": {}}))["web"][0] == 5


def test_addresses_and_ports_are_nobody_elses() -> None:
    seen = fleet()
    seen.apply(spec(app="other", scale={"web": 3}))
    seen.machines["one"].listeners[20003] = "postgres"
    world = seen.world(spec(scale={"web": 2}))
    assert [(s.address, s.host_port) for s in world.seats] == [("10.213.0.5", 20004), ("10.213.0.6", 20005)]


def test_only_web_dynos_have_a_port() -> None:
    world = on_three(processes={"web": "w", "worker": "k"}, scale={"worker": 1})
    assert {s.type: (s.host_port, s.port) for s in world.seats} == {"web": (20000, 5000), "worker": (0, 0)}


def grown(before: dict[str, Any], after: dict[str, Any]) -> tuple[World, World]:
    seen: Fleet = fleet()
    seen.apply(spec(**before))
    first = seen.world(spec(**before))
    return first, seen.world(spec(**after))


@pytest.mark.parametrize(
    "after",
    [
        {"hosts": THREE},
        {"hosts": THREE, "scale": {"web": 6}},
        {"hosts": {"one": ALL, "two": "dynos"}, "scale": {"web": 2}},
    ],
    ids=["host-more", "dynos-more", "dynos-fewer"],
)
def test_who_runs_well_stays(after: dict[str, Any]) -> None:
    first, then = grown(
        {"hosts": {"one": ALL, "two": "dynos"}, "scale": {"web": 4}}, {"scale": {"web": 4}} | after
    )
    kept = [seat.key for seat in then.seats if seat.key in {old.key for old in first.seats}]
    places = {s.key: (s.host, s.address, s.host_port) for s in first.seats}
    assert kept
    assert {s.key: (s.host, s.address, s.host_port) for s in then.seats if s.key in kept} == {
        k: places[k] for k in kept
    }


def test_a_new_release_takes_the_same_hosts_and_other_numbers() -> None:
    first, then = grown(
        {"hosts": THREE, "scale": {"web": 3}}, {"hosts": THREE, "scale": {"web": 3}, "source": "two"}
    )
    assert seated(first) == seated(then)
    both = [(s.host, s.address, s.host_port) for s in (*first.seats, *then.seats)]
    assert len(set(both)) == 6


def test_all_that_find_no_room_are_named_at_once() -> None:
    seen = fleet()
    seen.sight(spec())
    seen.machines["one"].memory = 4000
    with pytest.raises(InputError) as raised:
        seen.world(spec(scale={"web": 4}))
    assert [p.summary for p in raised.value.problems] == [
        f"no host has room for web.{n}, which needs 1536 MB" for n in (3, 4)
    ]
    assert all("one has 928 MB left" in p.detail and p.hint for p in raised.value.problems)


def test_other_apps_take_room() -> None:
    seen = fleet()
    seen.apply(spec(app="other", scale={"web": 2}))
    seen.machines["one"].memory = 4000
    with pytest.raises(InputError, match=r"no host has room for web\.1"):
        seen.world(spec())


def test_an_app_has_the_same_ids_on_all_hosts_and_another_app_others() -> None:
    seen = fleet()
    seen.apply(spec(hosts=THREE))
    mine = seen.world(spec(hosts=THREE)).base
    assert (mine - placement.FIRST_BASE) % placement.IDS == 0
    assert placement.base("hello", seen.sight(spec(hosts=THREE)).facts) == mine
    taken = seen.sight(spec(hosts=THREE)).facts
    assert placement.base("hello", {}) == mine
    assert placement.base("other", taken) != mine
