"""Fleets of any width in memory, with everything that an app can ask for, and a history behind them."""

from __future__ import annotations

from typing import Any

from fleets import Fleet, fleet, spec

from deployer.spec.spec import Spec

PROCESSES = {"web": "serve", "worker": "work", "release": "migrate"}
RELEASES = 7
"""Of an app that has been there for a while: as many records as stay, and one more."""


def wanted(hosts: int, dynos: int, release: int = RELEASES, **more: Any) -> Spec:
    """What the files of the nth release ask for: four of five dynos are web, one host in a hundred is a router."""
    return spec(
        hosts={f"box-{n:04}": _roles(n, hosts) for n in range(1, hosts + 1)},
        processes=PROCESSES,
        scale={"web": dynos - dynos // 5, "worker": dynos // 5},
        config={"RELEASE": str(release), "DATABASE_URL": "postgres://user:secret@192.0.2.9/hello"},
        generated=("SECRET_KEY",),
        postdeploy="seed",
        domains=["hello.example.com", "www.example.com"],
        virtual_address="192.0.2.250",
        tls={"acme": {}, "hsts": 3600},
        drains=["https://user:secret@logs.example.com/"],
        metrics={"dynos": True, "allow": ["198.51.100.0/24"]},
        allow=["192.0.2.9/32"],
        health={"path": "/health"},
        **{"certificates": {"hello.example.com": 80}, **more},
    )


def _roles(n: int, hosts: int) -> str:
    words = {"build": n == 1, "logplex": n <= 2, "router": n <= max(2, hosts // 100), "dynos": True}
    return " ".join(word for word, has in words.items() if has)


def grown(hosts: int, dynos: int) -> Fleet:
    """Machines that hold what the last release asks for, and the records of those before it."""
    seen = fleet()
    for release in range(1, RELEASES):
        seen.apply(wanted(hosts, 5, release))
    seen.apply(wanted(hosts, dynos))
    return seen
