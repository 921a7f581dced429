"""The three files that users write: each read, checked by itself, and made a typed value."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from deployer.problems import InputError, Problem, Where
from deployer.source import app_rules, data, fleet_rules, procfile, schema
from deployer.source.app_rules import At
from deployer.source.text import Document, duplicates, escape, parse, read
from deployer.spec.app import App, in_environment, load_app
from deployer.spec.fleet import Fleet, load_fleet

_APP_NAME = re.compile(r"[a-z][a-z0-9-]{1,28}[a-z0-9]")
_NO_FLEET = 'Write it: {"hosts": {"one": {"address": "…", "roles": ["router", "dynos", "logplex", "build"]}}}'


@dataclass(frozen=True)
class Manifest:
    """`app.json` and `Procfile` as one app.

    `is_whole` is whether all processes are known, `is_open` whether a build may bring more.
    """

    app: App
    where: At
    """The place of a pointer into app.json, in the environment if that replaces the key."""
    procfile: Path
    commands: str
    is_whole: bool
    problems: tuple[Problem, ...]
    is_open: bool = False


@dataclass(frozen=True)
class Inventory:
    """`fleet.json`, or that of the environment; `is_whole` is whether all hosts and sizes are known."""

    fleet: Fleet
    where: At
    is_whole: bool
    problems: tuple[Problem, ...]


def manifest(folder: Path, environment: str | None = None) -> Manifest:
    """The app in a folder. A missing app.json is an empty one; a missing Procfile is for others to mind."""
    document, content, found = _checked(folder / "app.json", "app")
    keys = in_environment(content, environment)
    replaced = content.get("environments", {}).get(environment, {})
    where = partial(_in_environment, document, environment or "", frozenset(replaced))
    file = folder / "Procfile"
    commands, processes, wrong = _procfile(file)
    app = load_app(_compact(keys), processes)
    problems = (*found, *app_rules.check(keys, where), *wrong)
    is_whole = file.exists() and not any(p.severity == "error" for p in wrong)
    return Manifest(app, where, file, commands, is_whole, problems)


def with_defaults(found: Manifest, defaults: Mapping[str, str] | None) -> Manifest:
    """The app with the process types of its buildpack, where the Procfile does not say otherwise.

    None: they are not known before a build, so no process type can be called missing.
    """
    if defaults is None:
        return replace(found, is_whole=False, is_open=True)
    app = found.app.model_copy(update={"processes": {**defaults, **found.app.processes}})
    return replace(found, app=app, is_whole=found.is_whole or (bool(defaults) and not found.commands))


def inventory(folder: Path, environment: str | None = None) -> Inventory:
    """The fleet that a folder names: `fleet.<environment>.json` where there is one, else `fleet.json`."""
    path = fleet_file(folder, environment)
    document, content, found = _checked(path, "fleet")
    if not path.exists():
        found = (Problem(f"There is no {path}", Where(str(path)), hint=_NO_FLEET),)
    is_whole = not any(p.severity == "error" and _hides_others(p) for p in found)
    name = slug(f"{Path(os.path.realpath(folder)).name}{path.stem.removeprefix('fleet')}")
    rules = [*fleet_rules.check(content, document.where)]
    if is_whole and "app" not in document.data and not _APP_NAME.fullmatch(name):
        hint = 'Write "app": a name of 3 to 30 lower-case letters, digits and hyphens.'
        summary = f"{name!r}, from the folder, is no name for an app"
        rules.append(Problem(summary, document.where(""), hint=hint))
    return Inventory(load_fleet(_compact(content), name), document.where, is_whole, (*found, *rules))


def fleet_file(folder: Path, environment: str | None) -> Path:
    """Where the fleet of an environment is written down."""
    own = folder / f"fleet.{environment}.json"
    return own if environment and own.exists() else folder / "fleet.json"


def slug(text: str) -> str:
    """The nearest thing to an app name: "My App_2" is my-app-2."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _checked(path: Path, kind: str) -> tuple[Document, dict[str, Any], tuple[Problem, ...]]:
    """The file, what is sound of its data, and what is wrong with its shape."""
    if not path.exists():
        return Document(str(path)), {}, ()
    try:
        document = _app_json(path) if kind == "app" else parse(read(path), str(path))
    except InputError as error:
        return Document(str(path)), {}, error.problems
    content, problems = schema.check(document, data.schema(kind))
    return document, content, (*duplicates(document), *problems)


def _app_json(path: Path) -> Document:
    """Raises InputError also where the file is another tool's app.json."""
    text = read(path)
    try:
        document = parse(text, str(path))
    except InputError as error:
        foreign = tuple(app_rules.foreign(app_rules.first_key(text), partial(Where, str(path), 1, 1)))
        raise InputError(foreign or error.problems) from error
    keys = document.data if isinstance(document.data, dict) else ()
    if problems := tuple(app_rules.foreign(keys, document.where)):
        raise InputError(problems)
    return document


def _procfile(path: Path) -> tuple[str, dict[str, str], tuple[Problem, ...]]:
    if not path.exists():
        return "", {}, ()
    try:
        text = read(path)
    except InputError as error:
        return "", {}, error.problems
    return text, *procfile.parse(text, str(path))


def _in_environment(document: Document, environment: str, replaced: Collection[str], pointer: str) -> Where:
    key = pointer.split("/")[1] if pointer else ""
    return document.where(f"/environments/{escape(environment)}{pointer}" if key in replaced else pointer)


def _compact(value: Any) -> Any:
    """Without the list items that were taken out."""
    if isinstance(value, dict):
        return {key: _compact(item) for key, item in value.items()}
    return [_compact(item) for item in value if item is not None] if isinstance(value, list) else value


def _hides_others(problem: Problem) -> bool:
    """Whether hosts or sizes were taken out, so that others would seem to lack them."""
    pointer = problem.where.pointer if problem.where else ""
    return not pointer or pointer.startswith(("/hosts", "/sizes"))
