"""Saved plans: written for a later apply, read back for their digest alone."""

from __future__ import annotations

import json
from pathlib import Path

from deployer.problems import InputError, Problem, Where


def save(path: str, content: str) -> None:
    """Raises InputError where the file cannot be written."""
    try:
        Path(path).write_text(content, encoding="utf-8")
    except OSError as error:
        raise InputError(
            Problem(f"cannot write {path}: {error.strerror}", Where(path), hint="name another file")
        ) from error


def saved_digest(path: str) -> str:
    """The digest of a saved plan. Raises InputError for what is no plan."""
    try:
        return str(json.loads(Path(path).read_text(encoding="utf-8"))["digest"])
    except OSError as error:
        raise InputError(
            Problem(
                f"cannot read {path}: {error.strerror}", Where(path), hint="deploy plan --out FILE makes one"
            )
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            Problem(f"{path} is not a saved plan", Where(path), hint="deploy plan --out FILE makes one")
        ) from error
