"""Which names of an app are served with which certificate: what the routers' files and certificates share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deployer.model.diff import Sealed
from deployer.model.steps import Text
from deployer.providers.base import render
from deployer.providers.router import proxies
from deployer.spec.fleet import Host
from deployer.spec.platform import Certificate
from deployer.world import certificates
from deployer.world.facts import Facts
from deployer.world.releases import APPS
from deployer.world.world import World

DEFAULT = "/etc/nginx/conf.d/deployer_tls.conf"
"""No app has a name with an underscore."""
PORT = 20517
"""Where routers ask each other for challenges and for certificates, the latter encrypted."""
_DOMAIN = re.compile(r"([a-z0-9_-]+\.)+[a-z][a-z0-9-]*")


@dataclass(frozen=True)
class Server:
    """Names that one certificate is for. `part` is what is added once it is there, `label` its name here."""

    names: tuple[str, ...]
    label: str = ""
    pem: str = ""
    part: str = ""
    fits: tuple[str, ...] = ()
    """Labels of all certificates that cover these names, its own first."""


def pem(app: str, name: str) -> str:
    """A certificate of the user's own: the chain, then the private key."""
    return f"{APPS}/{app}/certificates/{name}.pem"


def automatic(app: str, domain: str, kind: str) -> str:
    """What `certify` has made: `pem`, the `conf` that has nginx serve it, and `json`, how it went."""
    return f"{APPS}/{app}/certificates/automatic/{domain}.{kind}"


def text(pair: Certificate) -> Text:
    """Both in one file, so that nginx never has one without the other."""
    return Text(pair.chain + pair.key, secret=True)


def servers(world: World, names: Iterable[str]) -> tuple[Server, ...]:
    """Each name once, with the user's own certificate before an automatic one, or with none."""
    chosen = {name: _own(world, name) for name in names}
    wanted = automatics(world, chosen)
    own = [n for n in world.certificates if n in chosen.values()]
    bare = tuple(n for n, certificate in chosen.items() if not certificate and n not in wanted)
    rows = [(tuple(n for n in chosen if chosen[n] == name), name) for name in own]
    return (
        *((Server(bare),) if bare else ()),
        *(Server(held, name, pem(world.app, name), fits=_fits(world, name, held)) for held, name in rows),
        *(_automatic(world, domain) for domain in wanted),
    )


def automatics(world: World, names: Iterable[str]) -> tuple[str, ...]:
    """Names that a CA is asked for: no wildcards, and nothing that is no domain."""
    if world.tls.acme is None:
        return ()
    return tuple(n for n in dict.fromkeys(names) if _DOMAIN.fullmatch(n) and not _own(world, n))


def taken(world: World, host: Host, names: Iterable[str]) -> dict[str, str]:
    """What the running nginx must have taken in beside the app's file: digests by path."""
    facts = world.facts[host.name]
    own = {pem(world.app, name): text(pair).sha for name, pair in world.certificates.items()}
    made = {path: facts.sha(path) for path in _made(world.app, automatics(world, names))}
    common = {path: config.sha for path, config in shared(world, host).items()}
    return {path: Sealed(digest) for path, digest in (own | made | common).items() if digest}


def still_taken(app: str, loaded: Mapping[str, str], facts: Facts) -> dict[str, str]:
    """Of what nginx has taken in, that which `taken` is about and which is still there."""
    ours = (DEFAULT, f"{APPS}/{app}/certificates/")
    return {p: Sealed(d) for p, d in loaded.items() if p in facts.files and p.startswith(ours)}


def is_wanted(world: World) -> bool:
    """Whether the app is served over TLS at all."""
    return bool(world.certificates or world.tls.acme)


def shared(world: World, host: Host) -> Mapping[str, Text]:
    """By path, who answers handshakes for names that no app has a certificate for.

    Once it is there each app keeps it right, with TLS or without: what the ports of a router expect is one
    thing for all of them.
    """
    facts = world.facts[host.name]
    if "router" not in host.roles or not (is_wanted(world) or facts.sha(DEFAULT)):
        return {}
    return {DEFAULT: render("nginx/tls.conf.j2", old=is_old(facts), proxies=proxies(world, host))}


def part(world: World, host: Host, domain: str) -> Text:
    """What a domain's server gets once it has an automatic certificate."""
    return render(
        "nginx/certified.conf.j2",
        pem=automatic(world.app, domain, "pem"),
        variable=world.app.replace("-", "_"),
        tls=world.tls,
        old=is_old(world.facts[host.name]),
    )


def is_old(facts: Facts) -> bool:
    """Whether this Debian's nginx takes HTTP/2 as a word of `listen`, as before 1.25.1."""
    return facts.codename in ("bullseye", "bookworm", "")


def _own(world: World, name: str) -> str:
    """The certificate with just this name before a wildcard, then the one that lasts longest."""
    found = {n: certificates.described(pair.chain) for n, pair in world.certificates.items()}
    rows = [(name in d.names, d.expires, n) for n, d in found.items() if d and d.covers(name)]
    return max(rows)[2] if rows else ""


def _fits(world: World, label: str, names: tuple[str, ...]) -> tuple[str, ...]:
    found = {n: certificates.described(pair.chain) for n, pair in world.certificates.items()}
    others = [n for n, d in found.items() if d and n != label and all(map(d.covers, names))]
    return (label, *others)


def _automatic(world: World, domain: str) -> Server:
    # as a pattern it may match nothing: then there is no certificate yet
    conf = automatic(world.app, domain, "con[f]")
    return Server((domain,), f"automatic/{domain}", part=conf, fits=(f"automatic/{domain}",))


def _made(app: str, domains: Iterable[str]) -> list[str]:
    return [automatic(app, domain, kind) for domain in domains for kind in ("pem", "conf")]
