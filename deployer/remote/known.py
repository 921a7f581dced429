"""Where pinned host keys are kept."""

from __future__ import annotations

from pathlib import Path


def known_hosts(named: str | None) -> Path:
    """fleet.json's file, else OpenSSH's own; made empty where it is missing."""
    path = Path(named or "~/.ssh/known_hosts").expanduser()
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
    return path
