"""The journal of a command: all that happened, kept on this machine for whoever asks why something failed."""

from __future__ import annotations

import os
from pathlib import Path

KEPT = 20
"""Journals of one app that stay; the oldest go."""


class Journal:
    """One file below `$XDG_STATE_HOME/deployer/logs/APP`, for its owner alone.

    Logs are state by the XDG Base Directory Specification 0.8. A journal that cannot be written ends nothing:
    `lost` says why from then on.
    """

    def __init__(self, app: str, name: str) -> None:
        self.app, self.name, self.lost = app, name, ""
        self._file: int | None = None

    def write(self, lines: str) -> None:
        """At once: a run that is killed has told all that it did."""
        if self.lost:
            return
        try:
            self._file = _opened(self.path) if self._file is None else self._file
            os.write(self._file, lines.encode("utf-8", "replace") + b"\n")
        except (OSError, RuntimeError) as error:
            self.lost = str(error)

    @property
    def path(self) -> Path:
        """Raises RuntimeError for somebody who has no home."""
        named = os.environ.get("XDG_STATE_HOME", "")
        state = Path(named) if os.path.isabs(named) else Path.home() / ".local/state"
        return state / "deployer/logs" / self.app / f"{self.name}.log"

    def __str__(self) -> str:
        return f"there is no journal: {self.lost}" if self.lost else f"all that happened is in {self.path}"


def _opened(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    others = sorted({*path.parent.glob("*.log")} - {path})
    for old in others[: max(len(others) + 1 - KEPT, 0)]:
        old.unlink(missing_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
