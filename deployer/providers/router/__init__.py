"""What the apps of a router share: who answers for unknown hosts, and how much nginx has room for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.model.steps import Put, Sh, Stage, Step, Text
from deployer.providers import parts
from deployer.providers.base import About, given, plain_cause, render, roles
from deployer.providers.host import BIN
from deployer.spec.fleet import Host
from deployer.spec.spec import Spec
from deployer.world import claims
from deployer.world.facts import Facts, Probe
from deployer.world.world import Claims, World

DEFAULT = "/etc/nginx/conf.d/deployer.conf"
MAIN = "/etc/nginx/modules-enabled/deployer.conf"
"""Debian's nginx.conf includes this folder outside of `http`."""
NOBODY = "deployer.invalid"
"""A name that no app can have (RFC 2606): whoever asks for it is answered by the router itself."""
STOCK = "/etc/nginx/sites-enabled/default"
SHIPPED = frozenset({"ce0901350a021608139b5639cf4ccd7717bef8c3a9e4f79031eb46386b67b03f"})
"""What Debian has there: 12. Only such a file makes way."""
LINGER = "1h"
"""For so long old worker processes may go on: a reload leaves those that have websockets."""
ROOM = {
    "server_names_hash_bucket_size": "128",
    "server_names_hash_max_size": "16384",
    "variables_hash_bucket_size": "128",
    "variables_hash_max_size": "65536",
}
"""For the names of a thousand apps; nginx says so at each check when there is less than it wants."""
NGINX = "/etc/nginx/nginx.conf"
CONNECTIONS = 8192
"""Of each worker process, in place of Debian's number: a request takes two."""
STOCK_CONNECTIONS = 768
_CONNECTIONS = r"^\s*worker_connections\s+(\d+);"
_MAIN = {"pcre_jit": "on", "worker_rlimit_nofile": "16384", "worker_shutdown_timeout": LINGER}
_THEIRS = ("/etc/nginx/nginx.conf", "/etc/nginx/conf.d/*.conf", "/etc/nginx/sites-enabled/*")
_LISTENS = r"^\s*listen\s+(?:(?:\*:|0\.0\.0\.0:)?80\s+)?(?:[a-z][a-z0-9_=]*\s+)*default_server\b"
_SETS = rf"^\s*(?:{'|'.join((*ROOM, *_MAIN))})\s"
_CLAIMS = (
    "Apps that share routers are told of each other's domains, and what a port or address is to do for all."
)
_RULE = (
    "Who asks a router for a host that no app has gets 404, and no app's log tells of it. "
    "nginx has room for many apps, and old worker processes end within an hour."
)


@dataclass(frozen=True)
class ClaimsSeen:
    """What other apps are told of this one."""

    key: str
    app: str
    domains: tuple[str, ...]
    virtual_address: str
    proxy_protocol: tuple[str, ...]


@dataclass(frozen=True)
class ClaimsWanted:
    app: str
    claims: Claims
    key: str = "claims"

    def expect(self) -> ClaimsSeen:
        claim = self.claims
        return ClaimsSeen(self.key, self.app, claim.domains, claim.virtual_address, claim.proxy_protocol)


@dataclass(frozen=True)
class SharedSeen:
    """`stock` is whether Debian's own default site stands in the way."""

    key: str
    config: str
    stock: bool


@dataclass(frozen=True)
class RoomSeen:
    connections: int
    key: str = "connections"


@dataclass(frozen=True)
class Room:
    """For so many connections of a worker process, unless the user has a number of his own."""

    key: str = "connections"

    def expect(self) -> RoomSeen:
        return RoomSeen(CONNECTIONS)


@dataclass(frozen=True)
class Shared:
    path: str
    config: Text

    @property
    def key(self) -> str:
        return f"file:{self.path}"

    def expect(self) -> SharedSeen:
        return SharedSeen(self.key, self.config.sha, False)


