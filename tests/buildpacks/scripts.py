"""Scripts of buildpacks, run here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def ran(*argv: object, env: dict[str, str] | None = None, cwd: Path | None = None) -> tuple[int, str]:
    """Exit status and all that was said."""
    done = subprocess.run(
        [str(word) for word in argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, "STACK": "debian-12", **(env or {})},
        cwd=cwd,
    )
    return done.returncode, done.stdout


def written(folder: Path, files: dict[str, str]) -> Path:
    """The folder, with these files in it."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder
