"""Files in, problems out: one case a file of `cases/validate`.

A case holds only what differs from a sound app: `files` by name (a list is its lines, {"hex": …} its bytes,
null takes it away), `folder` its name, `environment` what `-e` says. Its problems are compared whole, as
"severity file:line:column summary / detail / hint".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deployer.problems import Problem
from deployer.source import validate

CASES = sorted((Path(__file__).parent / "cases" / "validate").glob("*.json"))
SOUND = {
    "Procfile": ["web: gunicorn app:app"],
    "requirements.txt": [],
    "fleet.json": [
        '{"app": "hello",',
        ' "hosts": {"one": {"address": "203.0.113.1", "roles": ["router", "dynos", "logplex", "build"]}}}',
    ],
}


def content(raw: Any) -> bytes:
    if isinstance(raw, dict):
        return bytes.fromhex(raw["hex"])
    return "".join(f"{line}\n" for line in raw).encode()


def said(problem: Problem) -> str:
    place = str(problem.where) if problem.where else "-"
    words = (word for word in (problem.summary, problem.detail, problem.hint) if word)
    return f"{problem.severity} {place} {' / '.join(words)}"


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_case(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = json.loads(file.read_text("utf-8"))
    folder = tmp_path / case.get("folder", "hello")
    folder.mkdir()
    monkeypatch.chdir(folder)
    files = {name: raw for name, raw in (SOUND | case.get("files", {})).items() if raw is not None}
    for name, raw in files.items():
        Path(name).write_bytes(content(raw))
    problems = validate(Path(), case.get("environment"))
    assert [said(problem) for problem in problems] == case["problems"]
    for problem in problems:
        assert_shows_its_line(problem, files)


def assert_shows_its_line(problem: Problem, files: dict[str, Any]) -> None:
    where = problem.where
    if where and where.line and where.source is not None and isinstance(files[where.file], list):
        assert where.source == files[where.file][where.line - 1]
    assert problem.hint


def test_there_are_cases() -> None:
    assert len(CASES) > 20
