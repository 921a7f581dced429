"""The only room that reads local files: from a folder to one `Spec`, or to every problem in it at once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from deployer.model.steps import Text, Tree
from deployer.problems import InputError, Problem, Where
from deployer.source import buildpacks, certificates, config, cross_rules, data, drains, procfile
from deployer.source.files import Inventory, Manifest, inventory, manifest, with_defaults
from deployer.source.names import is_free
from deployer.source.needs import missing
from deployer.source.tree import tree as read_tree
from deployer.spec.app import App
from deployer.spec.fleet import Fleet, FromFile, Host
from deployer.spec.spec import Spec
from deployer.world.certificates import unfit as objections

__all__ = ["load", "missing", "validate", "with_certificates", "with_drains"]

_ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


def load(
    folder: Path,
    environment: str | None = None,
    packs: tuple[str, ...] = (),
    slug: str = "",
    builds: bool = True,
    to: str = "",
) -> Spec:
    """What the files in `folder` ask for. Raises InputError with all problems if one of them is an error.

    `packs` are buildpacks that count in place of those in app.json. With a `slug` that was built before, and
    for whoever only reads or destroys (`builds` is False), the folder need not be one that could be built.
    Neither need it with a release `to` go back to, which brings its config too: no value is read here.

    Services and required config vars that nothing gives are not among them: the hosts may have them.
    Ask `missing` after a look at these.
    """
    spec, problems = _look(folder, environment, packs, slug, builds and not (slug or to), to)
    if builds or slug or to:
        spec, unread = _certified(spec)
        spec, unheard = _drained(spec)
        problems = _in_order((*problems, *unread, *unheard))
    return replace(_whole(spec, problems), warnings=problems)


def validate(folder: Path, environment: str | None = None) -> tuple[Problem, ...]:
    """Everything that is wrong or odd with the files in `folder`, what nothing gives included."""
    try:
        spec, problems = _look(folder, environment)
    except InputError as error:
        return error.problems
    spec, unread = _certified(spec)
    _, unheard = _drained(spec)
    bad = objections(spec, spec.fleet.names, datetime.now(UTC))
    return _in_order((*problems, *unread, *unheard, *missing(spec), *bad))


def _look(
    folder: Path,
    environment: str | None,
    words: tuple[str, ...] = (),
    slug: str = "",
    builds: bool = True,
    to: str = "",
) -> tuple[Spec, tuple[Problem, ...]]:
    _require(folder, environment)
    app, inv = manifest(folder, environment), inventory(folder, environment)
    fleet = _resolved(inv.fleet, folder)
    given, unread = config.values(fleet.config if builds or slug else {}, folder, inv.where)
    contents = _declared(app.app) | given
    source, left = _tree(folder, fleet) if builds else (Tree(folder, ()), ())
    can_fit = builds and not left
    packs, unfit = buildpacks.chosen(words or app.app.buildpacks, source, app.where) if can_fit else ((), [])
    defaults = buildpacks.default_types(packs, source)
    app = with_defaults(app, defaults)
    stack = data.stack(app.app.stack).model_copy(update={"updates": fleet.stack_updates})
    spec = Spec(
        app=app.app.model_copy(update={"stack": stack.name}),
        fleet=fleet,
        stack=stack,
        config=contents,
        generated=_generated(app.app, fleet),
        tree=source,
        folder=folder,
        buildpacks=packs,
        slug=slug,
        to=to,
        defaults=defaults,
        where=partial(_where, app, inv),
    )
    together = (
        *_environment(folder, environment, app.app),
        *cross_rules.check(app, inv, data.stacks()),
        *unfit,
    )
    size = config.sizes(contents, inv.where)
    return spec, _in_order((*app.problems, *inv.problems, *together, *unread, *size, *left))


def with_certificates(spec: Spec) -> Spec:
    """A spec that was loaded for looking, with the certificates that fleet.json names and their keys.

    Raises InputError where one cannot be had.
    """
    return _whole(*_certified(spec))


def with_drains(spec: Spec) -> Spec:
    """A spec that was loaded for looking, with its drains. Raises InputError where one cannot be had."""
    return _whole(*_drained(spec))


def _whole(spec: Spec, problems: tuple[Problem, ...]) -> Spec:
    if any(problem.severity == "error" for problem in problems):
        raise InputError(problems)
    return spec


def _certified(spec: Spec) -> tuple[Spec, tuple[Problem, ...]]:
    own, roots, unread = certificates.declared(spec.fleet, spec.folder, partial(spec.where, "fleet.json"))
    return replace(spec, certificates=own, acme_roots=roots), unread


def _drained(spec: Spec) -> tuple[Spec, tuple[Problem, ...]]:
    urls, ca, problems = drains.read(spec.fleet, spec.folder, partial(spec.where, "fleet.json"))
    return replace(spec, drains=urls, drain_ca=ca), problems


def _require(folder: Path, environment: str | None) -> None:
    if not os.path.isdir(folder) or not os.access(folder, os.R_OK | os.X_OK):
        hint = "Name the folder that holds the app."
        raise InputError(Problem(f"There is no folder {folder} to read", Where(str(folder)), hint=hint))
    if environment is not None and not _ENVIRONMENT.fullmatch(environment):
        hint = "Use letters, digits, - and _."
        raise InputError(Problem(f"{environment!r} is no name for an environment", hint=hint))


def _in_order(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """By file, line and column, as one reads."""
    places = {problem: problem.where or Where("") for problem in problems}
    return tuple(sorted(places, key=lambda p: (places[p].file, places[p].line or 0, places[p].column or 0)))


def _where(app: Manifest, fleet: Inventory, file: str, pointer: str) -> Where:
    if file == "Procfile":
        return procfile.place(app.commands, pointer.strip("/"), str(app.procfile))
    return fleet.where(pointer) if file == "fleet.json" else app.where(pointer)


def _declared(app: App) -> dict[str, Text]:
    given = {name: var.value for name, var in app.env.items() if is_free(name)}
    return {name: Text(value) for name, value in given.items() if value is not None}


def _generated(app: App, fleet: Fleet) -> tuple[str, ...]:
    to_make = (name for name, var in app.env.items() if var.generator and var.value is None)
    return tuple(sorted(name for name in to_make if is_free(name) and name not in fleet.config))


def _resolved(fleet: Fleet, folder: Path) -> Fleet:
    """The fleet with the paths of local files made absolute; they are relative to fleet.json."""
    hosts = tuple(_with_key(host, folder) for host in fleet.hosts)
    return fleet.model_copy(update={"hosts": hosts, "known_hosts": _absolute(fleet.known_hosts, folder)})


def _with_key(host: Host, folder: Path) -> Host:
    return host.model_copy(update={"key": _absolute(host.key, folder)})


def _absolute(path: str | None, folder: Path) -> str | None:
    return path and str(folder.absolute() / os.path.expanduser(path))


def _tree(folder: Path, fleet: Fleet) -> tuple[Tree, tuple[Problem, ...]]:
    try:
        return read_tree(folder, _private(fleet, folder)), ()
    except InputError as error:
        return Tree(folder, ()), error.problems


def _private(fleet: Fleet, folder: Path) -> tuple[Path, ...]:
    """Local files that `fleet.json` names: keys and values, which are no part of the app's source."""
    given = (*fleet.config.values(), *fleet.drains)
    sources = (source.file for source in given if isinstance(source, FromFile))
    named_there = (*sources, *(host.key for host in fleet.hosts), fleet.known_hosts, fleet.drain_ca)
    own = certificates.private(fleet, folder)
    return (*own, *(folder / os.path.expanduser(path) for path in named_there if path))


def _environment(folder: Path, environment: str | None, app: App) -> Iterator[Problem]:
    if environment is None:
        return
    own, where = folder / f"fleet.{environment}.json", Where(str(folder / "app.json"))
    if not own.exists() and environment not in app.environments:
        hint = f'Write {own}, or "{environment}" into "environments" of app.json.'
        yield Problem(f"There is no environment {environment}", where, hint=hint)
    elif not own.exists():
        summary = f"There is no {own.name}: this is about the app and the hosts of fleet.json"
        hint = f"Write {own} if {environment} is to be an app of its own."
        yield Problem(summary, where, hint=hint, severity="warning")
