"""The documents of one dyno: what its scripts, LXC and the next plan read."""

from __future__ import annotations

import json

from deployer.model.steps import Text
from deployer.providers.base import render
from deployer.providers.stack import STACKS
from deployer.world.placement import gateway
from deployer.world.releases import APPS
from deployer.world.world import Seat, World


def settings(world: World, seat: Seat) -> Text:
    """What the scripts on the host read: names, numbers and paths, never a value of the user's."""
    release = world.release
    slug = f"{APPS}/{world.app}/slugs/{release.slug}" if release else ""
    stack = f"{STACKS}/{release.stack}.run" if release else ""
    values = {
        "APP": world.app,
        "TYPE": seat.type,
        "N": seat.n,
        "ADDRESS": seat.address,
        "PORT": seat.port,
        "MEMORY": seat.memory,
        "LIMIT": seat.limit,
        "PIDS": seat.pids,
        "BASE": world.base,
        "HOST": seat.key.replace(".", "-").replace("_", "-")[:63],
        "LOWER": f"{slug}:{stack}",
        "VETH": veth(seat),
        "ENV_FILE": f"{APPS}/{world.app}/releases/v{seat.release}/env",
    }
    if seat.port and world.health:
        values |= {"HEALTH": world.health.path, "HEALTH_STATUS": world.health.status}
    return Text("".join(f"{name}={values[name]}\n" for name in sorted(values)))


def config(world: World, seat: Seat) -> Text:
    env = {"DYNO": seat.name, "HEROKU_DYNO_ID": seat.key}
    if seat.port:
        env["PORT"] = str(seat.port)
    return render(
        "lxc/config.j2",
        key=seat.key,
        base=world.base,
        veth=veth(seat),
        mac="02:de:" + seat.octets.hex(":"),
        address=seat.address,
        prefix=world.net.prefixlen,
        gateway=gateway(world.net),
        pids=seat.pids,
        env=tuple(env.items()),
    )


def veth(seat: Seat) -> str:
    return "dv" + seat.octets.hex()


def place(world: World, seat: Seat) -> Text:
    """What the next plan must know to leave this dyno where it is."""
    names = ("app", "type", "n", "release", "address", "port", "host_port", "memory", "limit", "pids")
    return Text(json.dumps({name: getattr(seat, name) for name in names}, sort_keys=True) + "\n")
