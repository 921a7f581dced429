"""The Debian root that every host is a copy of, made once and kept."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deployer.lab import apt, command, layout, machine
from deployer.problems import DeployerError, Problem, Where

PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "iproute2",
    "ca-certificates",
    "sudo",
    "procps",
    "python3",
)
"""What a small Debian VM starts with; what dynos need is the deployer's to install."""

SETUP = Path(__file__).with_name("setup.sh")


UNSYNCED = """set -e
cd "$0"
mount -t overlay lab -o volatile,uuid=off,lowerdir=none,upperdir=root,workdir=work root
cd /
exec "$@"
"""
"""dpkg waits for the disk at every package; of a root that is only used when it is whole, once is enough."""


@contextmanager
def held(say: machine.Say) -> Iterator[Path]:
    """The cached root for this machine's suite and sources; while the block copies it, it stays."""
    with ExitStack() as copying:
        with machine.only_one(layout.lock("cache"), say):
            root = ensure(say)
            copying.enter_context(machine.one_of_many(layout.lock("copies")))
        yield root


def forget(say: machine.Say) -> None:
    """Deletes all cached roots, once nobody copies one any more."""
    with machine.only_one(layout.lock("cache"), say), machine.only_one(layout.lock("copies"), say):
        say(f"deleting {layout.cache()}")
        machine.remove_tree(layout.cache())


def ensure(say: machine.Say) -> Path:
    """Returns that root, making it where there is none; the caller holds the lock of the cache."""
    sources = apt.of_this_machine()
    root = layout.cache() / f"{machine.codename()}-{_digest(sources)}"
    _remove_others(root)
    if not root.exists():
        say(f"making a Debian {machine.codename()} root (once, about half a minute)")
        _make(root, sources)
    return root


def _make(root: Path, sources: apt.Apt) -> None:
    folder = root.with_name(f"{root.name}.partial")
    for name in ("root", "none", "work"):
        (folder / name).mkdir(parents=True)
    command.run(_bootstrap(folder, _write_inputs(folder, sources)))
    partial = folder / "root"
    _configure_apt(partial, sources)
    users = {"ADMIN": layout.ADMIN, "ASKER": layout.ASKER, "ASKER_PASSWORD": layout.ASKER_PASSWORD}
    command.run((*command.ALONE, "chroot", str(partial), "sh", "-s"), stdin=SETUP.read_text(), env=users)
    os.sync()
    partial.rename(root)
    machine.remove_tree(folder)


def _write_inputs(folder: Path, sources: apt.Apt) -> tuple[str, ...]:
    """The words that give mmdebstrap the machine's settings and sources: an option, then files."""
    texts = {"machine.list": sources.lines, "machine.sources": sources.stanzas}
    for name, text in texts.items():
        _write(folder / name, text)
    _write(folder / "settings", sources.settings or "# none\n")
    given = [str(folder / name) for name, text in texts.items() if text]
    if not given:
        problem = "this machine has no Debian package source that a host could use"
        hint = f"add Debian's sources for {machine.codename()} there, as its installer does"
        raise DeployerError(Problem(problem, Where("/etc/apt/sources.list.d"), hint=hint))
    return (f"--aptopt={folder / 'settings'}", *given)


def _bootstrap(folder: Path, inputs: tuple[str, ...]) -> tuple[str, ...]:
    option, *mirrors = inputs
    options = ("--mode=root", "--variant=minbase", f"--include={','.join(PACKAGES)}", option)
    make = ("mmdebstrap", "--quiet", *options, machine.codename(), str(folder / "root"), *mirrors)
    return (*command.ALONE, "sh", "-c", UNSYNCED, str(folder), *make)


def _configure_apt(root: Path, sources: apt.Apt) -> None:
    etc = root / "etc/apt"
    for left_by_mmdebstrap in (
        *etc.glob("sources.list"),
        *etc.glob("sources.list.d/*"),
        *etc.glob("*/99mm*"),
    ):
        left_by_mmdebstrap.unlink()
    _write(etc / "sources.list", sources.lines)
    _write(etc / "sources.list.d/machine.sources", sources.stanzas)
    _write(etc / "apt.conf.d/90machine", sources.settings)
    for file in (*sources.files, *sources.authorities):
        copy = root / file.relative_to("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)


def _write(file: Path, text: str) -> None:
    if text:
        file.write_text(text)


def _digest(sources: apt.Apt) -> str:
    parts = [*PACKAGES, SETUP.read_text(), *sources.parts()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _remove_others(root: Path) -> None:
    """Half-made roots, and, unless one is being copied, those of a suite or of sources that are no more."""
    unused = machine.is_free(layout.lock("copies"))
    for entry in sorted(layout.cache().glob("*")):
        if entry != root and (unused or entry.suffix == ".partial"):
            machine.remove_tree(entry)
