"""Which names a config var may have (Heroku contract 7.4)."""

from __future__ import annotations

import re

_NAME = re.compile(r"(?!__)[A-Za-z_][A-Za-z0-9_]*")
PORT = "PORT"


def objection(name: str) -> str:
    """Why this name cannot be set, as the end of a sentence; "" if it can."""
    if name.startswith("HEROKU_"):
        return "belongs to the platform, like all names that begin with HEROKU_"
    if not _NAME.fullmatch(name):
        return "is no name for a config var: letters, digits and _ make one, and no digit or __ begins it"
    return "is chosen by the platform for every dyno" if name == PORT else ""


def is_free(name: str) -> bool:
    """Whether users may set this name."""
    return not objection(name)
