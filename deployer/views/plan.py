"""A plan as lines for a person: in the order in which it is done, what hosts have in common said once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from deployer.model.plan import NEW
from deployer.model.steps import Stage
from deployer.views.text import colour, value

FEW = 5
"""Changes of the base on one host that are still told one by one: more of them are a host made ready."""
NAMED = 4
"""Hosts that a line names."""
_NAMES = "--verbose names each"
_SIGN = {"create": "+", "update": "~", "delete": "-"}
_KINDS = ("package", "file", "unit")
_LINES = {"+": "create", "-": "delete", "@": "dim"}
_HEADS = ("--- /", "+++ /")


class Row(NamedTuple):
    """What is told of a change, but for where: equal rows are one. `below` are the lines under it."""

    action: str
    name: str
    cause: str
    below: tuple[str, ...] = ()


def plan(document: Mapping[str, Any], seconds: float, tinted: bool = False, every: bool = False) -> str:
    """`document` is `schemas/plan.schema.json`. `every` folds nothing, and shows all fields and hosts."""
    if not document["changes"]:
        return f"No changes. {_summary(document, seconds)}"
    rows: dict[Row, list[str]] = {}
    for host, row in _told(document, every):
        rows.setdefault(row, []).append(host)
    lines = [line for row, hosts in rows.items() for line in _lines(row, _on(hosts, document, every), tinted)]
    return "\n".join((*lines, "", *_capacity(document), *document["notes"], _summary(document, seconds)))


def _told(document: Mapping[str, Any], every: bool) -> Iterator[tuple[str, Row]]:
    """Host by host, the base where there is much of it; then all other changes by their first stage."""
    folded, diffs = {} if every else _folded(document), _diffs(document)
    for (host, action), changes in folded.items():
        yield host, Row(action, f"the platform's base: {_counted(changes)}", _NAMES)
    for change in _in_turn(document["changes"]):
        if not (change["base"] and (change["host"], change["action"]) in folded):
            yield change["host"], _row(change, diffs[change["address"]], every)


def _folded(document: Mapping[str, Any]) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """By host and action, the base that is too much to be told one by one."""
    base = defaultdict(list)
    for change in document["changes"]:
        if change["base"]:
            base[change["host"], change["action"]].append(change)
    return {place: changes for place, changes in base.items() if len(changes) > FEW}


def _counted(changes: Iterable[Mapping[str, Any]]) -> str:
    kinds = Counter(_names(change)[1].partition(":")[0] for change in changes)
    words = [f"{kinds[kind]} {kind}{'s' * (kinds[kind] > 1)}" for kind in _KINDS if kinds[kind]]
    more = kinds.total() - sum(kinds[kind] for kind in _KINDS)
    return ", ".join((*words, *([f"{more} more"] if more else [])))


def _diffs(document: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    found = defaultdict(list)
    for diff in document.get("diffs", ()):
        found[diff["address"]].append(diff)
    return found


def _in_turn(changes: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """By the first stage that each has a step at, and what is of one provider together."""
    providers = {name: n for n, name in enumerate(dict.fromkeys(_names(change)[0] for change in changes))}
    return sorted(changes, key=lambda change: (_first(change), providers[_names(change)[0]]))


def _first(change: Mapping[str, Any]) -> int:
    return Stage[change["stages"][0]] if change["stages"] else Stage.PREPARE


def _names(change: Mapping[str, Any]) -> tuple[str, str]:
    """The provider, and the key that it has for the resource."""
    provider, _, key = change["address"].split("/", 2)
    return provider, key


def _row(change: Mapping[str, Any], diffs: Iterable[Mapping[str, Any]], every: bool) -> Row:
    fields = change["fields"] if every or change["action"] == "update" else ()
    differing = (line for field in fields for line in _field(field, every))
    below = (*differing, *(line for diff in diffs for line in _diff(diff)))
    cause = "" if change["cause"] == NEW else change["cause"]
    return Row(change["action"], "/".join(_names(change)), cause, below)


def _field(field: Mapping[str, Any], every: bool) -> Iterator[str]:
    """A digest tells nobody what changed: that there is one is all that is said of it."""
    before, after = (_said(field[side], field["digest"] and not every) for side in ("before", "after"))
    if before != after:
        yield f"{field['name']}: {before} → {after}"


def _said(of: object, is_digest: bool) -> str:
    return "there" if is_digest and of is not None else value(of)


def _diff(diff: Mapping[str, Any]) -> list[str]:
    """What a host holds is not ours: no sign of it moves the cursor of a terminal."""
    if diff["hidden"]:
        return [f"{diff['file']} is not shown: {diff['hidden']}"]
    lines = diff["diff"].splitlines()
    return ["".join(c if c.isprintable() or c == "\t" else repr(c)[1:-1] for c in line) for line in lines]


def _on(hosts: list[str], document: Mapping[str, Any], every: bool) -> str:
    """Where, in words; a fleet of one host has no need of them."""
    if len(hosts) == len(document["hosts"]):
        return " on all hosts" if len(hosts) > 1 else ""
    if every or len(hosts) <= NAMED + 1:
        return f" on {', '.join(hosts)}"
    return f" on {', '.join(hosts[:NAMED])} and {len(hosts) - NAMED} more"


def _lines(row: Row, where: str, tinted: bool) -> Iterator[str]:
    head = colour(f"  {_SIGN[row.action]} {row.name}", row.action, tinted)
    yield f"{head}{where}{f'  ({row.cause})' if row.cause else ''}"
    for line in row.below:
        kind = "dim" if line.startswith(_HEADS) else _LINES.get(line[:1])
        yield "      " + (colour(line, kind, tinted) if kind else line)


def _capacity(document: Mapping[str, Any]) -> list[str]:
    """How many dynos of each type stay healthy on the way, and in how many waves."""
    kinds = [
        f"{kind} {c['before']} → {c['after']}, never fewer than {c['fewest']}"
        for kind, c in document["capacity"].items()
    ]
    waves = 1 + max((s["wave"] for change in document["changes"] for s in change["steps"]), default=0)
    return [f"Healthy dynos: {'; '.join(kinds)}{f' ({waves} waves)' if waves > 1 else ''}"] if kinds else []


def _summary(document: Mapping[str, Any], seconds: float) -> str:
    s = document["summary"]
    counts = (
        f"{s['create']} to create, {s['update']} to update, {s['delete']} to delete, {s['in_sync']} in sync"
    )
    return f"Plan: {counts} ({s['hosts']} host{'s' if s['hosts'] != 1 else ''}, {seconds:.1f} s)"
