"""What `deploy certs` says of the certificates that routers get by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from fleets import ALL, fleet, spec

from deployer.cli import certs

HOSTS = {"one": "router", "two": ALL.removeprefix("router ")}


def noted(left_out: Iterable[str] = ()) -> list[tuple[str, str]]:
    seen = fleet()
    wanted = spec(hosts=HOSTS, domains=["a.test"], tls={"acme": {"email": "ada@example.com"}})
    seen.apply(wanted)
    sight = seen.sight(wanted)
    hosts = tuple(host for host in sight.hosts if host.name not in left_out)
    looked = replace(sight, hosts=hosts, facts={host.name: sight.facts[host.name] for host in hosts})
    return [(row["name"], row["note"]) for row in certs._automatic(wanted, looked)]


def test_without_a_router_it_says_so() -> None:
    assert noted() == [("a.test", "")]
    assert noted(left_out=["one"]) == [("a.test", "no router was looked at: they get and hold it")]
