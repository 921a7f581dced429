"""validate, plan, apply, destroy, unlock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from deployer.cli import options as o
from deployer.cli.looking import built_first, decided, seen

if TYPE_CHECKING:
    from deployer.decision import Decided


def validate(folder: o.Folder = o.HERE, environment: o.Environment = None, as_json: o.Json = False) -> None:
    """Check app.json, Procfile and fleet.json; say everything that is wrong at once.

    Example: deploy validate -C examples/hello
    """
    from deployer import source
    from deployer.views import json, text

    problems = source.validate(folder, environment)
    if as_json:
        text.show(json.document([json.problem(p) for p in problems]))
    else:
        for found in problems:
            text.show(text.problem(found, text.terminal()))
        errors = sum(p.severity == "error" for p in problems)
        text.show(f"{errors} errors, {len(problems) - errors} warnings" if problems else "No problems.")
    if any(p.severity == "error" for p in problems):
        raise typer.Exit(1)


def plan(
    folder: o.Folder = o.HERE,
    environment: o.Environment = None,
    as_json: o.Json = False,
    out: Annotated[
        str | None, typer.Option("--out", help="Save the plan, without any secret, to this file.")
    ] = None,
    detailed: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 if something differs.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the fields of what is created, too.")
    ] = False,
    slug: o.Slug = "",
    without: o.Without = None,
    accept_new: o.AcceptNew = False,
) -> None:
    """Look at every host once and say exactly what differs. It cannot change a host.

    Example: deploy plan -C examples/hello --detailed-exitcode
    """
    from deployer.problems import CHANGES_PENDING
    from deployer.source.saved import save
    from deployer.views import json, text

    began = time.monotonic()
    spec, sight = seen(folder, environment, without, accept_new, slug)
    todo = decided(spec, sight)
    document = todo.plan.as_dict()
    if out:
        save(out, json.document(document) + "\n")
    if as_json:
        text.show(json.document(document))
    else:
        text.show(text.plan(document, time.monotonic() - began, text.terminal(), verbose))
    if detailed and not todo.plan.empty:
        raise typer.Exit(CHANGES_PENDING)


def apply(
    saved: Annotated[str | None, typer.Argument(help="A plan saved by `deploy plan --out`.")] = None,
    folder: o.Folder = o.HERE,
    environment: o.Environment = None,
    yes: o.Yes = False,
    as_json: o.Json = False,
    slug: o.Slug = "",
    without: o.Without = None,
    accept_new: o.AcceptNew = False,
    lock_wait: o.LockWait = 0,
) -> None:
    """Make the plan true, stage by stage, then look again and prove it.

    Example: deploy apply -C examples/hello --yes
    """
    from deployer import engine

    began = time.monotonic()
    spec, sight = seen(folder, environment, without, accept_new, slug)
    if not saved:  # what was agreed to holds the build
        sight = built_first(spec, sight, as_json, lock_wait)
    todo = decided(spec, sight)
    if saved:
        _same(saved, todo)
    _show(todo, began, as_json)
    if todo.plan.empty:
        return
    if not (yes or saved):
        _ask("Only 'yes' will be accepted to approve", "yes")
    left = engine.apply(spec, sight, todo.plan, o.teller(as_json), lock_wait)
    _show(left, began, as_json)


def destroy(
    folder: o.Folder = o.HERE,
    environment: o.Environment = None,
    confirm: Annotated[
        str | None, typer.Option("--confirm", help="The app's name, instead of typing it.")
    ] = None,
    as_json: o.Json = False,
    without: o.Without = None,
    lock_wait: o.LockWait = 0,
) -> None:
    """Remove the app from every host: dynos, routes, releases, config. What is shared stays.

    Example: deploy destroy --confirm hello
    """
    from deployer import engine, planner
    from deployer.decision import Decided, gone
    from deployer.providers import PROVIDERS
    from deployer.sight import look

    began = time.monotonic()
    spec = o.known(folder, environment)
    sight = look(spec, tuple(without or ()))
    world = gone(sight, spec)
    todo = Decided(planner.plan(world, PROVIDERS), world)
    _show(todo, began, as_json)
    if todo.plan.empty:
        return
    _ask(f"Type the app's name ({world.app}) to destroy it", world.app, confirm)
    _show(engine.destroy(spec, sight, todo.plan, o.teller(as_json), lock_wait), began, as_json)


def unlock(folder: o.Folder = o.HERE, environment: o.Environment = None) -> None:
    """Take the lock from a holder that is known to be dead.

    Example: deploy unlock
    """
    from deployer.remote.holding import unlock as break_lock
    from deployer.sight import look
    from deployer.views import text

    sight = look(o.known(folder, environment))
    break_lock(sight.links, "unlock")
    text.show(f"No lock is held on {', '.join(h.name for h in sight.hosts)} now.")


def _show(decided: Decided, began: float, as_json: bool) -> None:
    from deployer.views import json, text

    document = decided.plan.as_dict()
    seconds = time.monotonic() - began
    text.show(json.line(document) if as_json else text.plan(document, seconds, text.terminal()))


def _same(saved: str, decided: Decided) -> None:
    from deployer.problems import Problem, StalePlanError
    from deployer.source.saved import saved_digest

    if saved_digest(saved) != decided.plan.digest:
        raise StalePlanError(
            Problem(
                f"{saved} is stale: the hosts or the files have changed since",
                hint="make a new one: deploy plan --out",
            )
        )


def _ask(question: str, answer: str, given: str | None = None) -> None:
    from deployer.problems import InputError, Problem

    said = given if given is not None else typer.prompt(question, default="", show_default=False)
    if said != answer:
        raise InputError(Problem("cancelled; nothing was changed", hint=f"answer with {answer!r} to go on"))
