"""Drains: each host sends its own lines of an app to them, through a queue for each (docs/drains.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from deployer.model.steps import Put, Sh, Stage, Step
from deployer.providers import parts
from deployer.providers.base import About, given, packaged, plain_cause, roles
from deployer.providers.drains.drain import (
    CODE,
    LOADED,
    LOG_LOADED,
    RULES,
    SCRIPTS,
    SETTINGS,
    SHARED,
    SPOOL,
    STATES,
    UNITS,
    DrainsSeen,
    Wanted,
    seen,
    shared,
    unit,
)
from deployer.providers.host import BIN
from deployer.spec.fleet import Host
from deployer.spec.spec import Spec
from deployer.world.facts import Facts, Probe
from deployer.world.world import World

LOG_CONF = "/etc/deployer/rsyslog/log.conf"
SERVICE, SOCKET, LOG = "deployer.drains.service", "deployer.drains.socket", "deployer.log.service"
PACKAGE = "ca-certificates"
_RULE = (
    "Every host sends the lines that arise on it to the drains itself, each through a queue of its own. "
    "Drains are those of fleet.json and those that were added by a command."
)


class DrainsProvider:
    name = "drains"
    base = ("package:*", "file:*", "unit:*")

    def desire(self, world: World, host: Host) -> Iterator[Any]:
        if not host.roles or not world.drains:
            return
        yield parts.Package(PACKAGE)
        for name, source in SCRIPTS.items():
            mode = 0o644 if name.endswith(".py") else 0o755
            yield parts.File(f"{BIN}/{name}", packaged(source), mode)
        for path in UNITS:
            yield parts.unit_file(path, unit(path), stage=Stage.LOGS)
        yield parts.File(SHARED, shared(), stage=Stage.LOGS)
        yield parts.Unit(SOCKET, stage=Stage.LOGS)
        yield parts.Unit(SERVICE, stage=Stage.LOGS)
        yield Wanted(world.app, world.drains)

    def probe(self, app: str) -> Probe:
        own = {SETTINGS.format(app), RULES.format(app)}
        return Probe(
            files=frozenset({*own, SHARED, *UNITS, *(f"{BIN}/{name}" for name in SCRIPTS)}),
            private=frozenset({SETTINGS.format(app)}),
            texts=frozenset({LOADED, LOG_LOADED, CODE, f"{STATES}/{app}.*.json"}),
            folders=frozenset({f"{SPOOL}/{app}.*"}),
            units=frozenset({SERVICE, SOCKET}),
            packages=frozenset({PACKAGE}),
        )

    def observe(self, app: str, facts: Facts) -> Iterator[Any]:
        yield from parts.see_packages(facts, [PACKAGE])
        yield from parts.see_files(facts, (SHARED, *UNITS, *(f"{BIN}/{name}" for name in SCRIPTS)))
        yield from parts.see_units(facts, (SERVICE, SOCKET))
        if found := seen(app, facts):
            yield found

    def converge(self, want: Any, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        """Scripts, units and shared rules serve every app of a host, so no app's plan removes them."""
        if isinstance(want, Wanted):
            return (*_take(want, have, differs), *_sweep(want.key, _gone(want, have)))
        if isinstance(have, DrainsSeen):
            return (*_drop(have.key), *_sweep(have.key, _gone(None, have)))
        return parts.converge(want, have, differs) if want else ()

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        if isinstance(want, Wanted) and differs and differs <= {"loaded", "log_loaded"}:
            return "what runs has other settings than the files"
        return plain_cause(want, have, differs)

    def about(self, spec: Spec, host: Host, key: str) -> About:
        if key != spec.fleet.app:
            return parts.about(spec, host, key, _RULE)
        places = (SETTINGS.format(key), RULES.format(key), f"{SPOOL}/{key}.*", SERVICE)
        asks = (*given(spec, "drains", "drain_ca"), roles(spec, host))
        drop = "take its drains out of fleet.json, and: deploy drains remove TOKEN"
        return About(asks, places, _RULE, "name a drain in fleet.json, or: deploy drains add URL", drop)


def _gone(want: Wanted | None, have: DrainsSeen | None) -> list[str]:
    """Tokens of drains whose queues have to go."""
    if have is None:
        return []
    there = {token for tokens in have.drains.values() for token in tokens.split()} | have.left.keys()
    return sorted(there - {drain.token for drain in (want.drains if want else ())})


def _take(want: Wanted, have: DrainsSeen | None, differs: frozenset[str]) -> Iterator[Step]:
    if have is None or differs & {"settings", "drains"}:
        put = Put(SETTINGS.format(want.key), want.settings(), 0o600)
        yield Step(Stage.LOGS, "write the settings of the drains", put)
    if have is None or "rules" in differs:
        path = RULES.format(want.key)
        yield Step(Stage.LOGS, f"write {path}", Put(path, want.rules()))
    if "units" in differs:
        # one call for both: systemd starts no socket whose service runs
        both = (SOCKET, SERVICE)
        yield parts.systemctl("restart", *both, stage=Stage.LOGS, say=f"restart {' and '.join(both)}")
    elif "code" in differs:
        yield parts.systemctl("restart", SERVICE, stage=Stage.LOGS, say=f"restart {SERVICE}")
    elif differs & {"settings", "drains", "loaded"}:
        yield _reload(Stage.LOGS)
    if differs & {"rules", "log_loaded"}:
        yield Step(Stage.LOGS, f"check {LOG_CONF}", Sh(("rsyslogd", "-N1", "-f", LOG_CONF)))
        yield _restart(Stage.LOGS)


def _drop(app: str) -> Iterator[Step]:
    yield parts.remove(RULES.format(app), Stage.RETIRE)
    yield _restart(Stage.RETIRE)
    yield parts.remove(SETTINGS.format(app), Stage.RETIRE)
    yield _reload(Stage.RETIRE)


def _sweep(app: str, tokens: list[str]) -> Iterator[Step]:
    if tokens:
        queues = (f"{SPOOL}/{app}.{token}" for token in tokens)
        states = (f"{STATES}/{app}.{token}.json" for token in tokens)
        remove = Sh(("rm", "-rf", "--one-file-system", "--", *queues, *states))
        yield Step(Stage.RETIRE, "remove what waited for drains that are no more", remove)


def _reload(stage: Stage) -> Step:
    return parts.systemctl(
        "reload-or-restart", SERVICE, stage=stage, say="have the drains take their settings in"
    )


def _restart(stage: Stage) -> Step:
    return parts.systemctl("restart", LOG, stage=stage, say=f"have {LOG} take its rules in")
