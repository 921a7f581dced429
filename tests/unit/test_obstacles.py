"""What stands in the way is said before anything is planned, all of it at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deployer import obstacles
from deployer.facts import Facts
from deployer.fleet import Host

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
