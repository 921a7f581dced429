"""maintenance and domains: what commands put on the platform, beside the files."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployer.cli import options as o

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from deployer.engine.sight import Sight
    from deployer.spec.platform import Edit, Platform
    from deployer.spec.spec import Spec

domains_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
MESH = frozenset({"platform", "router", "certificates", "nginx"})
"""Providers that a change of what routers serve is about."""
_NAME = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
Names = Annotated[list[str], typer.Argument(metavar="DOMAIN...", help="Names, such as shop.example.com.")]


def maintenance(
    state: Annotated[str, typer.Argument(metavar="[on|off]", help="Without it, say which it is.")] = "",
    folder: o.Folder = o.HERE,
    environment: o.Environment = None,
    as_json: o.Json = False,
    without: o.Without = None,
    lock_wait: o.LockWait = 0,
) -> None:
    """Have the routers answer with a maintenance page (503, H80), or with the app again. Dynos go on.

    Example: deploy maintenance on
    """
    from deployer.problems import InputError, Problem
    from deployer.spec.platform import with_maintenance

    if state not in ("", "on", "off"):
        raise InputError(Problem(f"maintenance is on or off, not {state!r}", hint="deploy maintenance on"))
    if not state:
        _, settings = looked(o.known(folder, environment), without)
        return _say(as_json, {"maintenance": settings.maintenance}, _on_or_off(settings.maintenance))
    edit = with_maintenance(state == "on")
    put(folder, environment, as_json, without, lock_wait, lambda *_: edit, MESH)
    return None


@domains_app.command("add")
def add_domains(
    names: Names,
    folder: o.Folder = o.HERE,
    environment: o.Environment = None,
    as_json: o.Json = False,
    without: o.Without = None,
    lock_wait: o.LockWait = 0,
) -> None:
    """Have the app answer to more names, beside those of fleet.json.

    Example: deploy domains add shop.example.com
    """
    from deployer.spec.platform import with_domains

    edit = with_domains(add=_checked(names))
    put(folder, environment, as_json, without, lock_wait, lambda *_: edit, MESH)


@domains_app.command("remove")
def remove_domains(
    names: Names,
    folder: o.Folder = o.HERE,
    environment: o.Environment = None,
    as_json: o.Json = False,
    without: o.Without = None,
    lock_wait: o.LockWait = 0,
) -> None:
    """Have the app no longer answer to names that were added with this command.

    Example: deploy domains remove shop.example.com
    """
    from deployer.problems import InputError, Problem
    from deployer.spec.platform import with_domains

    chosen = _checked(names)

    def choose(spec: Spec, _: Sight, settings: Platform) -> Edit:
        if unknown := sorted({*chosen} - {*settings.domains}):
            is_declared = bool({*unknown} & {*spec.fleet.domains})
            hint = "take it out of `domains` in fleet.json, then deploy apply"
            hint = hint if is_declared else "deploy domains list"
            raise InputError(Problem(f"{', '.join(unknown)} was not added by a command", hint=hint))
        return with_domains(remove=chosen)

    put(folder, environment, as_json, without, lock_wait, choose, MESH)


def put(
    folder: Path,
    environment: str | None,
    as_json: bool,
    without: list[str] | None,
    lock_wait: int,
    choose: Callable[[Spec, Sight, Platform], Edit],
    providers: frozenset[str],
) -> None:
    """Show what an edit changes, make it so, and look again.

    `choose` makes the edit of what is there; it raises InputError for one that cannot be made.
    """
    from deployer import source
    from deployer.engine import engine
    from deployer.engine.settling import settled
    from deployer.views import json, text

    began = time.monotonic()
    spec = replace(o.known(folder, environment), recalls=True)
    if "drains" in providers:
        spec = source.with_drains(spec)
    if "certificates" in providers:
        spec = source.with_certificates(spec)
    sight, settings = looked(spec, without)
    edit = choose(spec, sight, settings)
    todo = settled(spec, sight, edit, providers)

    def show(document: dict[str, Any]) -> None:
        seconds = time.monotonic() - began
        text.show(json.line(document) if as_json else text.plan(document, seconds, text.terminal()))

    show(todo.plan.as_dict())
    if not todo.plan.empty:
        order = engine.Order(todo.plan, o.teller(as_json), lock_wait)
        left = engine.change(spec, sight, order, lambda now: settled(spec, now, edit, providers))
        show(left.plan.as_dict())


def looked(spec: Spec, without: list[str] | None) -> tuple[Sight, Platform]:
    """One look, and what commands have put on the platform until now."""
    from deployer.engine.sight import look
    from deployer.world.releases import seen_platform

    sight = look(spec, tuple(without or ()))
    return sight, seen_platform(spec.fleet.app, sight.facts.values())


def _checked(names: Iterable[str]) -> list[str]:
    from deployer.problems import InputError, Problem

    lower = [name.lower().rstrip(".") for name in names]
    hint = "letters, digits, hyphens and dots, such as shop.example.com or *.example.com"
    if wrong := [name for name in lower if not _NAME.fullmatch(name)]:
        raise InputError([Problem(f"{name!r} is no domain name", hint=hint) for name in wrong])
    return lower


def _on_or_off(on: bool) -> str:
    return "Maintenance is on: routers answer 503 (H80)." if on else "Maintenance is off."


def _say(as_json: bool, document: dict[str, Any], words: str) -> None:
    from deployer.views import json, text

    text.show(json.document(document) if as_json else words)
