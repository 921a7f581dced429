"""Lengths of time, as people write and read them."""

from __future__ import annotations

import re

from deployer.problems import InputError, Problem

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds(text: str | int) -> int:
    """`90`, `90s`, `15m` or `1h` in seconds. Raises InputError."""
    found = re.fullmatch(r"([0-9]{1,6})([smh]?)", str(text).strip())
    if not found:
        hint = "give a whole number and its unit: 90s, 15m or 1h; a bare number counts seconds"
        raise InputError(Problem(f"{text!r} is not a length of time", hint=hint))
    return int(found[1]) * _UNITS[found[2]]


def span(length: float) -> str:
    """`40 s`, `14 min 50 s`, `2 h 5 min`: the two largest units, and none that is nought."""
    whole = max(int(length), 0)
    parts = ((whole // 3600, "h"), (whole // 60 % 60, "min"), (whole % 60, "s"))
    first = next((i for i, (number, _) in enumerate(parts) if number), len(parts) - 1)
    shown = [(n, unit) for i, (n, unit) in enumerate(parts[first : first + 2]) if n or not i]
    return " ".join(f"{number} {unit}" for number, unit in shown)
