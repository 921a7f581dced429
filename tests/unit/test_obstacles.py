"""What stands in the way is said before anything is planned, all of it at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployer.planning import obstacles
from deployer.spec.fleet import Host
from deployer.world.facts import Facts
from deployer.world.world import Claims

ALL = frozenset({"router", "dynos", "logplex", "build"})
HOST = Host(name="one", address="192.0.2.1", roles=ALL)
FACTS = Facts(host="one", disk_free=9000, listeners={80: "nginx", 22: "sshd"})


@pytest.mark.parametrize(
    ("host", "facts", "said"),
    [
        (HOST, FACTS, []),
        (
            HOST,
            replace(FACTS, listeners={80: "apache2"}),
            ["port 80 of one, which a router needs, is taken by apache2"],
        ),
        (
            HOST,
            replace(FACTS, listeners={20514: "nc"}),
            ["port 20514 of one, which a logplex needs, is taken by nc"],
        ),
        (HOST, replace(FACTS, disk_free=20), ["one has only 20 MB of disk left"]),
        (HOST, replace(FACTS, disk_free=20, folders=frozenset({"/x/debian-12.1.run"})), []),
        (HOST.model_copy(update={"roles": ALL - {"build"}}), FACTS, ["no host with the role build is left"]),
    ],
)
def test_obstacles(host: Host, facts: Facts, said: list[str]) -> None:
    problems = obstacles.found((host,), {"one": facts})
    assert [problem.summary for problem in problems] == said
    assert all(problem.hint for problem in problems)


def test_the_port_of_https_is_asked_for_where_there_are_certificates() -> None:
    facts = {"one": replace(FACTS, listeners={443: "haproxy"})}
    assert obstacles.found((HOST,), facts) == ()
    (problem,) = obstacles.found((HOST,), facts, is_secured=True)
    assert problem.summary == "port 443 of one, which a router needs, is taken by haproxy"
    assert problem.hint == "stop haproxy on one, or take the role router from it"


@pytest.mark.parametrize(
    ("address", "said"),
    [("192.0.2.1", []), ("192.0.2.9", ["no network interface of one has 192.0.2.9"])],
)
def test_a_router_sends_from_the_address_that_the_others_know(address: str, said: list[str]) -> None:
    host = HOST.model_copy(update={"mesh": address})
    facts = {"one": replace(FACTS, interfaces={"192.0.2.1/24": "eth0"}, addresses=("192.0.2.1",))}
    problems = obstacles.to_claims("hello", Claims(virtual_address="192.0.2.100"), (host,), facts)
    assert [problem.summary for problem in problems] == said
    assert obstacles.to_claims("hello", Claims(), (host,), facts) == ()


@pytest.mark.parametrize(
    ("line", "is_theirs"),
    [
        ("listen 80 default_server;", True),
        ("listen 0.0.0.0:80 reuseport default_server;", True),
        ("listen default_server;", True),
        ("listen [::]:80 default_server;", False),
        ("listen 443 ssl default_server;", False),
        ("listen 192.0.2.1:80 default_server;", False),
        ("# listen 80 default_server;", False),
        ("listen 80;", False),
    ],
)
def test_a_default_site_of_the_user_is_said(line: str, is_theirs: bool) -> None:
    facts = {"one": replace(FACTS, lines={"/etc/nginx/sites-enabled/blog": (line,)})}
    notes = obstacles.notes((HOST,), facts)
    assert [note.split(": ")[0] for note in notes] == (["one"] if is_theirs else [])
