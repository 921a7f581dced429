"""Where an app's log lines go besides the logplex: which drains there are, and what a drain's URL may be."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from deployer.problems import InputError, Problem
from deployer.spec import platform
from deployer.spec.platform import Platform

SCHEMES = ("syslog", "syslog+tls", "https", "http")
MOST = 5
"""Drains of one app (Heroku contract 6.4)."""
HINT = "a drain is syslog://HOST:PORT, syslog+tls://HOST:PORT, https://HOST/PATH or http://HOST/PATH"
_UNFIT = re.compile(r"[^!-~]")


@dataclass(frozen=True)
class Drain:
    """`token` is its name everywhere; `declared` tells those of fleet.json from those of a command."""

    token: str
    url: str = field(repr=False)
    declared: bool
    ca: str = field(default="", repr=False)
    """PEM certificates that it is verified against, beside those of the host."""

    @property
    def plain(self) -> str:
        """Its URL without secrets."""
        return platform.plainly(self.url)


def objection(url: str) -> str:
    """Why lines cannot be sent there, with nothing of the URL that may be secret; "" if they can."""
    if _UNFIT.search(url):
        return "the URL of a drain holds a blank, or a sign that must be percent-encoded"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "the URL of a drain has no usable host and port"
    if parts.scheme not in SCHEMES:
        return f"a drain cannot be reached by {parts.scheme or 'a URL without a scheme'}"
    if not host or port == 0:
        return f"the URL of a drain by {parts.scheme} has no usable host and port"
    if parts.fragment not in ("", "insecure"):
        return "a drain's URL may end with #insecure, and with no other fragment"
    return ""


def chosen(declared: Iterable[str], settings: Platform, seal: str, ca: str = "") -> tuple[Drain, ...]:
    """All drains of the app, by token. Raises InputError for more than there may be."""
    by_file = frozenset(declared)
    urls = by_file | frozenset(settings.drains)
    if len(urls) > MOST:
        summary = f"the app would have {len(urls)} drains, {MOST} are the most"
        raise InputError(Problem(summary, hint="remove one: deploy drains list"))
    found = (Drain(platform.token(seal, url), url, url in by_file, ca) for url in urls)
    return tuple(sorted(found, key=lambda drain: drain.token))


def named(drains: Iterable[Drain], word: str) -> Drain | None:
    """The drain that a URL or a token means."""
    return next((drain for drain in drains if word in (drain.url, drain.token)), None)
