"""What can go wrong, said so that it can be put right: what, where, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Where:
    """A place: a local file (`line` and `column` count from 1) or `host/address` in `file`."""

    file: str
    line: int | None = None
    column: int | None = None
    pointer: str = ""
    source: str | None = None
    """The line of the file itself, to be shown with a marker under `column`."""

    def __str__(self) -> str:
        numbers = (str(n) for n in (self.line, self.column) if n is not None)
        return ":".join((self.file, *numbers))


@dataclass(frozen=True)
class Problem:
    """One finding. `hint` is the next step, a command or an edit the reader can make."""

    summary: str
    where: Where | None = None
    detail: str = ""
    hint: str = ""
    severity: Literal["error", "warning"] = "error"


class DeployerError(Exception):
    """Something the user must see. Exit codes are the table of docs/architecture.md, "Exit codes"."""

    exit_code = 1

    def __init__(self, problems: Iterable[Problem] | Problem | str) -> None:
        self.problems = _all(problems)
        super().__init__("; ".join(p.summary for p in self.problems))


def _all(problems: Iterable[Problem] | Problem | str) -> tuple[Problem, ...]:
    if isinstance(problems, str):
        return (Problem(problems),)
    return (problems,) if isinstance(problems, Problem) else tuple(problems)


class InputError(DeployerError):
    """The user's files or flags are wrong; nothing was changed."""

    exit_code = 1


class PartlyAppliedError(DeployerError):
    """Some hosts failed, the others went on; `left` is the next plan: what remains to be done."""

    exit_code = 3

    def __init__(self, problems: Iterable[Problem] | Problem | str, left: Any = None) -> None:
        super().__init__(problems)
        self.left = left


class UnreachableError(DeployerError):
    """A host that is needed cannot be reached; nothing was changed."""

    exit_code = 4


class StalePlanError(DeployerError):
    """The saved plan is not what a fresh look gives; nothing was changed."""

    exit_code = 5


class LockedError(DeployerError):
    """Somebody else holds the lock. Nothing was changed; if it was lost on the way, no more than was said."""

    exit_code = 6


class UnsettledError(DeployerError):
    """Everything ran, and the second look still finds differences."""

    exit_code = 7


class ReleaseFailedError(DeployerError):
    """The new release did not come up; the old one was kept or put back."""

    exit_code = 8


class StoppedError(DeployerError):
    """Interrupted: the step that was running was finished, and the next plan is the remainder."""

    exit_code = 130


CHANGES_PENDING = 2
INTERRUPTED = 130


class ReaderLeftError(BrokenPipeError):
    """Whoever read, such as `head`, has seen enough of what only shows: nothing is left undone."""