class RouterProvider:
    name = "router"
    base = ("file:*", Room.key)

    def desire(self, world: World, host: Host) -> Iterator[Any]:
        if "router" in host.roles and world.release:
            yield ClaimsWanted(world.app, world.claims)
        for path, config in shared(world, host).items():
            yield Shared(path, config)
        if "router" in host.roles and is_room_ours(world.facts[host.name]):
            yield Room()

    def probe(self, app: str) -> Probe:
        lines = {(path, fits) for path in _THEIRS for fits in (_LISTENS, _SETS)} | {(NGINX, _CONNECTIONS)}
        texts = frozenset({claims.path("*")})
        return Probe(files=frozenset({DEFAULT, MAIN, STOCK, NGINX}), texts=texts, lines=frozenset(lines))

    def observe(self, app: str, facts: Facts) -> Iterator[Any]:
        if claims.path(app) in facts.texts:
            yield ClaimsWanted(app, claims.read(facts.document(claims.path(app)))).expect()
        for path in (MAIN, DEFAULT):
            if config := facts.sha(path):
                yield SharedSeen(f"file:{path}", config, path == DEFAULT and facts.sha(STOCK) in SHIPPED)
        if (number := _connections(facts)) and is_room_ours(facts):
            yield RoomSeen(number)

    def converge(self, want: Any, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        """Apps share these files, so no app's plan removes them; what an app claims goes with it."""
        if isinstance(want, ClaimsWanted):
            text = Text(json.dumps(want.claims.as_dict(), indent=1) + "\n")
            yield Step(Stage.PREPARE, "tell other apps", Put(claims.path(want.app), text))
        elif isinstance(have, ClaimsSeen):
            yield parts.remove(claims.path(have.app), Stage.RETIRE)
        elif isinstance(want, Room):
            yield _make_room()
        elif want:
            yield put(want)

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        if differs == {"stock"}:
            return "Debian's own default site is in the way"
        return plain_cause(want, have, differs)

    def about(self, spec: Spec, host: Host, key: str) -> About:
        drop = f"take the role router from {host.name}, in fleet.json"
        if key == "claims":
            asks = (*given(spec, "domains", "domain", "virtual_address", "routing"), roles(spec, host))
            return About(asks, (claims.path(spec.fleet.app),), _CLAIMS, drop=drop)
        asks = (*given(spec, "routing"), roles(spec, host))
        place = NGINX if key == Room.key else key.removeprefix("file:")
        return About(asks, (place,), _RULE, drop=drop)


def see_shared(facts: Facts, prefix: str) -> Iterator[SharedSeen]:
    """Files of ours under `prefix` that stand in nobody's way."""
    for path in sorted(path for path in facts.files if path.startswith(prefix)):
        yield SharedSeen(f"file:{path}", facts.files[path].sha, False)


def put(want: Shared) -> Step:
    """Checked by nginx, with nothing of Debian's own in its way."""
    argv = (f"{BIN}/mesh-put", want.path, *sorted(SHIPPED))
    return Step(Stage.ROUTE, f"write {want.path}", Sh(argv, want.config, file=want.path))


def _make_room() -> Step:
    """nginx takes it in with the app's file."""
    edit = f"s/^([[:space:]]*worker_connections[[:space:]]+){STOCK_CONNECTIONS};/\\1{CONNECTIONS};/"
    say = f"give nginx room for {CONNECTIONS} connections"
    return Step(Stage.ROUTE, say, Sh(("sed", "-E", "-i", "--follow-symlinks", edit, NGINX)))


def is_room_ours(facts: Facts) -> bool:
    """Whether the number is Debian's or ours, or nginx is not there yet."""
    return not facts.sha(NGINX) or _connections(facts) in (STOCK_CONNECTIONS, CONNECTIONS)


def _connections(facts: Facts) -> int | None:
    found = (re.search(_CONNECTIONS, line) for line in facts.lines.get(NGINX, ()))
    return next((int(line[1]) for line in found if line), None)


def shared(world: World, host: Host) -> Mapping[str, Text]:
    """The files by path; none on a host that is no router."""
    if "router" not in host.roles:
        return {}
    facts = world.facts[host.name]
    taken = {line.split()[0] for _, line in _theirs(facts, _SETS)}
    main, room = (
        tuple(sorted((n, v) for n, v in given.items() if n not in taken)) for given in (_MAIN, ROOM)
    )
    default = render(
        "router/default.conf.j2",
        settings=room,
        proxies=proxies(world, host),
        is_default=not defaults(facts),
        name=NOBODY,
    )
    return {MAIN: render("router/main.conf.j2", settings=main), DEFAULT: default}


def proxies(world: World, host: Host) -> tuple[str, ...]:
    """Networks whose PROXY headers count: a port is one for all apps, so what one of them asks for holds."""
    others = claims.others(world.app, world.facts[host.name]).values()
    return tuple(sorted({range_ for claim in (world.claims, *others) for range_ in claim.proxy_protocol}))


def defaults(facts: Facts) -> tuple[str, ...]:
    """The user's own files that answer for unknown hosts on port 80."""
    stock = {STOCK} if facts.sha(STOCK) in SHIPPED else set()
    return tuple(sorted({path for path, _ in _theirs(facts, _LISTENS)} - stock))


def _theirs(facts: Facts, fits: str) -> Iterator[tuple[str, str]]:
    """`(path, line)` of each fitting line that is not of ours."""
    ours = "/etc/nginx/conf.d/deployer."
    found = ((path, line) for path in sorted(facts.lines) for line in facts.lines[path])
    return ((path, line) for path, line in found if not path.startswith(ours) and re.search(fits, line))
