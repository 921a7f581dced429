"""The walls: which ports of a host lead to dynos and for whom, and what dynos may reach."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from deployer.model.steps import Guard, Put, Sh, Stage, Step, Text
from deployer.providers import parts
from deployer.providers.base import About, given, plain_cause, render, roles, scale
from deployer.providers.host import BIN
from deployer.providers.meter import METER_PORT
from deployer.providers.nginx import tls
from deployer.providers.rsyslog import RELP_PORT
from deployer.spec.fleet import Host
from deployer.spec.spec import Spec
from deployer.world.facts import Facts, Probe
from deployer.world.placement import FIRST_PORT, LAST_PORT, WEB
from deployer.world.world import World, once

FOLDER = "/etc/deployer/nftables"
UNIT = "/etc/systemd/system/deployer.wall.service"
MARKS = "/run/deployer/wall"
PRIVATE = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/3",
)
"""What no dyno reaches unless fleet.json allows it (RFC 6890, and multicast)."""
_WALL = (
    "Dynos reach the internet, the host's name servers and what `allow` names; "
    "no other dyno, host or private range. The kernel must hold just what the file says."
)
_LEADS = (
    "For each web dyno of the host one port leads to it, for the routers and nobody else. "
    "The kernel must hold just what the file says."
)


@dataclass(frozen=True)
class TableSeen:
    """`loaded` is the digest of the file that the kernel's table was made from, and `intact` whether
    the kernel still holds exactly that; `ports` are the kernel's own."""

    key: str
    rules: str | None
    loaded: str | None
    intact: bool
    ports: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """`routers` and `ports` say what an app's table holds; the base table has neither."""

    key: str
    rules: Text
    ports: Mapping[str, str]
    app: str = ""
    routers: tuple[str, ...] = ()

    def expect(self) -> TableSeen:
        return TableSeen(self.key, self.rules.sha, self.rules.sha, True, self.ports)


