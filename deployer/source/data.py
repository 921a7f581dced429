"""The schemas and stacks that come with the deployer, wherever it was installed."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from deployer.spec.app import DEFAULT_STACK
from deployer.spec.stacks import Stack, named

_PACKAGE = Path(__file__).resolve().parent.parent


def folder(kind: str) -> Path:
    """`schemas` or `stacks`: inside an installed package, else at the root of the repository."""
    packaged = _PACKAGE / "_data" / kind
    return packaged if packaged.is_dir() else _PACKAGE.parent / kind


def version() -> str:
    """`deploy 0.1.0`. A checkout may be anything after that version, so it says where it is."""
    project = _PACKAGE.parent / "pyproject.toml"
    if not project.is_file():
        return f"deploy {metadata.version('deployer')}"
    number = tomllib.loads(project.read_text("utf-8"))["project"]["version"]
    return f"deploy {number}, from the checkout in {_PACKAGE.parent}"


@cache
def schema(name: str) -> dict[str, Any]:
    """The published JSON Schema of `app`, `fleet`, `stack`, …"""
    content: dict[str, Any] = json.loads((folder("schemas") / f"{name}.schema.json").read_text("utf-8"))
    return content


@cache
def stacks() -> tuple[Stack, ...]:
    """Every stack that has a folder, by name."""
    files = sorted(folder("stacks").glob("*/stack.json"))
    return tuple(_stack(file.parent.name, json.loads(file.read_text("utf-8"))) for file in files)


def stack(name: str) -> Stack:
    """The stack of this name or alias; the default one where there is none."""
    return named(name, stacks()) or next(s for s in stacks() if s.name == DEFAULT_STACK)


def _stack(name: str, document: dict[str, Any]) -> Stack:
    document.pop("$schema", None)
    return Stack.model_validate(document | {"name": name})
