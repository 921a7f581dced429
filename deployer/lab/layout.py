"""Where the lab keeps things on this machine, and how its hosts are named and addressed."""

from __future__ import annotations

import os
from pathlib import Path

BRIDGE = "deployerlab0"
BRIDGE_ADDRESS = "02:77:00:00:00:01"
"""Given, or the bridge takes that of a host and changes it whenever hosts come and go."""
GATEWAY = "10.77.0.1"
PREFIX = 24
SUBNET = "10.77.0.0/24"
VETH = "deployerlab-"
TABLE = "deployer_lab"
MOST_HOSTS = 50
AT_ONCE = 4
"""Hosts that are copied, started or asked at the same time."""

ADMIN = "admin"
"""A user of every host whose sudo asks nothing."""
ASKER = "asker"
"""A user of every host whose sudo asks for `ASKER_PASSWORD`."""
ASKER_PASSWORD = "asker"


def home() -> Path:
    """All state of the lab; `DEPLOYER_LAB_DIR` moves it, for a disk with more room."""
    return Path(os.environ.get("DEPLOYER_LAB_DIR", "/var/lib/deployer-lab"))


def cgroup() -> str:
    """The control group of all hosts, named after the lab's folder: one lab never ends another's."""
    return home().name


def lock() -> Path:
    """Held while a lab command runs."""
    return Path(f"/run/{home().name}.lock")


def cache() -> Path:
    """Debian roots to copy, each named after its suite and the digest of what it is made of."""
    return home() / "cache"


def hosts() -> Path:
    """One folder for each host: its LXC config and its root; a `.partial` one is garbage."""
    return home() / "hosts"


def host(name: str) -> Path:
    """All that is kept of one host."""
    return hosts() / name


def rootfs(name: str) -> Path:
    """The host's disk."""
    return host(name) / "rootfs"


def key() -> Path:
    """The private key that every user of every host accepts."""
    return home() / "keys" / "id_ed25519"


def known_hosts() -> Path:
    """The hosts' public keys, for the lab's own use; `up` writes a copy beside `fleet.json`."""
    return home() / "keys" / "known_hosts"


def record() -> Path:
    """Remembers the folder that the last `up` wrote to."""
    return home() / "lab.json"


def name(number: int) -> str:
    """Hosts count from 1."""
    return f"box-{number}"


def names(count: int) -> list[str]:
    """The first `count` of them."""
    return [name(number) for number in range(1, count + 1)]


def number(name: str) -> int:
    """The number in a host's name."""
    return int(name.removeprefix("box-"))


def address(name: str) -> str:
    """10.77.0.11 for the first."""
    return f"10.77.0.{10 + number(name)}"


def hardware_address(name: str) -> str:
    """Fixed, so that a neighbour's ARP entry still holds after a reboot."""
    return f"02:77:00:00:00:{10 + number(name):02x}"


def veth(name: str) -> str:
    """The machine's end of the host's cable; the kernel allows 15 characters."""
    return f"{VETH}{number(name)}"
