"""A host's root: a copy of the base with a name, an identity and keys of its own."""

from __future__ import annotations

import uuid
from pathlib import Path

from deployer.lab import command, layout, machine
from deployer.lab.layout import Ground
from deployer.lab.templates import render


def ensure(ground: Ground, name: str, base: Path) -> bool:
    """Makes the root where there is none, and refreshes what the machine decides; True if it was made."""
    made = not ground.host(name).exists()
    if made:
        _make(ground, name, base)
    _refresh(ground, name)
    return made


def existing(ground: Ground) -> list[str]:
    """The hosts whose roots are complete, by number."""
    found = [entry.name for entry in ground.hosts.glob("box-*") if entry.suffix != ".partial"]
    return sorted(found, key=layout.number)


def leftovers(ground: Ground) -> list[Path]:
    """Roots that a killed run had not finished to copy or to delete."""
    return sorted(ground.hosts.glob("*.partial"))


def known_hosts(ground: Ground, names: list[str]) -> str:
    """The public host keys, as OpenSSH keeps them."""
    lines = []
    for name in names:
        for file in sorted(ground.rootfs(name).glob("etc/ssh/ssh_host_*_key.pub")):
            kind, key = file.read_text().split()[:2]
            lines.append(f"{ground.address(name)} {kind} {key}\n")
    return "".join(lines)


def resolver() -> str:
    """A host's `resolv.conf`: this machine's, or, where that names a local resolver, what that one asks."""
    own, behind = Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")
    text = own.read_text() if own.exists() else ""
    return behind.read_text() if "nameserver 127." in text and behind.exists() else text


def ensure_key(ground: Ground) -> None:
    """The key pair with which everybody enters the lab."""
    if not ground.key.exists():
        ground.key.parent.mkdir(parents=True, exist_ok=True)
        partial = ground.key.with_suffix(".partial")
        for stale in (partial, partial.with_suffix(".partial.pub")):
            stale.unlink(missing_ok=True)
        quiet = ("-q", "-t", "ed25519", "-N", "", "-C", "deployer-lab")
        command.run(("ssh-keygen", *quiet, "-f", str(partial)))
        Path(f"{partial}.pub").rename(f"{ground.key}.pub")
        partial.rename(ground.key)


def _make(ground: Ground, name: str, base: Path) -> None:
    partial = ground.hosts / f"{name}.partial"
    partial.mkdir(parents=True)
    root = partial / "rootfs"
    command.run((*command.DIES_WITH_US, "cp", "-a", "--reflink=auto", str(base), str(root)))
    (root / "etc/hostname").write_text(f"{name}\n")
    (root / "etc/hosts").write_text(render("hosts.j2", name=name))
    (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
    command.run(("ssh-keygen", "-A", "-f", str(root)))
    partial.rename(ground.host(name))


def _refresh(ground: Ground, name: str) -> None:
    root = ground.rootfs(name)
    machine.write_whole(root / "etc/ssh/lab_keys", Path(f"{ground.key}.pub").read_text())
    if not (root / "etc/resolv.conf").is_symlink():
        machine.write_whole(root / "etc/resolv.conf", resolver())
