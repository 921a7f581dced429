"""What is there, from facts: dynos and releases as documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer import releases as kept
from deployer.facts import Facts
from deployer.placement import DYNOS
from deployer.providers.lxc import running


def dynos(app: str, facts: Mapping[str, Facts]) -> list[dict[str, Any]]:
    """Each dyno of the app, by type and number: `dyno state release host address host_port memory`."""
    found = [
        {
            "dyno": f"{dyno['type']}.{dyno['n']}",
            "state": "up" if running(key, facts[host]) not in _NOT_UP else str(running(key, facts[host])),
            "release": f"v{dyno['release']}",
            "host": host,
            "address": dyno["address"],
            "host_port": dyno["host_port"],
            "memory": dyno["memory"],
        }
        for host in sorted(facts)
        for key, dyno in facts[host].documents(DYNOS, "dyno.json")
        if dyno["app"] == app
    ]
    return sorted(
        found, key=lambda d: (d["dyno"].rpartition(".")[0], int(d["dyno"].rpartition(".")[2]), d["release"])
    )


_NOT_UP = ("stopped", "booting", "crashed", "not answering")


def releases(app: str, facts: Mapping[str, Facts]) -> list[dict[str, Any]]:
    """The records, newest first, and which of them is current."""
    records = kept.seen(app, facts.values())
    now = kept.current(records)
    return [
        {**records[n].as_dict(), "current": now is not None and n == now.number}
        for n in sorted(records, reverse=True)
    ]
