"""fleet.json as a typed value."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.spec.fleet import (
    Fleet,
    FromCommand,
    FromEnv,
    FromFile,
    Host,
    Literal,
    load_fleet,
)
from deployer.spec.jumps import gate
from deployer.spec.sizes import SIZES, Size, megabytes


def fleet_of(**keys: Any) -> Fleet:
    hosts = {
        "b": {"address": "203.0.113.2", "roles": ["dynos"]},
        "a": {"address": "203.0.113.1", "roles": ["router"]},
    }
    return load_fleet({"hosts": hosts} | keys, "hello")


def test_hosts_are_sorted_by_name_in_either_form() -> None:
    rows = [{"name": "b", "address": "203.0.113.2", "roles": ["dynos"]}]
    assert [host.name for host in fleet_of().hosts] == ["a", "b"]
    assert fleet_of(hosts=rows).hosts == fleet_of().with_role("dynos")


def test_the_name_of_the_app_is_given_or_written() -> None:
    assert (fleet_of().app, fleet_of(app="other").app) == ("hello", "other")


def test_ssh_says_what_hosts_do_not() -> None:
    hosts = {"a": {"address": "x", "roles": ["data"], "port": 2222}}
    ssh = {"user": "admin", "port": 22022, "key": "id", "jump": "gate", "known_hosts": "keys"}
    fleet = fleet_of(hosts=hosts, ssh=ssh)
    expected = Host(
        name="a", address="x", roles=frozenset({"data"}), port=2222, user="admin", key="id", jump="gate"
    )
    assert fleet.hosts == (expected,)
    assert fleet.known_hosts == "keys"


@pytest.mark.parametrize(
    ("jump", "way"),
    [
        ("gate", ("admin", "gate", 22)),
        ("me@gate.example.com:2222", ("me", "gate.example.com", 2222)),
        ("[2001:db8::1]", ("admin", "2001:db8::1", 22)),
        ("me@[2001:db8::1]:2222", ("me", "2001:db8::1", 2222)),
    ],
)
def test_a_jump_host_is_logged_in_to_like_the_host_behind_it(jump: str, way: tuple[str, str, int]) -> None:
    door = gate(Host(name="a", address="x", user="admin", key="id", jump=jump))
    assert door and (door.user, door.address, door.port) == way
    assert (door.key, door.jump) == ("id", None)


def test_other_hosts_use_the_private_address() -> None:
    hosts = {"a": {"address": "x", "private_address": "10.0.0.1", "roles": ["data"]}}
    assert fleet_of(hosts=hosts).hosts[0].mesh == "10.0.0.1"
    assert fleet_of().hosts[0].mesh == "203.0.113.1"


def test_capacity_is_in_megabytes() -> None:
    hosts = {
        "a": {"address": "x", "roles": ["data"], "capacity": {"memory": "8GB"}},
        "b": {"address": "y", "roles": []},
    }
    assert [host.memory for host in fleet_of(hosts=hosts).hosts] == [8192, None]


@pytest.mark.parametrize(
    ("text", "megabyte"), [("512MB", 512), ("1.5 gb", 1536), ("1TB", 1048576), (77, 77), (None, None)]
)
def test_megabytes(text: object, megabyte: int | None) -> None:
    assert megabytes(text) == megabyte


def test_sizes_are_herokus_and_ones_own() -> None:
    fleet = fleet_of(sizes={"Big": {"memory": "4GB"}, "eco": {"memory": "256MB", "pids": 100}})
    assert fleet.sizes["big"] == Size(name="big", memory=4096, limit=5461, pids=512)
    assert fleet.sizes["eco"].memory == 256
    assert (
        fleet.sizes["standard-2x"]
        == SIZES["standard-2x"]
        == Size(name="standard-2x", memory=1024, limit=2048, pids=512)
    )


@pytest.mark.parametrize("size", ["free", "hobby", "eco", "basic", "private-l", "performance-2xl"])
def test_dead_and_dear_plans_are_sizes_too(size: str) -> None:
    assert SIZES[size].memory >= 512


def test_the_default_size_is_a_gigabyte_and_a_half() -> None:
    assert fleet_of().sizes[fleet_of().default_size] == Size(
        name="standard", memory=1536, limit=2048, pids=512
    )


def test_config_sources() -> None:
    sources = {
        "A": "x",
        "B": {"env": "B"},
        "C": {"file": "c"},
        "D": {"command": "op read 'a b'"},
        "E": {"command": ["x"]},
    }
    assert fleet_of(config=sources).config == {
        "A": Literal(value="x"),
        "B": FromEnv(env="B"),
        "C": FromFile(file="c"),
        "D": FromCommand(command=("op", "read", "a b")),
        "E": FromCommand(command=("x",)),
    }


def test_domains_have_one_case() -> None:
    assert fleet_of(domains=["WWW.Example.com"]).domains == ("www.example.com",)
