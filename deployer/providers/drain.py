"""The drains of an app as values: what is seen of them on a host, and what is wanted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deployer.diff import Sealed
from deployer.drains import Drain
from deployer.facts import Facts
from deployer.model import Text, sha
from deployer.providers.base import packaged, render
from deployer.providers.host import BIN

SETTINGS = "/etc/deployer/drains/{}.json"
RULES = "/etc/deployer/rsyslog/drains/{}.conf"
SHARED = "/etc/deployer/rsyslog/drains.conf"
LOADED, LOG_LOADED = "/run/deployer/drains.loaded", "/run/deployer/log.loaded"
CODE = "/run/deployer/drains.code"
SPOOL = "/var/lib/deployer/spool/drains"
STATES = "/run/deployer/drains"
SCRIPTS = {
    "drain-send": "drains.send.py",
    "drain_one.py": "drains.one.py",
    "drain_queue.py": "drains.queue.py",
    "drain_relp.py": "drains.relp.py",
    "drain_wire.py": "drains.wire.py",
}


@dataclass(frozen=True)
class DrainsSeen:
    """`drains` are URLs without secrets, with tokens.

    `loaded` is whether both daemons have the settings on disk, `code` the scripts of drain-send.
    """

    key: str
    drains: Mapping[str, str]
    settings: str
    rules: str | None
    loaded: bool
    code: str
    left: Mapping[str, str]
    """Queues of drains that are no more."""


@dataclass(frozen=True)
class Wanted:
    key: str
    drains: tuple[Drain, ...]

    def settings(self) -> Text:
        rows = [{"token": d.token, "url": d.url, "plain": d.plain, "ca": d.ca} for d in self.drains]
        return Text(json.dumps({"drains": rows}, indent=1) + "\n", secret=True)

    def rules(self) -> Text:
        return Text(render("drains.app.conf.j2", app=self.key))

    def expect(self) -> DrainsSeen:
        rows = [(d.plain, d.token) for d in self.drains]
        code = _code(f"{sha(packaged(source))}  {BIN}/{name}" for name, source in SCRIPTS.items())
        return DrainsSeen(
            self.key, _by_url(rows), Sealed(self.settings().sha), self.rules().sha, True, code, {}
        )


def _by_url(rows: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The tokens by URL; two URLs may differ in their secrets alone."""
    tokens: dict[str, list[str]] = {}
    for plain, token in rows:
        tokens.setdefault(plain, []).append(token)
    return {plain: Sealed(" ".join(sorted(found)), "there") for plain, found in tokens.items()}


def seen(app: str, facts: Facts) -> DrainsSeen | None:
    settings, rules = facts.private.get(SETTINGS.format(app)), facts.sha(RULES.format(app))
    rows = read(settings)
    queues = {
        path.removeprefix(f"{SPOOL}/{app}.") for path in facts.folders if path.startswith(f"{SPOOL}/{app}.")
    }
    left = dict.fromkeys(sorted(queues - {token for _, token in rows}), "there")
    if settings is None and rules is None and not left:
        return None
    return DrainsSeen(
        app,
        _by_url(rows),
        Sealed(sha(settings or "")),
        rules,
        _is_loaded(app, facts),
        _code(facts.texts.get(CODE, "").splitlines()),
        left,
    )


def read(settings: str | None) -> list[tuple[str, str]]:
    """URL without secrets and token of each drain in a settings file; none in one that was damaged."""
    try:
        return [(row["plain"], row["token"]) for row in json.loads(settings or "")["drains"]]
    except (ValueError, KeyError, TypeError):
        return []


def _is_loaded(app: str, facts: Facts) -> bool:
    """Whether both daemons have what is on disk."""
    files = {SETTINGS.format(app): LOADED, RULES.format(app): LOG_LOADED, SHARED: LOG_LOADED}
    return all(
        f"{facts.sha(file)}  {file}" in facts.texts.get(loaded, "").splitlines()
        for file, loaded in files.items()
    )


def _code(noted: Iterable[str]) -> str:
    """Of lines as sha256sum writes them."""
    return sha("\n".join(sorted(noted)))
