"""What the files get wrong together: each may be right by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deployer.problems import Problem, Where
from deployer.source.app_rules import At
from deployer.source.files import Inventory, Manifest
from deployer.source.schema import nearest
from deployer.source.text import escape, shown
from deployer.spec.app import DEFAULT_STACK, Scale
from deployer.spec.fleet import Fleet
from deployer.spec.sizes import SIZES
from deployer.spec.stacks import Stack, named

NEEDED_ROLES = {
    "router": "takes the requests to the app's web process",
    "dynos": "runs the app",
    "logplex": "keeps the logs",
    "build": "builds the app",
}
_ELSEWHERE = ("container", "cnb")
"""Heroku's stacks that are not built with buildpacks."""


def check(app: Manifest, fleet: Inventory, stacks: tuple[Stack, ...]) -> Iterator[Problem]:
    """Every finding that needs more than one file."""
    yield from _no_procfile(app)
    yield from _stack(app, stacks)
    for scales, at in ((app.app.formation, app.where), (fleet.fleet.formation, fleet.where)):
        yield from _types(scales, app, at)
        yield from _sizes(scales, fleet, at)
    yield from _default_size(fleet)
    yield from _roles(app, fleet)


def _no_procfile(app: Manifest) -> Iterator[Problem]:
    if app.procfile.exists() or app.app.processes or app.is_open:
        return
    found = (file.name for file in app.procfile.parent.iterdir() if file.stem.lower() == "procfile")
    other = next(found, None)
    write = "Write it, one line for each process, such as: web: gunicorn app:app"
    hint = f"Rename {other}: the name is Procfile, to the letter." if other else write
    detail = "heroku.yml and Dockerfile are not used here." if app.app.stack in _ELSEWHERE else ""
    summary = "There is no Procfile, so nothing says what to run"
    yield Problem(summary, Where(str(app.procfile)), detail, hint)


def _stack(app: Manifest, stacks: tuple[Stack, ...]) -> Iterator[Problem]:
    name, where = app.app.stack, app.where("/stack")
    known = [word for stack in stacks for word in (stack.name, *stack.aliases)]
    if name in _ELSEWHERE and app.procfile.exists():
        summary = f"stack {name}: the app is built with buildpacks and runs the commands of its Procfile"
        hint = f'Write "stack": "{DEFAULT_STACK}" if that is what you want.'
        yield Problem(summary, where, hint=hint, severity="warning")
    elif name not in _ELSEWHERE and not named(name, stacks):
        hint = nearest(name.lower(), known) or f"There is {', '.join(known)}."
        yield Problem(f"There is no stack {shown(name)}", where, hint=hint)


def _types(scales: Mapping[str, Scale], app: Manifest, at: At) -> Iterator[Problem]:
    types = app.app.processes
    for name in scales if app.is_whole else ():
        where = at(f"/formation/{escape(name)}")
        if name not in types:
            hint = f"{nearest(name, types)} The Procfile has {', '.join(types)}.".strip()
            yield Problem(f"formation names {shown(name)}, which is not in the Procfile", where, hint=hint)
        elif name == "release" and scales[name].quantity:
            hint = "Take it out, or set its quantity to 0."
            yield Problem("release runs once for each release and cannot be scaled", where, hint=hint)


def _sizes(scales: Mapping[str, Scale], fleet: Inventory, at: At) -> Iterator[Problem]:
    for name, scale in scales.items() if fleet.is_whole else ():
        if scale.size and scale.size not in fleet.fleet.sizes:
            yield _no_size(scale.size, fleet.fleet, at(f"/formation/{escape(name)}/size"))


def _default_size(fleet: Inventory) -> Iterator[Problem]:
    if fleet.is_whole and fleet.fleet.default_size not in fleet.fleet.sizes:
        yield _no_size(fleet.fleet.default_size, fleet.fleet, fleet.where("/default_size"))


def _no_size(size: str, fleet: Fleet, where: Where) -> Problem:
    own = sorted(fleet.sizes.keys() - SIZES.keys())
    known = [*own, "standard", "basic", "standard-1x", "standard-2x", "performance-m", "performance-l"]
    hint = nearest(size, fleet.sizes) or f'Take {", ".join(known)}, or describe it in "sizes" of fleet.json.'
    return Problem(f"There is no dyno size {shown(size)}", where, hint=hint)


def _roles(app: Manifest, fleet: Inventory) -> Iterator[Problem]:
    for role, work in NEEDED_ROLES.items() if fleet.is_whole else ():
        is_needed = role != "router" or "web" in app.app.processes or not app.is_whole
        if is_needed and not fleet.fleet.with_role(role):
            hint = f'Add "{role}" to the roles of a host; one host may have several.'
            yield Problem(f"No host has the role {role}, which {work}", fleet.where("/hosts"), hint=hint)
