"""Apps and fleets of a few words, machines for them, and the two ways through the house without a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import impossible
from certs import pair
from machine import Machine

from deployer.engine import decision
from deployer.engine.sight import Sight, departing
from deployer.engine.sight import probe as look_for
from deployer.model.plan import Plan
from deployer.model.steps import Entry, Step, Text, Tree, sha
from deployer.planning import planner
from deployer.providers import PROVIDERS
from deployer.source import buildpacks, data
from deployer.spec.app import load_app
from deployer.spec.fleet import Host, load_fleet
from deployer.spec.spec import Spec
from deployer.world.facts import Facts
from deployer.world.world import World

ALL = "router dynos logplex build"
WEB = {"web": "gunicorn app:hello"}
FIRST_ADDRESS = IPv4Address("192.0.2.0")


def spec(
    hosts: Mapping[str, Any] | None = None,
    processes: Mapping[str, str] = WEB,
    scale: Mapping[str, int] | None = None,
    config: Mapping[str, str] | None = None,
    source: str = "one",
    app: str = "hello",
    generated: tuple[str, ...] = (),
    postdeploy: str | None = None,
    slug: str = "",
    to: str = "",
    certificates: Mapping[str, int] | None = None,
    **fleet: Any,
) -> Spec:
    """What files of these words would ask for. `hosts` maps names to roles; host n has the nth address from
    192.0.2.0 on.

    `certificates` are of one's own: what each covers, with blanks between, and for how many days.
    """
    roles = hosts or {"one": ALL}
    rows = {
        name: {"address": str(FIRST_ADDRESS + n), "roles": words.split()}
        for n, (name, words) in enumerate(roles.items(), 1)
    }
    formation = {kind: {"quantity": quantity} for kind, quantity in (scale or {}).items()}
    tree = Tree(Path("/app"), (Entry(b"app.py", 0o100644, sha(source), size=len(source)),))
    return Spec(
        app=load_app({"scripts": {"postdeploy": postdeploy}} if postdeploy else {}, dict(processes)),
        fleet=load_fleet({"hosts": rows, "formation": formation, **fleet}, app),
        stack=data.stack("debian-12").model_copy(update={"updates": fleet.get("stack_updates", "")}),
        config={name: Text(value, secret=True) for name, value in (config or {}).items()},
        generated=generated,
        drains=tuple(fleet.get("drains", ())),
        tree=tree,
        folder=Path("/"),
        slug=slug,
        to=to,
        buildpacks=(buildpacks.own("python"),),
        defaults={},
        certificates=tuple(pair(names, days) for names, days in (certificates or {}).items()),
    )


@dataclass
class Fleet:
    """Machines by name, made when a spec first names them."""

    machines: dict[str, Machine]

    def sight(self, wanted: Spec) -> Sight:
        """The hosts of the fleet, and those that it had when it was last applied."""
        for host in wanted.fleet.hosts:
            machine = self.machines.setdefault(host.name, Machine(host.name))
            machine.interfaces = machine.interfaces or {f"{host.address}/24": "eth0"}
        impossible.refuse_together(self.machines)
        facts = self.facts(wanted, wanted.fleet.hosts)
        leaving = departing(wanted, facts, ())
        hosts = tuple(sorted((*wanted.fleet.hosts, *leaving), key=lambda host: host.name))
        return Sight(None, facts | self.facts(wanted, leaving), hosts)  # type: ignore[arg-type]

    def facts(self, wanted: Spec, hosts: Iterable[Host]) -> dict[str, Facts]:
        probe = look_for(wanted)
        return {host.name: self.machines[host.name].look(probe) for host in hosts}

    def world(self, wanted: Spec) -> World:
        return decision.build_world(wanted, self.sight(wanted))

    def plan(self, wanted: Spec, only: str | None = None) -> Plan:
        providers = [p for p in PROVIDERS if only in (None, p.name)]
        return planner.plan(self.world(wanted), providers)

    def gone(self, wanted: Spec) -> Plan:
        return planner.plan(decision.gone(self.sight(wanted), wanted), PROVIDERS)

    def run(self, plan: Plan, stop_after: int | None = None) -> None:
        """Stage by stage on all machines, as converge does; `stop_after` steps somebody pulls the plug."""
        for host, step in list(in_order(plan))[:stop_after]:
            self.machines[host].act(step.act)

    def apply(self, wanted: Spec) -> None:
        self.run(self.plan(wanted))
        for machine in self.machines.values():
            impossible.refuse_at_rest(machine)


def in_order(plan: Plan) -> Iterator[tuple[str, Step]]:
    for stage, wave in plan.barriers():
        for host in plan.hosts:
            yield from ((host, step) for _, step in plan.steps(host, stage, wave))


def fleet() -> Fleet:
    return Fleet({})


def without_time(world: World) -> World:
    """Nothing of a world that a clock or chance decides."""
    return replace(world, release=world.release and replace(world.release, when=""), facts={})
