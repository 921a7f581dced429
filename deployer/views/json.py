"""The same as documents: one a line where something streams."""

from __future__ import annotations

import json
from typing import Any

from deployer.problems import Problem


def document(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


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
