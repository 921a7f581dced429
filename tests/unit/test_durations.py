"""Lengths of time, as people write and read them."""

from __future__ import annotations

import pytest

from deployer.problems import InputError
from deployer.spec.durations import seconds, span


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("90", 90), ("90s", 90), ("15m", 900), ("1h", 3600), (" 2m ", 120), (0, 0), ("007", 7)],
)
def test_what_people_write(text: str | int, expected: int) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "m", "-1", "1.5h", "1h30m", "15 m", "1d", "٣", "9999999s", "1e3"])
def test_what_is_no_length_of_time(text: str) -> None:
    with pytest.raises(InputError) as caught:
        seconds(text)
    (problem,) = caught.value.problems
    assert repr(text) in problem.summary and "90s, 15m or 1h" in problem.hint


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (-3, "0 s"),
        (0.9, "0 s"),
        (40, "40 s"),
        (60, "1 min"),
        (890, "14 min 50 s"),
        (3600, "1 h"),
        (3605, "1 h"),
        (7500, "2 h 5 min"),
        (100_000, "27 h 46 min"),
    ],
)
def test_what_people_read(length: float, expected: str) -> None:
    assert span(length) == expected
