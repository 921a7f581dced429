"""The mesh: nginx on each router, handing requests round to the app's web dynos on all hosts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.facts import Facts, Probe
from deployer.fleet import Host
from deployer.model import Sh, Stage, Step, Text
from deployer.providers import parts
from deployer.providers.base import packaged, plain_cause, render
from deployer.providers.host import BIN
from deployer.world import World

SITE = "/etc/nginx/conf.d/deployer.{}.conf"
DROP_IN = "/etc/systemd/system/nginx.service.d/deployer.conf"
LOADED = "/run/deployer/nginx.loaded"
_SERVER = re.compile(r"^\tserver (\S+) .*; # (\S+)$", re.M)


@dataclass(frozen=True)
class MeshSeen:
    """`upstreams` are the server lines on disk; `loaded` is what the running nginx last took in."""

    key: str
    upstreams: Mapping[str, str]
    config: str | None
    loaded: str | None


@dataclass(frozen=True)
class Mesh:
    key: str
    config: Text
    upstreams: Mapping[str, str]

    def expect(self) -> MeshSeen:
        return MeshSeen(self.key, self.upstreams, self.config.sha, self.config.sha)


class NginxProvider:
    name = "nginx"

    def desire(self, world: World, host: Host) -> Iterator[Any]:
        if "router" not in host.roles:
            return
        reload = (Sh(("systemctl", "daemon-reload")), Sh(("systemctl", "reload-or-restart", "nginx")))
        said = "have nginx take it in"
        yield parts.File(DROP_IN, Text(packaged("nginx.loaded.conf")), after=reload, say_after=said)
        if world.release:
            yield _mesh(world)
        # After the mesh: a file of ours that keeps nginx from starting is mended first.
        yield parts.Unit("nginx.service", stage=Stage.ROUTE)

    def probe(self, app: str) -> Probe:
        site = SITE.format(app)
        return Probe(
            files=frozenset({site, DROP_IN}),
            texts=frozenset({site, LOADED}),
            units=frozenset({"nginx.service"}),
        )

    def observe(self, app: str, facts: Facts) -> Iterator[Any]:
        yield from parts.see_files(facts, (DROP_IN,))
        yield from parts.see_units(facts, ["nginx.service"])
        site = SITE.format(app)
        if config := facts.sha(site):
            upstreams = dict(_SERVER.findall(facts.texts.get(site, "")))
            yield MeshSeen(app, upstreams, config, _loaded(facts, site))

    def converge(self, want: Any, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        if isinstance(want, Mesh):
            return [_take(want, have is None or "config" in differs)]
        if isinstance(have, MeshSeen):
            return _remove(have.key)
        return parts.converge(want, have, differs) if want else ()

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        if isinstance(want, Mesh) and have is not None:
            if differs == {"loaded"}:
                return "the running nginx has not taken the file in"
            if "upstreams" in differs:
                return "other dynos to serve"
            return "its definition changed" if "loaded" in differs else "changed on the host"
        return plain_cause(want, have, differs)


def _mesh(world: World) -> Mesh:
    upstreams = {f"{world.mesh_address(s.host)}:{s.host_port}": s.key for s in world.web}
    text = render(
        "nginx.site.conf.j2",
        app=world.app,
        variable=world.app.replace("-", "_"),
        upstreams=sorted(upstreams.items()),
        names=names(world),
    )
    return Mesh(world.app, Text(text), upstreams)


def names(world: World) -> list[str]:
    """The app's domains; without any it answers to its own name and to the routers' addresses."""
    routers = world.with_role("router")
    addresses = sorted({a for h in routers for a in (h.address, h.mesh)})
    return list(world.domains) or [world.app, *addresses]


def _loaded(facts: Facts, path: str) -> str | None:
    rows = (line.split(None, 1) for line in facts.texts.get(LOADED, "").splitlines())
    return next((row[0] for row in rows if len(row) == 2 and row[1] == path), None)


def _take(want: Mesh, changed: bool) -> Step:
    path = SITE.format(want.key)
    act = Sh((f"{BIN}/mesh-take", path), want.config if changed else None)
    return Step(Stage.ROUTE, f"have nginx serve {want.key}", act)


def _remove(app: str) -> Iterator[Step]:
    yield parts.remove(SITE.format(app), Stage.ROUTE)
    yield Step(Stage.ROUTE, f"have nginx forget {app}", Sh(("systemctl", "reload-or-restart", "nginx")))
