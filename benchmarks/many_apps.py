"""What 1,000 apps on one router cost: memory of nginx, seconds of a reload, and requests through one of them."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

from measure import arguments, on_host, places

from deployer import source
from deployer.engine import decision, sight
from deployer.providers import nginx, router
from deployer.providers.nginx import lua
from deployer.world.world import Claims, World

FEW, MANY = 1, 1000
APP = "sim-0000"
HOST = f"{APP}.example.com"
DYNO = 18500
PORTS = {"80": 18080, "443": 18443}
"""Ours are taken by the router that serves."""


def main() -> None:
    given = arguments(__doc__, 5)
    spec = source.load(given.folder, None)
    seen = sight.look(spec)
    world = decision.build_world(spec, seen)
    seen.links.close()
    place = next(p for p in places(spec.fleet) if p["name"] == world.with_role("router")[0].name)
    request = {
        **_texts(world),
        "counts": [FEW, MANY],
        "ports": PORTS,
        "dyno": DYNO,
        "host": HOST,
        "runs": given.runs,
    }
    found = on_host(place, "many_apps.py", request)
    print(
        f"{MANY} apps on a router: {_line(found[str(FEW)], found[str(MANY)])}; medians of {given.runs} reloads"
    )


def _texts(world: World) -> dict[str, str]:
    """One app's file as the provider has it, with one dyno that answers at once, and what apps share."""
    host = world.with_role("router")[0]
    routes = {f"127.0.0.1:{DYNO}": f"{APP}.web.1.v1"}
    simulated = replace(
        world,
        app=APP,
        claims=Claims(domains=(HOST,)),
        rollout=replace(world.rollout, waves=(), routes=routes),
    )
    (mesh,) = (want for want in nginx.NginxProvider().desire(simulated, host) if isinstance(want, nginx.Mesh))
    shared = router.shared(world, host)[router.DEFAULT].reveal() + lua.common().reveal()
    texts = {"site": mesh.config.reveal(), "shared": shared}
    return {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}


def _line(few: dict[str, Any], many: dict[str, Any]) -> str:
    memory = ", ".join(
        f"{part} {few[part] / 1024:.0f} → {many[part] / 1024:.0f} MB" for part in ("master", "worker")
    )
    each = (many["worker"] - few["worker"]) / (MANY - FEW)
    return (
        f"{memory} ({each:.0f} KB an app); check {many['check']:.1f} s, reload {many['reload']:.1f} s"
        f" (one app {few['reload']:.2f} s); {many['answers']:.0f} requests/s over one connection"
        f" (one app {few['answers']:.0f}/s)"
    )


if __name__ == "__main__":
    main()
