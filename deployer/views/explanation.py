"""One resource told in full, as lines for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from deployer.views.text import table, value

_STATES = {
    "in sync": "in sync: the host holds what the files ask for",
    "shared": "there, and left alone: other apps may use it, or it is kept with what stays",
    "create": "to be created",
    "update": "to be updated",
    "delete": "to be deleted",
}


def explanation(document: Mapping[str, Any]) -> str:
    """`document` is what `planning.explain.explain` gives."""
    cause = f"  ({document['cause']})" if document["cause"] else ""
    lines = [f"{document['address']}: {_STATES[document['state']]}{cause}", "", "asked for by"]
    lines += [line for ask in document["asks"] for line in _ask(ask)] or ["  no line of the files"]
    lines += ["", f"on {document['host']}", *(f"  {place}" for place in document["places"])]
    lines += ["", "rule", f"  {document['rule']}"]
    lines += ["", *_fields(document["fields"]), "", *_next(document)]
    return "\n".join(lines)


def _ask(where: Mapping[str, Any]) -> Iterator[str]:
    numbers = (str(where[name]) for name in ("line", "column") if where[name] is not None)
    yield f"  {':'.join((where['file'], *numbers))}{': ' * bool(where['pointer'])}{where['pointer']}"
    if where["source"] is not None:
        gutter = f"    {where['line']} | "
        yield gutter + where["source"]
        yield " " * (len(gutter) + where["column"] - 1) + "^"


def _fields(fields: list[Mapping[str, Any]]) -> list[str]:
    rows = [("  field", "wanted", "seen")]
    for field in fields:
        mark = "~ " if field["differs"] else "  "
        rows.append((mark + field["name"], value(field["wanted"]), value(field["seen"])))
    return table(rows).splitlines()


def _next(document: Mapping[str, Any]) -> Iterator[str]:
    if not document["next"]["apply"]:
        yield "Nothing to do."
        return
    yield f"next: {document['next']['apply']}"
    yield from (f"  {step['stage']}: {step['say']}" for step in document["steps"])
    edit = document["next"]["edit"]
    yield f"or: {edit}" if edit else "No edit of the files would have it stay as it is."
