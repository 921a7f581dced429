"""The records of releases, on every host of the app: what ran, with which config, and how it went."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from deployer.model.diff import KEPT, Sealed
from deployer.model.steps import Put, Sh, Stage, Step, Text
from deployer.providers import parts
from deployer.providers.base import About, Line, given, plain_cause, roles, scale
from deployer.providers.host import BIN
from deployer.providers.rsyslog import said
from deployer.spec.fleet import Host
from deployer.spec.spec import Spec
from deployer.world.facts import Facts, Probe
from deployer.world.releases import APPS, keys_path
from deployer.world.world import Release, World, once, read_release

KEPT_BESIDE = ("release.json", "proof.json", said.MARK)
_APP = "Every host of the app knows its ids and hosts, so that one which leaves fleet.json is still known."
_KEYS = "Every host of the app holds the seal of its digests and the values that were made once."
_RECORD = (
    "Source, stack, process commands and config make a release: equal inputs are the same one. "
    "Every host of the app has the records of the current one and of five before it."
)


@dataclass(frozen=True)
class AppSeen:
    key: str
    app: str
    base: int
    hosts: Mapping[str, str]


@dataclass(frozen=True)
class AppWanted:
    """What outlives any one release: the app's ids, and the hosts that it is spread over."""

    app: str
    base: int
    hosts: tuple[Host, ...]
    key: str = "app"

    def expect(self) -> AppSeen:
        return AppSeen(self.key, self.app, self.base, self.addresses)

    @cached_property
    def addresses(self) -> Mapping[str, str]:
        return {h.name: h.address for h in self.hosts}

    @cached_property
    def text(self) -> Text:
        hosts = {
            h.name: {"address": h.address, "port": h.port, "user": h.user, "mesh": h.mesh} for h in self.hosts
        }
        return Text(json.dumps({"app": self.app, "base": self.base, "hosts": hosts}, indent=1) + "\n")


@once
def _app(world: World) -> AppWanted:
    """One for all hosts: it is as long as they are many."""
    return AppWanted(world.app, world.base, world.members)


@dataclass(frozen=True)
class KeysSeen:
    key: str
    app: str
    content: str


@dataclass(frozen=True)
class KeysWanted:
    app: str
    content: Text
    key: str = "keys"

    def expect(self) -> KeysSeen:
        return KeysSeen(self.key, self.app, Sealed(self.content.sha))


@dataclass(frozen=True)
class RecordSeen:
    key: str
    app: str
    slug: str
    stack: str
    processes: Mapping[str, str]
    config: Mapping[str, str]
    outcome: str
    env: Any


@dataclass(frozen=True)
class Record:
    app: str
    release: Release
    env: Text | None
    """None for an old release: its values are kept as they are."""
    sealed: bool = False
    """Whether the seal is known already: digests under a fresh one would differ from plan to plan."""
    watch: tuple[tuple[str, ...], ...] = ()
    """In each wave, the dynos of this host to be watched."""
    seconds: int = 0
    says: tuple[str, ...] = ()
    """Lines for the app's log, on the one host that says them."""

    @property
    def key(self) -> str:
        return self.release.name

    def expect(self) -> RecordSeen:
        r = self.release
        env = Sealed(self.env.sha) if self.env else KEPT
        config = {name: Sealed(digest, digest if self.sealed else "set") for name, digest in r.config.items()}
        return RecordSeen(self.key, self.app, r.slug, r.stack, r.processes, config, _lasting(r).outcome, env)


def _watched(world: World, host: Host) -> tuple[tuple[str, ...], ...]:
    """Also those that a run which died has started: it did not come to the end of its watch."""
    seats = world.seats_on(host.name)
    waves = range(max(len(world.rollout.waves), 1))
    return tuple(
        tuple(seat.key for seat in seats if world.rollout.starts_in(host.name, seat.key) == wave)
        for wave in waves
    )


def _says(world: World, release: Release) -> tuple[str, ...]:
    """Once in a fleet: whichever host said it has left a mark."""
    mark = f"{APPS}/{world.app}/releases/{release.name}/{said.MARK}"
    if release.outcome != "pending" or any(mark in facts.texts for facts in world.facts.values()):
        return ()
    return said.of_release(release)


def _lasting(release: Release) -> Release:
    """A release that is wanted is one that has succeeded once everything is done."""
    return replace(release, outcome="succeeded") if release.outcome == "pending" else release


