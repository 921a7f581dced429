"""What an app's files say of the Python that they need; run by the stack's own.

pins.py pin PIPFILE_LOCK             the version that it asks for
pins.py unmet VERSION PYPROJECT      requires-python, where VERSION does not meet it
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path

CLAUSE = re.compile(r"(~=|==|!=|<=|>=|<|>)\s*(\d+(?:\.\d+)*)(\.\*)?$")


def pin(lock: str) -> str:
    """`python_full_version` of a Pipfile.lock, or `python_version`; a range is for pipenv to judge."""
    requires = json.loads(Path(lock).read_text())["_meta"].get("requires", {})
    version = str(requires.get("python_full_version") or requires.get("python_version", ""))
    return version if re.fullmatch(r"\d+\.\d[\d.]*", version) else ""


def unmet(version: str, pyproject: str) -> str:
    """The specifier of a pyproject.toml, where it does not admit the version."""
    path = Path(pyproject)
    project = tomllib.loads(path.read_text()).get("project", {}) if path.exists() else {}
    spec = str(project.get("requires-python", ""))
    return "" if all(admits(clause.strip(), version) for clause in spec.split(",")) else spec


def admits(clause: str, version: str) -> bool:
    """Whether one clause such as `>=3.11` admits a version; any other form is for the manager to judge."""
    match = CLAUSE.match(clause)
    if not match:
        return True
    sign, said, wildcard = match.groups()
    bound = numbers(said)
    have = numbers(version)
    start = have[: len(bound)] == bound
    if wildcard:
        return start if sign == "==" else not start
    size = max(len(have), len(bound))
    left, right = padded(have, size), padded(bound, size)
    return {
        "~=": left >= right and have[: len(bound) - 1] == bound[:-1],
        "==": left == right,
        "!=": left != right,
        "<=": left <= right,
        ">=": left >= right,
        "<": left < right,
        ">": left > right,
    }[sign]


def numbers(version: str) -> tuple[int, ...]:
    """3.11.2 as numbers, without what follows them."""
    return tuple(int(part) for part in re.sub(r"[^\d.].*", "", version).split("."))


def padded(parts: tuple[int, ...], size: int) -> tuple[int, ...]:
    """With zeros at the end."""
    return parts + (0,) * (size - len(parts))


if __name__ == "__main__":
    print(pin(sys.argv[2]) if sys.argv[1] == "pin" else unmet(sys.argv[2], sys.argv[3]))
