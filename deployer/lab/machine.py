"""The machine that the lab runs on: what it must be, what it must have, and who may change it now."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from deployer.lab import command, layout
from deployer.problems import DeployerError, Problem, Where

Say = Callable[[str], None]

PACKAGE_OF = {
    "mmdebstrap": "mmdebstrap",
    "lxc-start": "lxc",
    "nft": "nftables",
    "ip": "iproute2",
    "ssh": "openssh-client",
}
"""A command that the lab calls -> the Debian package that brings it."""


def require() -> None:
    """Raises a `DeployerError` that names everything about this machine that rules a lab out."""
    problems = []
    if os.geteuid() != 0:
        problems.append(Problem("the lab needs root", hint="run it again with sudo"))
    if _os_release().get("ID") != "debian":
        hint = "run it on Debian 12 or later, or use your own machines in fleet.json"
        problems.append(Problem("the lab needs a Debian machine", Where("/etc/os-release"), hint=hint))
    if problems:
        raise DeployerError(problems)


def make_home() -> None:
    """Makes the labs' folder, for root only; refuses overlayfs, on which no dyno can mount one of its own."""
    layout.home().mkdir(mode=0o700, parents=True, exist_ok=True)
    kind = command.run(("stat", "--file-system", "--format=%T", str(layout.home()))).strip()
    if kind == "overlayfs":
        hint = "set DEPLOYER_LAB_DIR to a folder on ext4, xfs or btrfs"
        raise DeployerError(Problem("the lab cannot live on overlayfs", Where(str(layout.home())), hint=hint))


def codename() -> str:
    """The Debian suite of this machine, which is also that of the hosts: `bookworm`."""
    return _os_release().get("VERSION_CODENAME", "stable")


def install_missing(say: Say) -> None:
    """Brings what the lab calls and this machine lacks, without recommended packages."""
    missing = sorted(package for called, package in PACKAGE_OF.items() if not command.exists(called))
    if missing:
        say(f"installing {', '.join(missing)} on this machine")
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        command.run(("apt-get", "update", "--quiet"), env=quiet)
        patient = ("--option", "DPkg::Lock::Timeout=600")
        command.run(
            ("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *patient, *missing),
            env=quiet,
        )


@contextmanager
def only_one(lock: Path, say: Say) -> Iterator[None]:
    """One command at a time. The kernel drops the lock with its holder, however that ends."""
    with lock.open("w") as file:
        if not _taken(file, fcntl.LOCK_EX):
            say("waiting for another lab command to end")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def one_of_many(lock: Path) -> Iterator[None]:
    """Holds the lock together with others like this; `is_free` is false meanwhile."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def is_free(lock: Path) -> bool:
    """Whether nobody holds the lock at this moment."""
    with lock.open("w") as file:
        return _taken(file, fcntl.LOCK_EX)


def remove_tree(folder: Path) -> None:
    """Deletes a folder and what is mounted in it; it loses its name first, so that no half of it bears it."""
    doomed = folder if folder.suffix == ".partial" else folder.with_name(f"{folder.name}.partial")
    _delete(doomed)
    if folder.exists():
        folder.rename(doomed)
        _delete(doomed)


def write_whole(file: Path, text: str) -> None:
    """Writes a file only if it changes, and so that nobody ever reads half of it."""
    if file.exists() and file.read_text() == text:
        return
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(text)
    os.replace(partial, file)


def remove_if_empty(folder: Path) -> None:
    """Deletes a folder that has nothing left to hold."""
    if folder.exists() and not any(folder.iterdir()):
        folder.rmdir()


def _taken(file: TextIO, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _delete(folder: Path) -> None:
    for mount in reversed(_mounts_under(folder)):
        command.run(("umount", "--lazy", mount))
    command.run((*command.DIES_WITH_US, "rm", "-rf", "--one-file-system", str(folder)))


def _mounts_under(folder: Path) -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = (line.split()[4] for line in lines)
    return [point for point in points if Path(point).is_relative_to(folder)]


def _os_release() -> dict[str, str]:
    file = Path("/etc/os-release")
    lines = file.read_text().splitlines() if file.exists() else []
    return {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines)}
