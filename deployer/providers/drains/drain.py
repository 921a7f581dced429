"""The drains of an app as values: what is seen of them on a host, and what is wanted."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deployer.model.diff import Sealed
from deployer.model.steps import Text, sha
from deployer.providers.base import packaged, render
from deployer.providers.host import BIN
from deployer.spec.drains import Drain
from deployer.world.facts import Facts

SETTINGS = "/etc/deployer/drains/{}.json"
RULES = "/etc/deployer/rsyslog/drains/{}.conf"
SHARED = "/etc/deployer/rsyslog/drains.conf"
LOADED, LOG_LOADED = "/run/deployer/drains.loaded", "/run/deployer/log.loaded"
CODE = "/run/deployer/drains.code"
UNITS = {f"/etc/systemd/system/deployer.drains.{kind}": f"drains/{kind}.j2" for kind in ("service", "socket")}
PORT = 20518
"""Of this host alone: its rsyslogd hands lines to drain-send."""
SPOOL = "/var/lib/deployer/spool/drains"
STATES = "/run/deployer/drains"
SCRIPTS = {
    "drain-send": "drains/on_host/drain-send.py",
    "drain_one.py": "drains/on_host/drain_one.py",
    "drain_queue.py": "drains/on_host/drain_queue.py",
    "drain_relp.py": "drains/on_host/drain_relp.py",
    "drain_wire.py": "drains/on_host/drain_wire.py",
}


@dataclass(frozen=True)
class DrainsSeen:
    """`drains` are URLs without secrets, with tokens.

    What runs is told by digests of the files that it was started from, or has taken in: `loaded` are the
    settings that drain-send has, `log_loaded` the rules that rsyslogd has, `code` the scripts and `units` the
    units of drain-send. What is wanted decides, and not what is on disk, which the same plan may change.
    """

    key: str
    drains: Mapping[str, str]
    settings: str
    rules: str | None
    loaded: str
    log_loaded: str
    code: str
    units: str
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
        return render("drains/app.conf.j2", app=self.key)

    def expect(self) -> DrainsSeen:
        rows = [(d.plain, d.token) for d in self.drains]
        settings = Sealed(self.settings().sha)
        return DrainsSeen(
            key=self.key,
            drains=_by_url(rows),
            settings=settings,
            rules=self.rules().sha,
            loaded=settings,
            log_loaded=_told({RULES.format(self.key): self.rules().sha, SHARED: shared().sha}),
            code=_told({f"{BIN}/{name}": packaged(source).sha for name, source in SCRIPTS.items()}),
            units=_told({path: unit(path).sha for path in UNITS}),
            left={},
        )


def unit(path: str) -> Text:
    return render(UNITS[path], port=PORT)


def shared() -> Text:
    return render("drains/rsyslog.conf.j2", port=PORT)


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
    code = _noted(facts, CODE)
    return DrainsSeen(
        key=app,
        drains=_by_url(rows),
        settings=Sealed(sha(settings or "")),
        rules=rules,
        loaded=Sealed(_noted(facts, LOADED).get(SETTINGS.format(app), "")),
        log_loaded=_told(_among(_noted(facts, LOG_LOADED), (RULES.format(app), SHARED))),
        code=_told({path: digest for path, digest in code.items() if path not in UNITS}),
        units=_told(_among(code, UNITS)),
        left=left,
    )


def read(settings: str | None) -> list[tuple[str, str]]:
    """URL without secrets and token of each drain in a settings file; none in one that was damaged."""
    try:
        return [(row["plain"], row["token"]) for row in json.loads(settings or "")["drains"]]
    except (ValueError, KeyError, TypeError):
        return []


def _noted(facts: Facts, path: str) -> dict[str, str]:
    """Digests by file, of lines as sha256sum writes them."""
    rows = (line.partition("  ") for line in facts.texts.get(path, "").splitlines())
    return {file: digest for digest, _, file in rows}


def _among(noted: Mapping[str, str], files: Iterable[str]) -> dict[str, str]:
    return {file: noted[file] for file in files if file in noted}


def _told(noted: Mapping[str, str]) -> str:
    return sha("".join(f"{digest}  {file}\n" for file, digest in sorted(noted.items())))
