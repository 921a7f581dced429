"""What an app runs once: the release phase of each release, and postdeploy after the first."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.model.steps import Put, Sh, Stage, Step, Text
from deployer.providers.base import About, Line, plain_cause
from deployer.providers.host import BIN
from deployer.providers.rsyslog import said
from deployer.providers.stack import STACKS
from deployer.spec.fleet import Host
from deployer.spec.spec import Spec
from deployer.world.facts import Facts, Probe
from deployer.world.releases import APPS
from deployer.world.world import Task, World, once

PATIENCE = 3600
"""Seconds that a task may take (Heroku contract 7.1)."""
LOCK = "/run/deployer/task.lock"
"""One task at a time on a host: they share an address."""


@dataclass(frozen=True)
class TaskSeen:
    key: str
    done: bool


@dataclass(frozen=True)
class Wanted:
    """`spec` is what dyno-once reads, `mark` the file that says that the task has run."""

    key: str
    task: Task
    spec: Text
    mark: str
    says: tuple[str, str] | None = None
    """The app and a line for its log, before it runs."""

    def expect(self) -> TaskSeen:
        return TaskSeen(self.key, True)


class TaskProvider:
    name = "task"
    base = ()

    def desire(self, world: World, host: Host) -> Iterator[Wanted]:
        """On the first host with dynos, or where it was done; a release that is live has none any more."""
        return (want for name, want in _placed(world) if name == host.name)

    def probe(self, app: str) -> Probe:
        return Probe(texts=frozenset({f"{APPS}/{app}/*.done", f"{APPS}/{app}/releases/*/*.done"}))

    def observe(self, app: str, facts: Facts) -> Iterator[TaskSeen]:
        for mark in _marks(app, facts):
            name = mark.removeprefix(f"{APPS}/{app}/").removeprefix("releases/").removesuffix(".done")
            yield TaskSeen(name.replace("/", "."), True)

    def converge(self, want: Wanted | None, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        """The mark goes with the record of its release."""
        if want is None:
            return ()
        argv = ("flock", LOCK, f"{BIN}/dyno-once")
        run = Sh(argv, want.spec, timeout=PATIENCE + 60)
        say = f"run {want.task.name}: {want.task.command}"
        before = [said.step(want.task.stage, *want.says)] if want.says else []
        return [
            *before,
            Step(want.task.stage, say, run, live=True),
            Step(want.task.stage, f"note that {want.key} is done", Put(want.mark, Text("done\n"))),
        ]

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        if isinstance(want, Wanted) and want.task.stage == Stage.RELEASE:
            return "once for each release, before anything of it starts"
        return "once, after the first release is live" if want else plain_cause(want, have, differs)

    def about(self, spec: Spec, host: Host, key: str) -> About:
        """`postdeploy`, or `v3.release`: its mark lies beside the record of its release."""
        release, _, name = key.rpartition(".")
        place = f"{APPS}/{spec.fleet.app}/{f'releases/{release}/' if release else ''}{name}.done"
        file, pointer = ("Procfile", name) if release else ("app.json", f"/scripts/{name}")
        is_asked = name in (spec.app.processes if release else spec.app.scripts)
        asks: tuple[Line, ...] = ((file, pointer),) if is_asked else ()
        rule = "It runs once, in a dyno of its own on one host, and leaves a mark; what is live needs none."
        return About(asks, (place,), rule, drop=f"take {name} out of {file}")


@once
def _placed(world: World) -> tuple[tuple[str, Wanted], ...]:
    """Each task, and the name of its host."""
    able = (host.name for host in world.with_role("dynos") if host.name not in world.lost)
    first, done = next(able, ""), _done(world) if world.tasks else {}
    wants = (_wanted(world, task) for task in world.tasks)
    return tuple((done.get(want.mark, first), want) for want in wants)


def _done(world: World) -> Mapping[str, str]:
    """By mark, the first host on which that has been done."""
    names = sorted(world.facts, reverse=True)
    return {mark: name for name in names for mark in _marks(world.app, world.facts[name])}


def _marks(app: str, facts: Facts) -> list[str]:
    return sorted(
        path for path in facts.texts if path.startswith(f"{APPS}/{app}/") and path.endswith(".done")
    )


def _wanted(world: World, task: Task) -> Wanted:
    release = world.release
    if release is None:
        raise ValueError("a task without a release")
    app, name = f"{APPS}/{world.app}", f"{world.app}.{task.name}.{1000 + release.number}"
    folder = f"{app}/releases/{release.name}"
    # postdeploy is once for an app, whatever number its first release ends up with
    is_for_app = task.stage == Stage.POSTDEPLOY
    key = task.name if is_for_app else f"{release.name}.{task.name}"
    mark = f"{app if is_for_app else folder}/{task.name}.done"
    spec = {
        "name": name,
        "base": world.base,
        "lower": [f"{app}/slugs/{release.slug}", f"{STACKS}/{release.stack}.run"],
        "address": task_address(world.network),
        "memory": task.memory,
        "limit": task.limit,
        "pids": task.pids,
        "command": task.command,
        "env": {"HEROKU_DYNO_ID": name},
        "env_file": f"{folder}/env",
        "timeout": PATIENCE,
        "log": "all",
    }
    text = Text(json.dumps(spec, sort_keys=True))
    line = f"Running release {release.name} commands by user {world.who}"
    return Wanted(key, task, text, mark, None if is_for_app else (world.app, line))


def task_address(network: str) -> str:
    """The last but one of the dyno network; the last is the build's."""
    return str(ipaddress.ip_network(network)[-3])
