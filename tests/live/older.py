"""The deployer as it was at an older commit, run beside today's on the same hosts."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import ROOT, Shop

COMMIT = "88bab6c72fe889a73137a9d48076c6fc2d3e6871"
"""The fleet of the upgrade test is made by its code; it has the tag `upgrade-from`, too."""


def code(folder: Path) -> Path:
    """That commit's tree in `folder`. A shallow clone is asked for the commit; one that cannot get it fails."""
    is_here = git("cat-file", "-e", f"{COMMIT}^{{commit}}")
    found = git("fetch", "--quiet", "--depth", "1", "origin", COMMIT) if is_here.returncode else is_here
    if found.returncode:
        pytest.fail(
            f"this clone has no commit {COMMIT}, whose code makes the fleet that is upgraded here; "
            f"next: git -C {ROOT} fetch --unshallow\n{found.stderr.decode()}"
        )
    with tarfile.open(fileobj=io.BytesIO(git("archive", COMMIT).stdout)) as tree:
        tree.extractall(folder, filter="data")
    return folder


def git(*words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(("git", "-C", ROOT, *words), capture_output=True, check=False, timeout=60)


@dataclass
class Older(Shop):
    """An app's folder and the older command line. The packages that it imports are those of today's lock file."""

    code: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "PYTHONPATH": str(self.code)}

    def argv(self, *words: str) -> list[str]:
        """-P, or the code below the current folder would come first."""
        return [sys.executable, "-P", "-m", "deployer", *words, "-C", str(self.folder)]

    def lies_at(self) -> Path:
        """Where the code is that runs."""
        argv = (sys.executable, "-P", "-c", "import deployer; print(deployer.__file__)")
        done = subprocess.run(
            argv, env=self.environment, capture_output=True, text=True, check=True, timeout=60
        )
        return Path(done.stdout.strip())
