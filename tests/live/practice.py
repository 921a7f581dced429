"""The practice fleets of a test run: made when one is wanted, and gone at its end, whatever became of the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import images
import pytest
from here import OURS

from deployer.lab import record
from deployer.lab.layout import Ground

DEPLOY = str(Path(sys.executable).parent / "deploy")
KEEP = os.environ.get("KEEP_LAB")
"""Whether a fleet stays up after a failure, to look into."""


@contextmanager
def fleet(name: str, folder: Path, run: Path, session: pytest.Session) -> Iterator[Ground]:
    """Three fresh hosts, with their `fleet.json` in `folder`."""
    failed = True
    if name in left_over():
        _lab(name, "down")
    try:
        _lab(name, "up", "--hosts", "3", "-C", str(folder))
        yield record.find(name)
        failed = session.testsfailed > 0
    finally:
        if not (KEEP and failed):
            with images.kept_by_nobody(run):
                _lab(name, "down")


def left_over() -> list[str]:
    """Fleets of this clone's tests that are up, by name; only root can have any."""
    if os.geteuid() != 0:
        return []
    return [found.lab for found in record.all_labs() if found.lab.startswith(OURS)]


def ways_in() -> list[str]:
    """What to do with those that stay."""
    grounds = [record.find(name) for name in left_over()]
    return [
        f"the fleet {ground.lab} stays up. Enter it: ssh -i {ground.key} -o UserKnownHostsFile={ground.known_hosts} root@{ground.address('box-1')}"
        f"   Remove it: {DEPLOY} lab down --name {ground.lab}"
        for ground in grounds
    ]


def _lab(name: str, *words: str) -> None:
    subprocess.run((DEPLOY, "lab", *words, "--name", name), check=True, timeout=1800)
