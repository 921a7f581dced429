"""Who may hold the routers' address, whoever is left out and whatever other apps ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fleets import ALL, Fleet, fleet, spec

from deployer.engine import decision
from deployer.planning import planner
from deployer.providers.keepalived import CONF, KeepalivedProvider

TWO = {"one": ALL, "two": ALL}
ADDRESS = "192.0.2.100"


@pytest.fixture
def shared() -> Fleet:
    seen = fleet()
    seen.apply(spec(hosts=TWO, virtual_address=ADDRESS))
    return seen


def peers(seen: Fleet, host: str) -> list[str]:
    text = seen.machines[host].text(CONF.format(ADDRESS))
    return text.partition("unicast_peer {")[2].partition("}")[0].split()


def test_a_router_that_is_left_out_stays_a_peer(shared: Fleet) -> None:
    wanted = spec(hosts=TWO, virtual_address=ADDRESS)
    sight = shared.sight(wanted)
    for name in TWO:
        hosts = tuple(host for host in sight.hosts if host.name == name)
        alone = replace(sight, hosts=hosts, facts={name: sight.facts[name]})
        assert planner.plan(decision.build_world(wanted, alone), [KeepalivedProvider()]).empty


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [(TWO, ["192.0.2.2"]), ({"one": ALL, "two": "dynos"}, [ADDRESS])],
    ids=["two routers", "one alone"],
)
def test_there_is_always_a_peer_for_without_it_is_multicast(hosts: Any, expected: list[str]) -> None:
    seen = fleet()
    seen.apply(spec(hosts=hosts, virtual_address=ADDRESS))
    assert peers(seen, "one") == expected


def test_what_another_app_asks_of_the_port_is_nothing_to_it(shared: Fleet) -> None:
    shared.apply(spec(app="other", hosts=TWO, routing={"proxy_protocol": ["10.0.0.0/8"]}))
    assert shared.plan(spec(hosts=TWO, virtual_address=ADDRESS), only="keepalived").empty
