"""Our own buildpacks as trees, and the commit that a folder stands at."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

import deployer.build
from deployer.model import Tree
from deployer.source.tree import tree


@cache
def buildpacks() -> tuple[tuple[str, Tree], ...]:
    """Each folder below `deployer/build/buildpacks`, by name: the order of detection."""
    home = Path(deployer.build.__file__).parent / "buildpacks"
    return tuple((folder.name, tree(folder)) for folder in sorted(home.iterdir()) if folder.is_dir())


def commit(folder: Path) -> str:
    """The commit of the checkout that `folder` lies in; empty where there is none."""
    argv = ("git", "-C", str(folder), "rev-parse", "--verify", "-q", "HEAD")
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10)
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
