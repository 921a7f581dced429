"""validate, plan, apply, destroy, unlock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deployer.cli import options as o
from deployer.cli.looking import built_first, decided, known, look, seen
from deployer.cli.telling import acting, say, show

if TYPE_CHECKING:
    from deployer.engine.decision import Decided


def validate(told: o.Files, as_json: o.Json = False) -> None:
    """Check app.json, Procfile and fleet.json; say everything that is wrong at once.

    Example: deploy validate -C examples/hello
    """
    from deployer import source
    from deployer.views import json, text

    problems = source.validate(told.folder, told.environment)
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
    told: o.Look,
    out: Annotated[
        str | None, typer.Option("--out", help="Save the plan, without any secret, to this file.")
    ] = None,
    detailed: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 if something differs.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Name each resource, and show all of its fields.")
    ] = False,
    diff: o.Diff = False,
    slug: o.Slug = "",
    to: o.To = "",
    accept_new: o.AcceptNew = False,
) -> None:
    """Look at every host once and say exactly what differs. It cannot change a host.

    Example: deploy plan -C examples/hello --diff
    """
    from deployer.problems import CHANGES_PENDING
    from deployer.source.saved import save
    from deployer.views import json, text
    from deployer.views.plan import plan as shown

    todo = decided(*seen(told, accept_new, slug, to, compares=diff))
    document = todo.plan.as_dict()
    if out:
        save(out, json.document(document) + "\n")
    if diff:
        document["diffs"] = _diffs(todo)
    say(told, document, shown(document, told.seconds, text.terminal(), verbose))
    if detailed and not todo.plan.empty:
        raise typer.Exit(CHANGES_PENDING)


def apply(
    told: o.Act,
    saved: Annotated[str | None, typer.Argument(help="A plan saved by `deploy plan --out`.")] = None,
    yes: o.Yes = False,
    slug: o.Slug = "",
    to: o.To = "",
    accept_new: o.AcceptNew = False,
    no_proof: o.NoProof = False,
) -> None:
    """Make the plan true, stage by stage, then look again and prove it.

    Example: deploy apply -C examples/hello --yes
    """
    from deployer.engine import engine

    spec, sight = seen(told, accept_new, slug, to)
    if not saved:  # what was agreed to holds the build
        sight = built_first(told, spec, sight)
    todo = decided(spec, sight)
    if saved:
        _same(saved, todo)
    show(told, todo.plan)
    if todo.plan.empty:
        return
    if not (yes or saved):
        _ask("Only 'yes' will be accepted to approve", "yes")
    with acting(told, todo.plan) as order:
        left = engine.apply(spec, sight, replace(order, proof=not no_proof, exact=bool(saved)))
    show(told, left.plan)
    if spec.to:
        _returned(left, spec.to)


def destroy(
    told: o.Act,
    confirm: Annotated[
        str | None, typer.Option("--confirm", help="The app's name, instead of typing it.")
    ] = None,
) -> None:
    """Remove the app from every host: dynos, routes, releases, config. What is shared stays.

    Example: deploy destroy --confirm hello
    """
    from deployer.engine import engine
    from deployer.engine.decision import Decided, gone
    from deployer.planning import planner
    from deployer.providers import PROVIDERS

    spec = known(told)
    sight = look(told, spec)
    world = gone(sight, spec)
    todo = Decided(planner.plan(world, PROVIDERS), world)
    show(told, todo.plan)
    if todo.plan.empty:
        return
    _ask(f"Type the app's name ({world.app}) to destroy it", world.app, confirm)
    with acting(told, todo.plan) as order:
        left = engine.destroy(spec, sight, order)
    show(told, left.plan)


def unlock(told: o.Look) -> None:
    """Take the lock from a holder that is known to be dead, and say whom it was taken from.

    Example: deploy unlock
    """
    from deployer.remote.holding import unlock as break_lock

    sight = look(told, known(told))
    broken = break_lock(sight.links, "unlock")
    none = f"No lock is held on {', '.join(h.name for h in sight.hosts)}."
    say(told, broken, "\n".join(_broken(name, broken[name]) for name in sorted(broken)) or none)


def _broken(name: str, held: Mapping[str, Any]) -> str:
    from deployer.spec.durations import span

    return f"broke the lock of {held['who']} on {name} ({held['doing']}, held for {span(held['age'])})"


def _diffs(todo: Decided) -> list[dict[str, str]]:
    from deployer.planning.unified import unified

    return [found.as_dict() for found in unified(todo.plan, todo.world)]


def _returned(decided: Decided, old: str) -> None:
    """Files and hosts differ now, and which of them the user means to keep is not ours to know."""
    from deployer.views import text

    said = "The files here still say otherwise: the next deploy apply brings them back."
    text.show(f"{decided.plan.release} serves what {old} did. {said}", err=True)


def _same(saved: str, decided: Decided) -> None:
    from deployer.model.stale import moved
    from deployer.problems import StalePlanError
    from deployer.source.saved import load

    if problems := moved(load(saved), decided.plan):
        raise StalePlanError(problems)


def _ask(question: str, answer: str, given: str | None = None) -> None:
    from deployer.problems import InputError, Problem

    said = given if given is not None else typer.prompt(question, default="", show_default=False)
    if said != answer:
        raise InputError(Problem("cancelled; nothing was changed", hint=f"answer with {answer!r} to go on"))