class NftablesProvider:
    name = "nftables"
    base = ("file:*", "unit:*", "deployer")

    def desire(self, world: World, host: Host) -> Iterator[Any]:
        if not host.roles:
            return
        yield parts.unit_file(UNIT, render("nftables/service.j2"))
        yield parts.Unit("deployer.wall.service")
        yield _base(world, host)
        if seats := [seat for seat in world.seats_on(host.name) if seat.host_port]:
            yield _forwards(world, {str(s.host_port): f"{s.address}:{s.port}" for s in seats})

    def probe(self, app: str) -> Probe:
        tables = {"deployer", table_name(app)}
        return Probe(
            files=frozenset({UNIT, *(f"{FOLDER}/{table}.nft" for table in tables)}),
            texts=frozenset(f"{MARKS}/{table}" for table in tables),
            units=frozenset({"deployer.wall.service"}),
            tables=frozenset(tables),
        )

    def observe(self, app: str, facts: Facts) -> Iterator[Any]:
        yield from parts.see_files(facts, (UNIT,))
        yield from parts.see_units(facts, ["deployer.wall.service"])
        for table in ("deployer", table_name(app)):
            if table in facts.tables or f"{FOLDER}/{table}.nft" in facts.files:
                yield _seen(table, facts)

    def converge(self, want: Any, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        if isinstance(want, Table):
            return _take(want, have, differs)
        if isinstance(have, TableSeen) and have.key != "deployer":
            return _remove(have.key)
        return parts.converge(want, have, differs) if want else ()

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        if isinstance(want, Table) and have is not None and "ports" in differs:
            return "other dynos to lead to" if "rules" in differs else "changed on the host"
        return plain_cause(want, have, differs)

    def about(self, spec: Spec, host: Host, key: str) -> About:
        if key.startswith(("file:", "unit:")):
            return parts.about(spec, host, key, "Every host has walls around its dynos, from boot on.")
        places = (f"{FOLDER}/{key}.nft", f"table ip {key} (nft)", f"{MARKS}/{key}")
        if key == "deployer":
            asks = (*given(spec, "allow", "dyno_network", "metrics"), roles(spec, host))
            return About(asks, places, _WALL, drop=f"take all roles from {host.name}, in fleet.json")
        asks = (*scale(spec, WEB), *(roles(spec, other) for other in spec.fleet.with_role("router")))
        return About(asks, places, _LEADS, drop=f"set the quantity of {WEB} to 0")


def table_name(app: str) -> str:
    """nft's names have no dash, and an app's name has no underscore."""
    return f"deployer.{app.replace('-', '_')}"


def _base(world: World, host: Host) -> Table:
    text = render(
        "nftables/host.nft.j2",
        network=world.network,
        resolvers=tuple(r for r in world.facts[host.name].resolvers if ":" not in r),
        allow=tuple(sorted(world.allow)),
        private=PRIVATE,
        fleet_ports=(RELP_PORT, tls.PORT),
        meter=METER_PORT,
        ports=f"{FIRST_PORT}-{LAST_PORT}",
        readers=tuple(sorted(world.metrics.allow)),
        fleet=_fleet(world),
    )
    return Table("deployer", text, {})


@once
def _fleet(world: World) -> tuple[str, ...]:
    return tuple(sorted({host.mesh for host in world.members} | {"127.0.0.1"}))


def _forwards(world: World, ports: Mapping[str, str]) -> Table:
    routers = _routers(world)
    return Table(table_name(world.app), _text(world.app, routers, ports), ports, world.app, routers)


@once
def _routers(world: World) -> tuple[str, ...]:
    return tuple(sorted(host.mesh for host in world.with_role("router")))


def _text(app: str, routers: tuple[str, ...], ports: Mapping[str, str]) -> Text:
    dynos = tuple((port, tuple(ports[port].split(":"))) for port in sorted(ports))
    return render("nftables/app.nft.j2", app=app, table=table_name(app), routers=routers, ports=dynos)


def _seen(table: str, facts: Facts) -> TableSeen:
    kernel = facts.tables.get(table, {})
    marks = facts.texts.get(f"{MARKS}/{table}", "").split()
    intact = len(marks) == 2 and kernel.get("sha") == marks[1]
    loaded = marks[0] if marks else None
    return TableSeen(table, facts.sha(f"{FOLDER}/{table}.nft"), loaded, intact, kernel.get("ports", {}))


def _take(want: Table, have: TableSeen | None, differs: frozenset[str]) -> Iterator[Step]:
    """Old ports stay until the routers have left them: the table holds both from START to RETIRE.

    A table is replaced in one transaction, so no packet sees half of it.
    """
    path = f"{FOLDER}/{want.key}.nft"
    old = {port: dyno for port, dyno in (have.ports if have else {}).items() if port not in want.ports}
    rules = want.rules if have is None or "rules" in differs else None
    if not want.app:
        guard = Guard((path,), ((f"{BIN}/wall-take", path),))
        return (replace(step, guard=guard) for step in _load(Stage.PREPARE, path, rules))
    if not old:
        return _load(Stage.START, path, rules)
    both = _text(want.app, want.routers, {**old, **want.ports})
    return chain(_load(Stage.START, path, both), _load(Stage.RETIRE, path, want.rules))


def _load(stage: Stage, path: str, rules: Text | None) -> Iterator[Step]:
    if rules:
        yield Step(stage, f"write {path}", Put(path, rules))
    yield Step(stage, f"load {path}", Sh((f"{BIN}/wall-take", path)))


def _remove(table: str) -> Iterator[Step]:
    yield parts.remove(f"{FOLDER}/{table}.nft", Stage.RETIRE)
    yield parts.remove(f"{MARKS}/{table}", Stage.RETIRE)
    empty = Text(f"table ip {table}\ndelete table ip {table}\n")
    yield Step(Stage.RETIRE, f"delete the table {table}", Sh(("nft", "-f", "-"), empty))
