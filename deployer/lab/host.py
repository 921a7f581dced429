"""A host's root: a copy of the base with a name, an identity and keys of its own."""

from __future__ import annotations

import uuid
from pathlib import Path

from deployer.lab import command, layout, machine
from deployer.lab.templates import render


def ensure(name: str, base: Path) -> bool:
    """Makes the root where there is none, and refreshes what the machine decides; True if it was made."""
    made = not layout.host(name).exists()
    if made:
        _make(name, base)
    _refresh(layout.rootfs(name))
    return made


def existing() -> list[str]:
    """The hosts whose roots are complete, by number."""
    found = [entry.name for entry in layout.hosts().glob("box-*") if entry.suffix != ".partial"]
    return sorted(found, key=layout.number)


def leftovers() -> list[Path]:
    """Roots that a killed run had not finished to copy or to delete."""
    return sorted(layout.hosts().glob("*.partial"))


def known_hosts(names: list[str]) -> str:
    """The public host keys, as OpenSSH keeps them."""
    lines = []
    for name in names:
        for file in sorted(layout.rootfs(name).glob("etc/ssh/ssh_host_*_key.pub")):
            kind, key = file.read_text().split()[:2]
            lines.append(f"{layout.address(name)} {kind} {key}\n")
    return "".join(lines)


def resolver() -> str:
    """A host's `resolv.conf`: this machine's, or, where that names a local resolver, what that one asks."""
    own, behind = Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf")
    text = own.read_text() if own.exists() else ""
    return behind.read_text() if "nameserver 127." in text and behind.exists() else text


def ensure_key() -> None:
    """The key pair with which everybody enters the lab."""
    if not layout.key().exists():
        layout.key().parent.mkdir(parents=True, exist_ok=True)
        partial = layout.key().with_suffix(".partial")
        for stale in (partial, partial.with_suffix(".partial.pub")):
            stale.unlink(missing_ok=True)
        quiet = ("-q", "-t", "ed25519", "-N", "", "-C", "deployer-lab")
        command.run(("ssh-keygen", *quiet, "-f", str(partial)))
        Path(f"{partial}.pub").rename(f"{layout.key()}.pub")
        partial.rename(layout.key())


def _make(name: str, base: Path) -> None:
    partial = layout.hosts() / f"{name}.partial"
    partial.mkdir(parents=True)
    root = partial / "rootfs"
    command.run((*command.DIES_WITH_US, "cp", "-a", "--reflink=auto", str(base), str(root)))
    (root / "etc/hostname").write_text(f"{name}\n")
    (root / "etc/hosts").write_text(render("hosts.j2", name=name))
    (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")
    command.run(("ssh-keygen", "-A", "-f", str(root)))
    partial.rename(layout.host(name))


def _refresh(root: Path) -> None:
    machine.write_whole(root / "etc/ssh/lab_keys", Path(f"{layout.key()}.pub").read_text())
    if not (root / "etc/resolv.conf").is_symlink():
        machine.write_whole(root / "etc/resolv.conf", resolver())
