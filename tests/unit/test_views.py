"""What a person and a program see."""

from __future__ import annotations

import json

from deployer.model.plan import Change, Field, Plan
from deployer.problems import Problem, Where
from deployer.views import json as documents
from deployer.views import text


def change(action: str, *fields: Field) -> Change:
    return Change(f"lxc/one/{action}.d", action, "one", "as said", fields, ())  # type: ignore[arg-type]


PLAN = Plan(
    "hello",
    "v2",
    (
        change("create", Field("place", None, "here")),
        change("update", Field("on", False, True), Field("sha", "a", None)),
        change("delete"),
    ),
    41,
    ("one", "two"),
    ("a note",),
)


def test_a_plan_by_host_with_causes_and_fields() -> None:
    assert text.plan(PLAN.as_dict(), 0.84).splitlines() == [
        "one",
        "  + lxc/create.d  (as said)",
        "  ~ lxc/update.d  (as said)",
        "      on: no → yes",
        "      sha: a → none",
        "  - lxc/delete.d  (as said)",
        "",
        "a note",
        "Plan: 1 to create, 1 to update, 1 to delete, 41 in sync (2 hosts, 0.8 s)",
    ]


def test_verbose_shows_the_fields_of_what_is_created() -> None:
    assert "      place: none → here" in text.plan(PLAN.as_dict(), 0, every=True).splitlines()


def test_colour_only_where_asked_for() -> None:
    assert "\033" not in text.plan(PLAN.as_dict(), 0)
    assert "\033[32m  + lxc/create.d\033[0m" in text.plan(PLAN.as_dict(), 0, tinted=True)


def test_an_empty_plan_says_so_first() -> None:
    empty = Plan("hello", "v1", (), 9, ("one",))
    assert text.plan(empty.as_dict(), 0.5) == (
        "No changes. Plan: 0 to create, 0 to update, 0 to delete, 9 in sync (1 host, 0.5 s)"
    )


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
