"""What commands put on the platform beside the files: on every host of the app, and part of no release.

The hosts are the only state. Where they differ the document with the highest serial is true.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from deployer.model.steps import Text


@dataclass(frozen=True)
class Certificate:
    """PEM: the certificate with its chain, and its private key."""

    chain: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Platform:
    """What no file says. `drains` are URLs, which may hold passwords; `certificates` are by name."""

    serial: int = 0
    """Counts the edits; 0 where there never was one."""
    maintenance: bool = False
    domains: tuple[str, ...] = ()
    drains: tuple[str, ...] = field(default=(), repr=False)
    certificates: Mapping[str, Certificate] = field(default_factory=dict)

    def text(self) -> Text:
        document = {
            "serial": self.serial,
            "maintenance": self.maintenance,
            "domains": list(self.domains),
            "drains": list(self.drains),
            "certificates": {
                name: {"chain": c.chain, "key": c.key} for name, c in sorted(self.certificates.items())
            },
        }
        return Text(json.dumps(document, indent=1) + "\n", secret=True)


Edit = Callable[[Platform], Platform]
"""What a command asks for; asked again of its own result it changes nothing."""


def read(text: str) -> Platform:
    """The inverse of `Platform.text`. Raises ValueError, KeyError or TypeError for what it never wrote."""
    found = json.loads(text)
    return Platform(
        serial=found["serial"],
        maintenance=found["maintenance"],
        domains=tuple(found["domains"]),
        drains=tuple(found["drains"]),
        certificates={name: Certificate(**pair) for name, pair in found["certificates"].items()},
    )


def legible(text: str | None) -> Platform | None:
    """None for a file that is not there, or that somebody has damaged: the other hosts still have it."""
    try:
        return read(text) if text else None
    except (ValueError, KeyError, TypeError):
        return None


def edited(before: Platform, edit: Edit) -> Platform:
    """The next document, or the same where the edit changes nothing."""
    after = edit(before)
    return before if after == before else replace(after, serial=before.serial + 1)


def with_maintenance(on: bool) -> Edit:
    return lambda before: replace(before, maintenance=on)


def with_domains(add: Iterable[str] = (), remove: Iterable[str] = ()) -> Edit:
    """More or fewer names of the app, in order."""
    return lambda before: replace(before, domains=_among(before.domains, add, remove))


def with_drains(add: Iterable[str] = (), remove: Iterable[str] = ()) -> Edit:
    """More or fewer drains, by URL, in order."""
    return lambda before: replace(before, drains=_among(before.drains, add, remove))


def _among(before: Iterable[str], add: Iterable[str], remove: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(({*before} | {*add}) - {*remove}))


def with_certificate(name: str, pair: Certificate | None) -> Edit:
    """Another certificate of this name, or none."""

    def edit(before: Platform) -> Platform:
        others = {n: c for n, c in before.certificates.items() if n != name}
        return replace(before, certificates=others | ({name: pair} if pair else {}))

    return edit


def plainly(url: str) -> str:
    """A drain's URL without what may be secret in it; the path of many a service is its key."""
    parts = urlsplit(url)
    more = "/…" if parts.path.strip("/") or parts.query else parts.path
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{more}"


def token(seal: str, url: str) -> str:
    """`d.<uuid>` of a drain: the same for the same URL, and nothing to who lacks the seal (contract 6.4)."""
    digest = hmac.new(seal.encode(), b"drain " + url.encode(), hashlib.sha256).digest()
    return f"d.{uuid.UUID(bytes=digest[:16], version=4)}"
