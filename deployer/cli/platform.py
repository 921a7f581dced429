"""maintenance and domains: what commands put on the platform, beside the files."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from deployer.cli import completing
from deployer.cli import options as o
from deployer.cli.looking import known, looked
from deployer.cli.telling import acting, say, show

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from deployer.engine.sight import Sight
    from deployer.spec.platform import Edit, Platform
    from deployer.spec.spec import Spec

domains_app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
MESH = frozenset({"platform", "router", "certificates", "nginx"})
"""Providers that a change of what routers serve is about."""
_NAME = re.compile(r"(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")
Names = Annotated[list[str], typer.Argument(metavar="DOMAIN...", help="Names, such as shop.example.com.")]


def maintenance(
    told: o.Act,
    state: Annotated[
        str,
        typer.Argument(
            metavar="[on|off]", autocompletion=completing.states, help="Without it, say which it is."
        ),
    ] = "",
) -> None:
    """Have the routers answer with a maintenance page (503, H80), or with the app again. Dynos go on.

    Example: deploy maintenance on
    """
    from deployer.problems import InputError, Problem
    from deployer.spec.platform import with_maintenance

    if state not in ("", "on", "off"):
        raise InputError(Problem(f"maintenance is on or off, not {state!r}", hint="deploy maintenance on"))
    if not state:
        _, settings = looked(told, known(told))
        return say(told, {"maintenance": settings.maintenance}, _on_or_off(settings.maintenance))
    edit = with_maintenance(state == "on")
    put(told, lambda *_: edit, MESH)
    return None


@domains_app.command("add")
@o.spread
def add_domains(told: o.Act, names: Names) -> None:
    """Have the app answer to more names, beside those of fleet.json.

    Example: deploy domains add shop.example.com
    """
    from deployer.spec.platform import with_domains

    edit = with_domains(add=_checked(names))
    put(told, lambda *_: edit, MESH)


@domains_app.command("remove")
@o.spread
def remove_domains(told: o.Act, names: Names) -> None:
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

    put(told, choose, MESH)


def put(told: o.Act, choose: Callable[[Spec, Sight, Platform], Edit], providers: frozenset[str]) -> None:
    """Show what an edit changes, make it so, and look again.

    `choose` makes the edit of what is there; it raises InputError for one that cannot be made.
    """
    from deployer.engine import engine
    from deployer.engine.settling import settled

    spec = _known(told, providers)
    sight, settings = looked(told, spec)
    edit = choose(spec, sight, settings)
    todo = settled(spec, sight, edit, providers)
    show(told, todo.plan)
    if not todo.plan.empty:
        with acting(told, todo.plan) as order:
            left = engine.change(spec, sight, order, lambda now: settled(spec, now, edit, providers))
        show(told, left.plan)


def _known(told: o.Files, providers: frozenset[str]) -> Spec:
    """With the secrets that these providers are about, and no others."""
    from deployer import source

    spec = replace(known(told), recalls=True)
    spec = source.with_drains(spec) if "drains" in providers else spec
    return source.with_certificates(spec) if "certificates" in providers else spec


def _checked(names: Iterable[str]) -> list[str]:
    from deployer.problems import InputError, Problem

    lower = [name.lower().rstrip(".") for name in names]
    hint = "letters, digits, hyphens and dots, such as shop.example.com or *.example.com"
    if wrong := [name for name in lower if not _NAME.fullmatch(name)]:
        raise InputError([Problem(f"{name!r} is no domain name", hint=hint) for name in wrong])
    return lower


def _on_or_off(on: bool) -> str:
    return "Maintenance is on: routers answer 503 (H80)." if on else "Maintenance is off."
