"""What no step of an apply may do to those that the fleet serves."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

from applies import Applies, At
from machine import DYNOS, Machine

from deployer.model.plan import Plan
from deployer.model.steps import Sh
from deployer.providers.nginx import _SERVER

SITE = "/etc/nginx/conf.d/deployer.hello.conf"
UNIT = "deployer.dyno@"


def up(machines: dict[str, Machine]) -> set[tuple[str, str]]:
    """The dynos that are up, as `(route, key)`."""
    found = set()
    for n, machine in enumerate(machines.values(), 1):
        for key in filter(machine.is_up, machine.dynos()):
            port = json.loads(machine.text(f"{DYNOS}/{key}/dyno.json"))["host_port"]
            found.add((f"192.0.2.{n}:{port}", key))
    return found


def types(machines: dict[str, Machine]) -> Counter[str]:
    return Counter(key.split(".")[1] for _, key in up(machines))


def served(machine: Machine) -> set[tuple[str, str]]:
    return set(_SERVER.findall(machine.files.get(SITE, ("",))[0]))


def told(at: At) -> set[tuple[str, str]]:
    """What a router is told to serve by a step, if that is what it does."""
    is_mesh = at.say.startswith("have nginx serve") and isinstance(at.act, Sh) and at.act.stdin
    return set(_SERVER.findall(at.act.stdin.reveal())) if is_mesh else set()  # type: ignore[union-attr]


def stops(at: At) -> str:
    """The dyno that a step stops, or starts again."""
    is_stop = isinstance(at.act, Sh) and at.act.argv[:2] in {
        ("systemctl", "restart"),
        ("systemctl", "disable"),
    }
    unit = at.act.argv[-1] if is_stop and isinstance(at.act, Sh) else ""
    return unit.removeprefix(UNIT).removesuffix(".service") if unit.startswith(UNIT) else ""


def address(machines: dict[str, Machine], host: str) -> str:
    return f"192.0.2.{list(machines).index(host) + 1}:"


def harm(hands: Applies, at: At, plan: Plan) -> Iterator[str]:
    """What a step may not do."""
    machines = hands.seen.machines
    now, here = up(machines), address(machines, at.host)
    away = tuple(address(machines, host) for host in hands.down)
    for route, key in told(at) - served(machines[at.host]) - now:
        if not route.startswith(away):
            yield f"{at.host} is told to serve {key}, which is not up"
    stopped = {(route, key) for route, key in now if key == stops(at) and route.startswith(here)}
    for router, machine in machines.items():
        for _, key in served(machine) & stopped:
            yield f"{key} stops on {at.host} while {router} leads to it"
    for _, key in stopped:
        kind = key.split(".")[1]
        if kind in plan.capacity and types(machines)[kind] - 1 < plan.capacity[kind].fewest:
            yield f"{key} stops, which leaves fewer than the plan says"
