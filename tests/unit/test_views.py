"""What a person and a program see."""

from __future__ import annotations

import json

from deployer.problems import Problem, Where
from deployer.views import json as documents
from deployer.views import text

FOUND = Problem(
    "is no number",
    Where("app.json", 3, 5, "/formation", source='    "web": "x"'),
    "got x\nnot 1",
    "write a number",
)


def test_a_problem_shows_its_line_and_the_next_step() -> None:
    assert text.problem(FOUND).splitlines() == [
        "app.json:3:5: /formation: error: is no number",
        '  3 |     "web": "x"',
        "          ^",
        "    got x",
        "    not 1",
        "  next: write a number",
    ]


def test_a_problem_without_a_place_is_one_line() -> None:
    assert text.problem(Problem("it broke", severity="warning")) == "warning: it broke"


def test_a_problem_as_a_document() -> None:
    assert documents.problem(FOUND) == {
        "severity": "error",
        "summary": "is no number",
        "where": {"file": "app.json", "line": 3, "column": 5, "pointer": "/formation"},
        "detail": "got x\nnot 1",
        "next": "write a number",
    }
    assert documents.problem(Problem("x"))["where"] is None


def test_documents_keep_every_sign() -> None:
    assert (
        json.loads(documents.document({"a": "ä\n"}))
        == json.loads(documents.line({"a": "ä\n"}))
        == {"a": "ä\n"}
    )
    assert "\n" not in documents.line({"a": "ä\n"})


def test_a_table_has_columns() -> None:
    assert text.table([("a", 1), ("long", 22)]) == "a     1\nlong  22"
    assert text.table([]) == ""
