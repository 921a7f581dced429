"""The mesh: nginx on each router, handing requests round to the app's web dynos on all hosts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deployer.model.steps import Sh, Stage, Step, Text, sha
from deployer.providers import parts
from deployer.providers.base import About, given, packaged, plain_cause, render, roles, scale
from deployer.providers.host import BIN
from deployer.providers.nginx import lua, tls
from deployer.providers.nginx.pages import pages
from deployer.providers.router import (
    CONNECTIONS,
    DEFAULT,
    MAIN,
    Shared,
    is_room_ours,
    put,
    see_shared,
    shared,
)
from deployer.spec.fleet import Host
from deployer.spec.spec import Spec
from deployer.world.facts import Facts, Probe
from deployer.world.placement import WEB
from deployer.world.world import World

SITE = "/etc/nginx/conf.d/deployer.{}.conf"
DROP_IN = "/etc/systemd/system/nginx.service.d/deployer.conf"
LOADED = "/run/deployer/nginx.loaded"
ROOM = "worker_connections"
_GIVE, _TAKE = "have the role router on", "take the role router from"
_MESH = (
    "Each router has one upstream line for each web dyno of the app on all hosts, under the app's domains. "
    "The running nginx must have taken in what the file says."
)
_SERVER = re.compile(r"^\tserver (\S+) .*; # (\S+)$", re.M)

_NAMES = re.compile(r"^\s*server_name (.+);", re.M)


@dataclass(frozen=True)
class MeshSeen:
    """`upstreams` are the server lines on disk; `loaded` is what the running nginx last took in."""

    key: str
    upstreams: Mapping[str, str]
    config: str | None
    loaded: str | None
    shared: str | None = None
    """One digest of what it last took in of the files that apps share."""
    taken: Mapping[str, str] = field(default_factory=dict)
    """Certificates and what goes with them, as the running nginx took them in: digests by path."""
    waves: int = 0
    """How often it is another one on the way there: dynos that start again leave the routers first."""


@dataclass(frozen=True)
class Mesh:
    key: str
    config: Text
    upstreams: Mapping[str, str]
    shared: str | None = None
    taken: Mapping[str, str] = field(default_factory=dict)
    before: tuple[Text, ...] = ()
    """The file in each wave of a rollout but the last."""

    def expect(self) -> MeshSeen:
        waves = sum(text.sha != self.config.sha for text in self.before)
        mine = self.config.sha
        return MeshSeen(self.key, self.upstreams, mine, mine, self.shared, self.taken, waves)


class NginxProvider:
    name = "nginx"
    base = ("file:*", "unit:*")

    def desire(self, world: World, host: Host) -> Iterator[Any]:
        if "router" not in host.roles:
            return
        yield parts.unit_file(DROP_IN, packaged("nginx/loaded.conf"))
        yield from lua.files()
        yield Shared(lua.path(), lua.common())
        if world.release:
            yield _mesh(world, host)
        # After the mesh: a file of ours that keeps nginx from starting is mended first.
        yield parts.Unit("nginx.service", stage=Stage.ROUTE)

    def probe(self, app: str) -> Probe:
        site = SITE.format(app)
        return Probe(
            files=frozenset({site, DROP_IN, f"{lua.FOLDER}/*/*", lua.COMMON.format("*")}),
            texts=frozenset({site, LOADED}),
            units=frozenset({"nginx.service"}),
        )

    def observe(self, app: str, facts: Facts) -> Iterator[Any]:
        yield from parts.see_files(facts, (DROP_IN, f"{lua.FOLDER}/"))
        yield from see_shared(facts, lua.COMMON.partition("{")[0])
        yield from parts.see_units(facts, ["nginx.service"])
        site = SITE.format(app)
        if config := facts.sha(site):
            upstreams = served(app, facts)
            loaded = _loaded(facts)
            taken = tls.still_taken(app, loaded, facts)
            yield MeshSeen(app, upstreams, config, loaded.get(site), _shared(loaded, facts), taken)

    def converge(self, want: Any, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        if isinstance(want, Mesh):
            return _take(want, have.config if have and have.config == have.loaded else None)
        if isinstance(want, Shared):
            return (put(want),)
        if isinstance(have, MeshSeen):
            return _remove(have.key)
        return parts.converge(want, have, differs) if want else ()

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        if isinstance(want, Mesh) and have is not None:
            if differs == {"shared"}:
                return "the running nginx has not taken in what apps share"
            if differs == {"taken"}:
                return "other certificates to take in"
            if differs <= {"loaded", "shared"}:
                return "the running nginx has not taken the file in"
            if "upstreams" in differs:
                return "other dynos to serve"
            if "waves" in differs:
                return "dynos start again"
            return "its definition changed" if "loaded" in differs else "changed on the host"
        return plain_cause(want, have, differs)

    def about(self, spec: Spec, host: Host, key: str) -> About:
        if key.startswith(("file:", "unit:")):
            return parts.about(spec, host, key, "nginx runs on every host with the role router.")
        asks = (*given(spec, "domains"), *scale(spec, WEB), roles(spec, host))
        keep, drop = (f"{what} {host.name}, in fleet.json" for what in (_GIVE, _TAKE))
        return About(asks, (SITE.format(key), "nginx.service", LOADED), _MESH, keep, drop)


def served(app: str, facts: Facts) -> Mapping[str, str]:
    """What a router leads to as it stands: `address:port` to keys of dynos; empty where the app is not."""
    return dict(_SERVER.findall(facts.texts.get(SITE.format(app), "")))


def _mesh(world: World, host: Host) -> Mesh:
    upstreams = world.rollout.routes
    before = tuple(_site(world, host, wave.routes) for wave in world.rollout.waves[:-1])
    facts = world.facts[host.name]
    texts = {**shared(world, host), lua.path(): lua.common()}
    common = {ROOM: str(CONNECTIONS)} | {path: config.sha for path, config in texts.items()}
    taken = tls.taken(world, host, names(world))
    return Mesh(world.app, _site(world, host, upstreams), upstreams, _shared(common, facts), taken, before)


def _site(world: World, host: Host, upstreams: Mapping[str, str]) -> Text:
    servers = tls.servers(world, names(world))
    return render(
        "nginx/site.conf.j2",
        app=world.app,
        variable=world.app.replace("-", "_"),
        common=lua.word(),
        upstreams=tuple(sorted(upstreams.items())),
        servers=servers,
        tls=world.tls,
        tls_wanted=any(server.label for server in servers),
        exchange=tls.PORT if any(server.part for server in servers) else 0,
        peers=tuple(h.mesh for h in world.with_role("router") if h.name != host.name),
        old=tls.is_old(world.facts[host.name]),
        maintenance=world.platform.maintenance,
        routing=world.routing,
        **{f"{kind}_page": page for kind, page in pages(world.config or {}).items()},
        lua=lua.module,
    )


def names(world: World) -> list[str]:
    """The app's domains; without any it answers to its own name and to the routers' addresses."""
    own = own_names(world.app, world.with_role("router"), world.claims.virtual_address)
    return list(world.domains) or own


def own_names(app: str, routers: Iterable[Host], virtual_address: str) -> list[str]:
    addresses = sorted({a for host in routers for a in (host.address, host.mesh)})
    return [app, *addresses, *((virtual_address,) if virtual_address else ())]


def answered(app: str, facts: Facts) -> frozenset[str]:
    """The names under which the running nginx of a host has the app."""
    site = SITE.format(app)
    if _loaded(facts).get(site) is None or _loaded(facts).get(site) != facts.sha(site):
        return frozenset()
    lines = _NAMES.findall(facts.texts.get(site, ""))
    return frozenset(name for line in lines for name in line.split())


def _loaded(facts: Facts) -> dict[str, str]:
    """By path, the digest of what the running nginx has taken in; by its word, how many connections."""
    rows = [line.split(None, 1) for line in facts.texts.get(LOADED, "").splitlines()]
    pairs = [(row[0], row[1]) for row in rows if len(row) == 2]
    room = {word: n.split(";")[0] for word, n in pairs if word == ROOM}
    return {path: digest for digest, path in pairs} | room


def _shared(taken: Mapping[str, str], facts: Facts) -> str | None:
    names = (DEFAULT, MAIN, lua.path(), *((ROOM,) if is_room_ours(facts) else ()))
    lines = [f"{taken[name]}  {name}" for name in names if name in taken]
    return sha("\n".join(lines)) if lines else None


def _take(want: Mesh, loaded: str | None) -> Iterator[Step]:
    """One reload for each wave that changes something; `loaded` is what both the file and nginx hold now."""
    path, last = SITE.format(want.key), len(want.before)
    for wave, config in enumerate((*want.before, want.config)):
        if config.sha != loaded or wave == last:
            argv, is_other = (f"{BIN}/mesh-take", path), config.sha != loaded
            act = Sh(argv, config, file=path) if is_other else Sh(argv)
            yield Step(Stage.ROUTE, f"have nginx serve {want.key}", act, wave=wave)
        loaded = config.sha


def _remove(app: str) -> Iterator[Step]:
    yield parts.remove(SITE.format(app), Stage.ROUTE)
    yield Step(Stage.ROUTE, f"have nginx forget {app}", Sh(("systemctl", "reload-or-restart", "nginx")))
