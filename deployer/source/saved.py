"""Saved plans: written for a later apply, read back to be compared with what a new look gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deployer.model.plan import digest
from deployer.problems import InputError, Problem, Where
from deployer.source import data
from deployer.source.text import parse, read

LONGEST = 200
"""Characters of what is wrong with a plan: a validator shows the whole value."""
_HINT = "make a new one: deploy plan --out FILE"


def save(path: str, content: str) -> None:
    """Raises InputError where the file cannot be written."""
    try:
        Path(path).write_text(content, encoding="utf-8")
    except OSError as error:
        raise InputError(
            Problem(f"cannot write {path}: {error.strerror}", Where(path), hint="name another file")
        ) from error


def load(path: str) -> dict[str, Any]:
    """A saved plan (`schemas/plan.schema.json`). Raises InputError for what is none, or was edited since."""
    from jsonschema import Draft202012Validator

    document = parse(read(Path(path)), path)
    wrong = next(Draft202012Validator(data.schema("plan")).iter_errors(document.data), None)
    if wrong:
        where = document.where("".join(f"/{key}" for key in wrong.absolute_path))
        summary = f"{path} is not a plan that this deployer saved"
        raise InputError(Problem(summary, where, wrong.message[:LONGEST], _HINT))
    content: dict[str, Any] = document.data
    if digest(content["changes"]) != content["digest"]:
        summary = f"{path} was changed after it was saved: its digest is not that of its changes"
        raise InputError(Problem(summary, Where(path), hint=_HINT))
    return content
