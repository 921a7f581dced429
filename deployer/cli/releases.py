"""releases: what was released, and how it was built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployer.cli import options as o
from deployer.cli.looking import known, look
from deployer.cli.telling import say

if TYPE_CHECKING:
    from deployer.engine.sight import Sight
    from deployer.spec.spec import Spec

LONGEST = 1 << 20
"""Bytes of a build's log that are shown."""

app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)


@app.callback()
@o.spread
def listed(told: o.Look, context: typer.Context) -> None:
    """List the releases that are kept, the newest first; `show` tells about one.

    Example: deploy releases
    """
    from deployer.views import text

    if context.invoked_subcommand:
        return
    spec, _, found = _seen(told)
    none = f"No releases of {spec.fleet.app}. Next: deploy apply"
    say(told, found, text.table(_row(release) for release in found) or none)


@app.command()
@o.spread
def show(
    told: o.Look,
    name: Annotated[str, typer.Argument(help="Which release, such as v7.")],
    build: Annotated[bool, typer.Option("--build", help="Show what its build said.")] = False,
) -> None:
    """Tell all that is known about one release.

    Example: deploy releases show v7 --build
    """
    from deployer.problems import InputError, Problem
    from deployer.views import text

    spec, sight, found = _seen(told)
    release = next((r for r in found if f"v{r['number']}" == name), None)
    if release is None:
        known = ", ".join(f"v{r['number']}" for r in found) or "none"
        raise InputError(Problem(f"there is no release {name}", hint=f"these are kept: {known}"))
    said = _build_log(spec, sight, release["slug"]) if build else []
    words = "\n".join(said) if build else text.table(_facts(release))
    say(told, release | ({"build": said} if build else {}), words)


def _seen(told: o.Look) -> tuple[Spec, Sight, list[dict[str, Any]]]:
    from deployer.planning import status

    spec = known(told)
    sight = look(told, spec)
    return spec, sight, status.releases(spec.fleet.app, sight.facts)


def _row(release: dict[str, Any]) -> tuple[object, ...]:
    outcome = release["outcome"] + (" (current)" if release["current"] else "")
    return (f"v{release['number']}", outcome, release["why"], release["who"], release["when"])


def _facts(release: dict[str, Any]) -> list[tuple[Any, ...]]:
    """A line a fact; config vars by name only."""
    from deployer.planning.verdict import line

    words = release | {"config": " ".join(release["config"])}
    words["proof"] = line(words["proof"]) if words["proof"] else "none"
    processes = [(f"process {kind}", command) for kind, command in words.pop("processes").items()]
    return [(name, words[name]) for name in sorted(words)] + processes


def _build_log(spec: Spec, sight: Sight, slug: str) -> list[str]:
    from deployer.engine.sight import end_of
    from deployer.problems import InputError, Problem
    from deployer.views import text
    from deployer.world.releases import APPS

    end = end_of(sight, f"{APPS}/{spec.fleet.app}/slugs/{slug}/.build.log", LONGEST)
    if end is None:
        hint = "its slug is gone with the releases that are no longer kept"
        raise InputError(Problem(f"no host has the log of the build of {slug}", hint=hint))
    if end.before:
        text.show(f"the log is long: {end.before} bytes before its last {LONGEST} are left out", err=True)
    return end.lines
