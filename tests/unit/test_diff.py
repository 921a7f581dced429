"""Equality of what is wanted and what was seen, and how a difference is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from deployer.model.diff import KEPT, Sealed, differs, short, shown

DIGEST = "ab" * 32


@dataclass(frozen=True)
class Seen:
    key: str
    text: Any = "same"
    ports: Mapping[str, str] | None = None


@pytest.mark.parametrize(
    ("expected", "seen", "names"),
    [
        (Seen("a"), Seen("a"), set()),
        (Seen("a"), Seen("b"), set()),
        (Seen("a", "x"), Seen("a", "y"), {"text"}),
        (Seen("a", "x", {"1": "2"}), Seen("a", "y", {}), {"text", "ports"}),
        (None, Seen("a"), {"text", "ports"}),
        (Seen("a"), None, {"text", "ports"}),
        (None, None, set()),
        (Seen("a", KEPT), Seen("a", "whatever"), set()),
        (Seen("a", KEPT), None, {"text", "ports"}),
    ],
)
def test_the_fields_that_differ(expected: Seen | None, seen: Seen | None, names: set[str]) -> None:
    assert differs(expected, seen) == names


@pytest.mark.parametrize(
    ("expected", "seen", "lines"),
    [
        (Seen("a", "new"), Seen("a", "old"), [("text", "old", "new")]),
        (Seen("a", True), Seen("a", False), [("text", False, True)]),
        (Seen("a", DIGEST), Seen("a", None), [("text", None, DIGEST[:12])]),
        (
            Seen("a", Sealed(DIGEST)),
            Seen("a", Sealed("cd" * 32)),
            [("text", "(secret), outdated", "(secret)")],
        ),
        (Seen("a", Sealed(DIGEST, "up")), Seen("a", "crashed"), [("text", "crashed", "up")]),
        (
            Seen("a", ports={"1": "x", "2": "y"}),
            Seen("a", ports={"2": "z", "3": "w"}),
            [("ports[1]", None, "x"), ("ports[2]", "z", "y"), ("ports[3]", "w", None)],
        ),
    ],
)
def test_a_difference_is_shown_entry_by_entry(
    expected: Seen, seen: Seen, lines: list[tuple[Any, ...]]
) -> None:
    assert [(f.name, f.before, f.after) for f in shown(expected, seen)] == lines


@pytest.mark.parametrize(
    ("value", "small"),
    [(DIGEST, DIGEST[:12]), (DIGEST + "\n", DIGEST + "\n"), (None, None), (0, 0), (("b", "a"), "b a")]
    + [(frozenset({"b", "a"}), "a b"), (KEPT, "(as it is)"), (Sealed(DIGEST), "(secret)")],
)
def test_values_are_short(value: Any, small: Any) -> None:
    assert short(value) == small