class ReleaseProvider:
    name = "release"
    base = ()

    def desire(self, world: World, host: Host) -> Iterator[Any]:
        if not host.roles or not world.keys:
            return
        yield _app(world)
        yield KeysWanted(world.app, world.keys)
        for record in world.records:
            is_current = world.release is not None and record.number == world.release.number
            watch = _watched(world, host) if is_current and record.outcome == "pending" else ()
            env = world.env if is_current else None
            says = _says(world, record) if is_current and host.name == world.teller else ()
            yield Record(world.app, record, env, world.sealed, watch, world.rollout.watch, says)

    def probe(self, app: str) -> Probe:
        folder = f"{APPS}/{app}"
        return Probe(
            files=frozenset({f"{folder}/releases/*/env", keys_path(app)}),
            texts=frozenset({f"{APPS}/*/app.json", *(f"{folder}/releases/*/{n}" for n in KEPT_BESIDE)}),
            private=frozenset({keys_path(app)}),
        )

    def observe(self, app: str, facts: Facts) -> Iterator[Any]:
        if found := facts.document(f"{APPS}/{app}/app.json"):
            yield AppSeen("app", app, found["base"], {n: h["address"] for n, h in found["hosts"].items()})
        if content := facts.sha(keys_path(app)):
            yield KeysSeen("keys", app, Sealed(content))
        for name, document in facts.documents(f"{APPS}/{app}/releases", "release.json"):
            r = read_release(document)
            env = facts.sha(f"{APPS}/{app}/releases/{name}/env")
            sealed = Sealed(env) if env else None
            config = {var: Sealed(digest, digest) for var, digest in r.config.items()}
            yield RecordSeen(name, app, r.slug, r.stack, r.processes, config, r.outcome, sealed)

    def converge(self, want: Any, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        match want:
            case AppWanted():
                path = f"{APPS}/{want.app}/app.json"
                stage = (
                    Stage.RETIRE if have else Stage.PREPARE
                )  # a host that leaves is known until it is drained
                return [Step(stage, "write the app's record", Put(path, want.text))]
            case KeysWanted():
                put = Put(keys_path(want.app), want.content, 0o600)
                return [Step(Stage.PREPARE, "write the app's keys", put)]
            case Record():
                return _record(want, have, differs)
        return _forget(have)

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        if isinstance(want, Record) and want.release.why:
            return want.release.why
        if want is None and isinstance(have, RecordSeen) and world.release:
            return "older than the releases that are kept"
        if isinstance(want, AppWanted) and have is not None:
            return "the fleet has other hosts now"
        return plain_cause(want, have, differs)

    def about(self, spec: Spec, host: Host, key: str) -> About:
        folder = f"{APPS}/{spec.fleet.app}"
        keep = f"name {host.name} with a role, in fleet.json"
        drop = f"take all roles from {host.name}, in fleet.json"
        match key:
            case "app":
                return About((roles(spec, host),), (f"{folder}/app.json",), _APP, keep, drop)
            case "keys":
                made = tuple(("app.json", f"/env/{name}") for name in spec.generated)
                return About((*made, roles(spec, host)), (keys_path(spec.fleet.app),), _KEYS, keep, drop)
        places = tuple(f"{folder}/releases/{key}/{name}" for name in ("release.json", "env"))
        return About(_inputs(spec), places, _RECORD, drop="put the source and the files back as they were")


def _record(want: Record, have: RecordSeen | None, differs: frozenset[str]) -> Iterator[Step]:
    """A new release is pending until its dynos serve: only the last stage says that it succeeded."""
    folder = f"{APPS}/{want.app}/releases/{want.key}"
    if want.env and (have is None or "env" in differs):
        yield Step(Stage.SHIP, f"write the config of {want.key}", Put(f"{folder}/env", want.env, 0o600))
    if have is None and want.release.outcome == "pending":
        yield Step(Stage.SHIP, f"begin {want.key}", _put(folder, want.release))
    mark = f"{folder}/{said.MARK}"
    yield from (said.step(Stage.RELEASE, want.app, line, mark) for line in want.says)
    yield from _watch(want)
    if have is None or differs - {"env"}:
        done = _lasting(want.release)
        stage = Stage.RETIRE if done.outcome == "succeeded" else Stage.PREPARE
        yield Step(stage, f"record that {want.key} {done.outcome}", _put(folder, done))


def _inputs(spec: Spec) -> tuple[Line, ...]:
    """The lines that decide whether a release is a new one."""
    commands = (line for kind in spec.app.processes for line in scale(spec, kind) if line[0] == "Procfile")
    env = (("app.json", "/env"),) if spec.app.env else ()
    return (*commands, *env, *given(spec, "config", "stack_updates"))


def _watch(want: Record) -> Iterator[Step]:
    for wave, keys in enumerate(want.watch):
        if keys:
            names = ", ".join(".".join(key.split(".")[1:3]) for key in keys)
            act = Sh((f"{BIN}/dyno-watch", str(want.seconds), *keys), timeout=want.seconds + 60)
            yield Step(Stage.WATCH, f"watch {names} for {want.seconds} s", act, wave=wave)


def _put(folder: str, release: Release) -> Put:
    return Put(f"{folder}/release.json", Text(json.dumps(release.as_dict(), indent=1) + "\n"))


def _forget(have: AppSeen | KeysSeen | RecordSeen) -> Iterator[Step]:
    """A record goes by itself; with the app's own record goes everything that was kept for it."""
    match have:
        case RecordSeen():
            yield parts.remove(f"{APPS}/{have.app}/releases/{have.key}", Stage.RETIRE)
        case KeysSeen():
            yield parts.remove(keys_path(have.app), Stage.RETIRE)
        case AppSeen():
            yield parts.remove(f"{APPS}/{have.app}", Stage.RETIRE)
