"""Certificates as PEM: which names they cover, until when, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

from deployer.problems import Problem
from deployer.spec.platform import Certificate, Platform
from deployer.spec.spec import Spec
from deployer.world.world import World

if TYPE_CHECKING:
    from cryptography import x509

SOON = timedelta(days=30)
"""What expires in less is worth a warning."""
_BEGIN = "-----BEGIN CERTIFICATE-----"
_ISSUERS = "The CA gives both as one file, often called fullchain.pem."


@dataclass(frozen=True)
class Described:
    """What a certificate says of itself; `names` are in its order, in lower case."""

    names: tuple[str, ...]
    issuer: str
    begins: datetime
    expires: datetime

    def covers(self, name: str) -> bool:
        """RFC 6125, 6.4.3: a star stands for one label. `*.example.com` is covered by itself."""
        wide = f"*.{name.partition('.')[2]}"
        return name in self.names or (wide in self.names and not name.startswith("*"))


@cache
def described(chain: str) -> Described | None:
    """The first certificate of a text; None for a text that holds none."""
    try:
        leaf = _parsed(chain)[0]
    except (ValueError, IndexError):
        return None
    issuer = leaf.issuer.rfc4514_string()
    return Described(_names(leaf), issuer, leaf.not_valid_before_utc, leaf.not_valid_after_utc)


def named(chain: str) -> str:
    """What to call a certificate: its first name, fit for a file; empty where it has none."""
    found = described(chain)
    return found.names[0].replace("*", "any") if found and found.names else ""


def notes(pairs: Iterable[tuple[str, Certificate]], now: datetime) -> Iterator[str]:
    """A line for each certificate that soon no browser takes."""
    for name, pair in pairs:
        found = described(pair.chain)
        if found and found.expires - now < SOON:
            left = max((found.expires - now).days, 0)
            when = "has expired" if found.expires <= now else f"expires in {left} days"
            yield f"The certificate {name} {when}. Next: deploy certs add CHAIN.pem KEY.pem"


def objections(pair: Certificate, domains: Iterable[str], now: datetime) -> Iterator[Problem]:
    """Everything for which a browser, or nginx, would turn this certificate down under these names."""
    try:
        chain = _parsed(pair.chain)
    except ValueError as error:
        hint = "write it as PEM; openssl x509 -inform der -in FILE makes that of DER"
        yield Problem("the certificate cannot be read", detail=str(error), hint=hint)
        return
    if not chain:
        yield Problem(
            "there is no certificate in the file", hint=f"it has to begin with {_BEGIN}. {_ISSUERS}"
        )
        return
    yield from _order(chain)
    yield from _dates(chain[0], now)
    yield from _coverage(_names(chain[0]), tuple(domains))
    yield from _key(chain, pair.key)


def _parsed(chain: str) -> list[x509.Certificate]:
    from cryptography import x509

    return x509.load_pem_x509_certificates(chain.encode()) if _BEGIN in chain else []


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    from cryptography import x509

    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.lower() for name in names.get_values_for_type(x509.DNSName))


def _subject(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string()


def _order(chain: list[x509.Certificate]) -> Iterator[Problem]:
    """Each certificate must have signed the one before it; the root may be left out."""
    for below, above in zip(chain, chain[1:], strict=False):
        if not _signed(below, above):
            summary = f"the chain is out of order: {_subject(above)} has not signed {_subject(below)}"
            hint = "put the app's certificate first, then the one that signed it, and so on"
            yield Problem(summary, hint=hint)
            return
    if len(chain) == 1 and chain[0].issuer != chain[0].subject and _is_fetched(chain[0]):
        summary = f"the chain is incomplete: the certificate of {chain[0].issuer.rfc4514_string()} is missing"
        yield Problem(summary, hint=f"append it to the file. {_ISSUERS}")


def _signed(below: x509.Certificate, above: x509.Certificate) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        below.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_fetched(leaf: x509.Certificate) -> bool:
    """Whether it says where its issuer's certificate is: those of public CAs do, and none is a root's."""
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID

    try:
        access = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return False
    return any(row.access_method == AuthorityInformationAccessOID.CA_ISSUERS for row in access)


def _dates(leaf: x509.Certificate, now: datetime) -> Iterator[Problem]:
    if leaf.not_valid_after_utc <= now:
        when = leaf.not_valid_after_utc.date()
        yield Problem(f"the certificate expired on {when}", hint="get a new one from its CA")
    if leaf.not_valid_before_utc > now:
        summary = f"the certificate is not valid before {leaf.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        yield Problem(summary, hint="wait until then, or put this machine's clock right")


def _coverage(names: tuple[str, ...], domains: tuple[str, ...]) -> Iterator[Problem]:
    found = Described(names, "", datetime.min, datetime.min)
    if not any(found.covers(domain) for domain in domains):
        has, theirs = ", ".join(names) or "nothing", ", ".join(domains) or "none"
        summary = f"the certificate covers none of the app's domains: it is for {has}"
        hint = f"the app's domains are {theirs}; add one with deploy domains add, or get another certificate"
        yield Problem(summary, hint=hint)


def _key(chain: list[x509.Certificate], key: str) -> Iterator[Problem]:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        private = load_pem_private_key(key.encode(), None)
    except TypeError:
        yield Problem(
            "the private key is encrypted",
            hint="routers start alone: openssl pkey -in KEY.pem -out PLAIN.pem",
        )
        return
    except (ValueError, UnsupportedAlgorithm):
        yield Problem("there is no private key in the file", hint="it has to be PEM: BEGIN PRIVATE KEY")
        return
    theirs = [n for n, row in enumerate(chain) if row.public_key() == private.public_key()]
    if theirs and theirs != [0]:
        hint = "put the app's certificate first, then those that signed it"
        yield Problem("the chain is out of order: the key's certificate is not the first", hint=hint)
    elif not theirs:
        summary = f"the private key is not that of the certificate for {', '.join(_names(chain[0]))}"
        yield Problem(summary, hint="name the key that the certificate was asked for with")


def own(spec: Spec, settings: Platform) -> dict[str, Certificate]:
    """By name: those of the files, and those that commands have added beside them."""
    declared: dict[str, Certificate] = {}
    for index, pair in enumerate(spec.certificates):
        name = named(pair.chain) or "certificate"
        declared[name if name not in declared else f"{name}-{index + 1}"] = pair
    return dict(sorted({**settings.certificates, **declared}.items()))


def unfit(spec: Spec, domains: Iterable[str], now: datetime) -> tuple[Problem, ...]:
    """What is wrong with the certificates that fleet.json names."""
    names = tuple(domains)
    return tuple(
        replace(problem, where=spec.where("fleet.json", f"/certificates/{index}"))
        for index, pair in enumerate(spec.certificates)
        for problem in objections(pair, names, now)
    )


def secured(world: World, spec: Spec, now: str) -> World:
    """With what it takes to serve the app over TLS."""
    declared = own(spec, world.platform)
    return replace(world, tls=spec.fleet.tls, acme_roots=spec.acme_roots, certificates=declared, now=now)


def clock(now: str) -> datetime:
    """An ISO 8601 time as the World has it."""
    return datetime.fromisoformat(now).astimezone(UTC)
