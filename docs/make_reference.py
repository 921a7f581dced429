"""Writes `reference.md` from the published schemas, so that the page and the program cannot drift apart.

Run `python docs/make_reference.py` after a schema changed; a test fails until then.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deployer.source import data
from deployer.source.needs import SERVICES
from deployer.spec.sizes import SIZES

PAGE = Path(__file__).with_name("reference.md")
KINDS = ("app", "fleet", "stack")
Node = dict[str, Any]


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join((*_head(), *(line for kind in KINDS for line in _file(kind)), *_sizes(), *_services()))


def _head() -> Iterator[str]:
    yield "# Reference: the files that you write"
    yield ""
    yield "Made from `schemas/` by `python docs/make_reference.py`. `<name>` is a word of yours, `[]` an item"
    yield "of a list; keys in bold must be there. The Procfile is Heroku's: a line for each process,"
    yield "`type: command`, and `#` begins a comment line."
    yield ""


def _file(kind: str) -> Iterator[str]:
    schema = data.schema(kind)
    yield from (f"## {schema['title']}", "", schema["description"], "")
    yield from ("| key | what it is | what it means |", "|---|---|---|")
    yield from _rows(schema, schema, "")
    yield ""


def _rows(schema: Node, node: Node, path: str) -> Iterator[str]:
    for step, child, is_required in _children(node):
        full, found = f"{path}{step}".lstrip("."), _resolved(schema, child)
        key = f"**`{full}`**" if is_required else f"`{full}`"
        yield f"| {key} | {_kind(found)} | {found['description']} |"
        if full != "environments":
            yield from _rows(schema, found, full)


def _children(node: Node) -> Iterator[tuple[str, Node, bool]]:
    for key, child in node.get("properties", {}).items():
        yield f".{key}", child, key in node.get("required", ())
    for step, key in ((".<name>", "additionalProperties"), ("[]", "items")):
        if isinstance(node.get(key), dict) and not _is_old_form(node, key):
            yield step, node[key], False


def _is_old_form(node: Node, key: str) -> bool:
    """Lists that stand for an object have its keys, which are there already."""
    return key == "items" and isinstance(node.get("additionalProperties"), dict)


def _resolved(schema: Node, node: Node) -> Node:
    target = schema
    for step in node.get("$ref", "#").split("/")[1:]:
        target = target[step]
    return (target if "$ref" in node else {}) | node


def _kind(node: Node) -> str:
    if "enum" in node:
        return " or ".join(f"`{word}`" for word in dict.fromkeys(str(word).lower() for word in node["enum"]))
    types = node["type"] if isinstance(node["type"], list) else [node["type"]]
    return " or ".join("list" if name == "array" else name for name in types)


def _sizes() -> Iterator[str]:
    yield from (
        "## Dyno sizes",
        "",
        "Names count in any case. `sizes` in fleet.json adds to them or changes them. Of a dyno that needs",
        "more than its memory the log warns (R14); at *ended at* it is ended and starts again (R15).",
        "",
    )
    yield from ("| size | memory | ended at | processes and threads |", "|---|---|---|---|")
    for size in SIZES.values():
        yield f"| `{size.name}` | {size.memory} MB | {size.limit} MB | {size.pids} |"
    yield ""


def _services() -> Iterator[str]:
    yield from (
        "## Add-ons",
        "",
        "A service is there once one of its config vars is given; `as` changes their prefix.",
    )
    yield from ("Of a service that is not in this table, any var that begins with its name will do.", "")
    yield from ("| service | config var |", "|---|---|")
    for service, names in sorted(SERVICES.items()):
        said = " or ".join(f"`{name}`" for name in names)
        yield f"| `{service}` | {said or 'none: nothing here replaces it'} |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
