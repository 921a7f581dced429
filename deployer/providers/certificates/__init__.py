"""Certificates on routers: the user's own, and those that the routers get and renew by themselves (ACME)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from deployer.model.diff import KEPT, Kept, Sealed
from deployer.model.steps import Put, Sh, Stage, Step, Text
from deployer.providers import parts
from deployer.providers.base import About, given, plain_cause, render, roles
from deployer.providers.host import BIN
from deployer.providers.nginx import names, tls
from deployer.providers.router import Shared, SharedSeen, put
from deployer.spec.fleet import Host
from deployer.spec.platform import Certificate
from deployer.spec.spec import Spec
from deployer.world.certificates import Described, clock, described
from deployer.world.facts import Facts, Probe
from deployer.world.releases import APPS
from deployer.world.world import World

SETTINGS = APPS + "/{}/acme.json"
UNIT = "/etc/systemd/system/deployer.certificates@.{}"
TIMER, SERVICE = "deployer.certificates@{}.timer", "deployer.certificates@{}.service"
CLIENT = "acme-tiny"
LEAST = timedelta(days=14)
"""What an automatic certificate must last at least: it is renewed long before that."""
AUTOMATIC = "automatic:"
_OWN = "Every router holds the app's certificates, and nginx serves each under the domains it covers."
_ACME = (
    "Every router holds one certificate for each domain that none of your own covers. The routers get "
    "it from the CA and renew it by themselves, so that what is there need only be valid for some time."
)


@dataclass(frozen=True)
class PairSeen:
    """`content` is the digest of the chain and the key together; the rest is for the reader of a plan."""

    key: str
    app: str
    domains: str
    issuer: str
    expires: str
    content: str
    mode: str


@dataclass(frozen=True)
class Pair:
    app: str
    key: str
    pair: Certificate

    def expect(self) -> PairSeen:
        return _pair_seen(self.app, self.key, tls.text(self.pair), 0o600)


@dataclass(frozen=True)
class AutomaticSeen:
    """`part` is the digest of what has nginx serve it."""

    key: str
    app: str
    expires: str | Kept | None
    part: str | None


@dataclass(frozen=True)
class Automatic:
    app: str
    domain: str
    part: Text
    lasts: bool
    """Whether what the router holds will do for a while."""
    said: str
    """What the CA said last, if it gave none."""

    @property
    def key(self) -> str:
        return f"{AUTOMATIC}{self.domain}"

    def expect(self) -> AutomaticSeen:
        expires = KEPT if self.lasts else f"in more than {LEAST.days} days"
        return AutomaticSeen(self.key, self.app, expires, self.part.sha)


class CertificatesProvider:
    name = "certificates"
    base = ("package:*", "file:/etc/*")

    def desire(self, world: World, host: Host) -> Iterator[Any]:
        yield from (Shared(path, config) for path, config in tls.shared(world, host).items())
        if "router" not in host.roles or world.release is None or not tls.is_wanted(world):
            return
        yield from (Pair(world.app, name, pair) for name, pair in world.certificates.items())
        if domains := tls.automatics(world, names(world)):
            yield from _agent(world, host, domains)

    def probe(self, app: str) -> Probe:
        units = {UNIT.format(kind) for kind in ("service", "timer")}
        made = {tls.automatic(app, "*", kind) for kind in ("pem", "conf")}
        pems = {tls.pem(app, "*"), tls.automatic(app, "*", "pem")}
        return Probe(
            files=frozenset({tls.DEFAULT, SETTINGS.format(app), *units, *made, *pems}),
            texts=frozenset({tls.automatic(app, "*", "json")}),
            private=frozenset(pems),
            units=frozenset({TIMER.format(app)}),
            packages=frozenset({CLIENT}),
        )

    def observe(self, app: str, facts: Facts) -> Iterator[Any]:
        yield from parts.see_packages(facts, facts.packages.keys() & {CLIENT})
        yield from parts.see_files(facts, (SETTINGS.format(app), UNIT.partition("@")[0]))
        if config := facts.sha(tls.DEFAULT):
            yield SharedSeen(f"file:{tls.DEFAULT}", config, False)
        timers = parts.see_units(facts, [TIMER.format(app)])
        yield from (unit for unit in timers if unit.active or unit.enabled)
        yield from seen(app, facts)

    def converge(self, want: Any, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        match want, have:
            case Pair(), _:
                both = Put(tls.pem(want.app, want.key), tls.text(want.pair), 0o600)
                return [Step(Stage.PREPARE, f"write the certificate {want.key}", both)]
            case Automatic(), _:
                return [_certify(want.app)]
            case Shared(), _:
                return [put(want)]
            case None, PairSeen():
                return [parts.remove(tls.pem(have.app, have.key), Stage.RETIRE)]
            case None, AutomaticSeen():
                return list(_forget(have))
            case None, parts.UnitSeen():
                return list(_stop(have.key.removeprefix("unit:")))
            case None, _ if not have.key.startswith(f"file:{APPS}/"):
                return ()  # apps share it
        return parts.converge(want, have, differs)

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        if isinstance(want, Automatic):
            soon = "it expires soon" if "expires" in differs else "it is to be served otherwise"
            return want.said or ("no certificate yet" if have is None else soon)
        if isinstance(want, Pair) and have is not None:
            return "another certificate" if differs & {"content"} else "changed on the host"
        return "of your own" if isinstance(want, Pair) else plain_cause(want, have, differs)

    def about(self, spec: Spec, host: Host, key: str) -> About:
        if key.startswith(("file:", "unit:", "package:")):
            return parts.about(spec, host, key, _ACME)
        automatic = key.startswith(AUTOMATIC)
        asks = (*given(spec, "tls" if automatic else "certificates", "domains"), roles(spec, host))
        app, domain = spec.fleet.app, key.removeprefix(AUTOMATIC)
        place = tls.automatic(app, domain, "pem") if automatic else tls.pem(app, key)
        drop = "take `acme` out of `tls` in fleet.json" if automatic else f"deploy certs remove {key}"
        return About(asks, (place,), _ACME if automatic else _OWN, drop=drop)


def seen(app: str, facts: Facts) -> Iterator[PairSeen | AutomaticSeen]:
    """The certificates of both kinds that a router holds."""
    own, made = (path.rpartition("/")[0] for path in (tls.pem(app, ""), tls.automatic(app, "", "pem")))
    for path, text in sorted(facts.private.items()):
        folder, _, name = path.removesuffix(".pem").rpartition("/")
        if folder == made:
            part = facts.sha(tls.automatic(app, name, "conf"))
            yield AutomaticSeen(f"{AUTOMATIC}{name}", app, _day(described(text)), part)
        elif folder == own:
            yield _pair_seen(app, name, Text(text, secret=True), facts.files[path].mode)


def last_words(app: str, domain: str, facts: Facts) -> str:
    """Why there is no certificate, as the CA said it."""
    return str(facts.document(tls.automatic(app, domain, "json")).get("said", ""))


def _agent(world: World, host: Host, domains: tuple[str, ...]) -> Iterator[Any]:
    """What gets and renews certificates, and what it must have got."""
    yield parts.Package(CLIENT)
    for kind in ("service", "timer"):
        yield parts.unit_file(UNIT.format(kind), render(f"certificates/{kind}.j2"))
    yield parts.File(SETTINGS.format(world.app), _settings(world, host, domains), 0o600)
    yield from (_automatic(world, host, domain) for domain in domains)
    yield parts.Unit(TIMER.format(world.app), stage=Stage.RETIRE)


def _settings(world: World, host: Host, domains: tuple[str, ...]) -> Text:
    """What `certify` reads. The order of the routers is that in which they ask the CA."""
    acme = world.tls.acme
    document = {
        "self": host.name,
        "routers": {h.name: h.mesh for h in world.with_role("router")},
        "port": tls.PORT,
        "directory": acme.directory if acme else "",
        "email": acme.email if acme else None,
        "roots": world.acme_roots,
        "domains": {domain: tls.part(world, host, domain).content for domain in domains},
    }
    return Text(json.dumps(document, indent=1) + "\n")


def _automatic(world: World, host: Host, domain: str) -> Automatic:
    facts = world.facts[host.name]
    found = described(facts.private.get(tls.automatic(world.app, domain, "pem"), ""))
    lasts = found is not None and found.covers(domain) and found.expires - clock(world.now) > _least(found)
    said = last_words(world.app, domain, facts)
    return Automatic(world.app, domain, tls.part(world, host, domain), lasts, said)


def _least(found: Described) -> timedelta:
    """Those that are short-lived from the start may be nearer to their end."""
    return min(LEAST, (found.expires - found.begins) / 6)


def _pair_seen(app: str, name: str, text: Text, mode: int) -> PairSeen:
    found = described(text.content)
    domains, issuer = (", ".join(found.names), found.issuer) if found else ("", "")
    return PairSeen(name, app, domains, issuer, _day(found) or "", Sealed(text.sha), f"{mode:04o}")


def _day(found: Described | None) -> str | None:
    return str(found.expires.date()) if found else None


def _certify(app: str) -> Step:
    act = Sh((f"{BIN}/certify", app), timeout=1200)
    return Step(Stage.RETIRE, "get certificates from the CA", act, once=True, live=True)


def _forget(have: AutomaticSeen) -> Iterator[Step]:
    domain = have.key.removeprefix(AUTOMATIC)
    for kind in ("conf", "pem", "json"):
        yield parts.remove(tls.automatic(have.app, domain, kind), Stage.RETIRE)


def _stop(timer: str) -> Iterator[Step]:
    """The timer, then what it may have started: a run that goes on would write what is removed."""
    app = timer.partition("@")[2].removesuffix(".timer")
    service = SERVICE.format(app)
    yield parts.systemctl("disable", "--now", timer, stage=Stage.RETIRE, say=f"stop {timer}")
    yield parts.systemctl("stop", service, stage=Stage.RETIRE, say=f"stop {service}")
    for folder in (f"{APPS}/{app}/certificates/automatic", f"/run/deployer/acme/{app}"):
        yield parts.remove(folder, Stage.RETIRE)
