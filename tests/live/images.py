"""Stack images are made by one fleet of the run, as any build host makes them, and given to the others: that takes minutes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from here import HOSTS

from deployer.lab import machine
from deployer.lab.layout import Ground

STACKS = "var/lib/deployer/stacks"
ON = {"box-1": ("build", "run"), "box-2": ("run",), "box-3": ("run",)}
"""The variants that a host of a fleet has after a first apply; the lock beside them is each fleet's own."""


@contextmanager
def made_once(run: Path, ground: Ground) -> Iterator[None]:
    """Around a fleet's first apply. `run` is a folder of the whole test run; who comes while images are made waits."""
    made = run / "images"
    with machine.only_one(_lock(run), print):
        if not made.exists():
            yield
            made.unlink(missing_ok=True)
            made.symlink_to(ground.rootfs("box-1") / STACKS)
            return
        for host in HOSTS:
            images = (image for kind in ON[host] for image in sorted(made.glob(f"*.{kind}")))
            _give(images, ground.rootfs(host) / STACKS)
    yield


def kept_by_nobody(run: Path) -> AbstractContextManager[None]:
    """While the block runs nobody copies images: hold it to take down a fleet, which may be the one that made them."""
    return machine.one_of_many(_lock(run))


def _lock(run: Path) -> Path:
    return run / "images.lock"


def _give(images: Iterable[Path], stacks: Path) -> None:
    """As links: nobody writes into an image, and a fleet's are more than 2 GB."""
    stacks.mkdir(parents=True, exist_ok=True)
    for image in images:
        subprocess.run(("cp", "--archive", "--link", image, stacks), check=True)
