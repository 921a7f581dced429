"""The same as documents: one a line where something streams."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import to_json

from deployer.problems import Problem


def document(value: Any) -> str:
    # the standard library writes indented JSON six times slower, and a first plan is long
    return to_json(value, indent=2).decode()


def line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def problem(found: Problem) -> dict[str, Any]:
    where = found.where
    place = (
        {"file": where.file, "line": where.line, "column": where.column, "pointer": where.pointer}
        if where
        else None
    )
    return {
        "severity": found.severity,
        "summary": found.summary,
        "where": place,
        "detail": found.detail,
        "next": found.hint,
    }
