"""Where labs keep things on this machine, and how a lab and its hosts are named and addressed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from deployer.problems import InputError, Problem

DEFAULT = "default"
"""The lab of who names none, `make demo` among them; its number is 0."""
NAME = r"[a-z]([a-z0-9-]{0,28}[a-z0-9])?"
SUBNETS = "10.77.0.0/16"
"""Lab N has 10.77.N.0/24 of it."""
PREFIX = 24
BRIDGES = "deployerlab"
"""What the names of all labs' bridges begin with."""
MOST_LABS = 250
"""What their numbers leave room for, in an address as in the 15 characters of a link's name."""
MOST_HOSTS = 50
AT_ONCE = 4
"""Hosts that are copied, started or asked at the same time."""

ADMIN = "admin"
"""A user of every host whose sudo asks nothing."""
ASKER = "asker"
"""A user of every host whose sudo asks for `ASKER_PASSWORD`."""
ASKER_PASSWORD = "asker"


def home() -> Path:
    """All state of all labs; `DEPLOYER_LAB_DIR` moves it, for a disk with more room."""
    return Path(os.environ.get("DEPLOYER_LAB_DIR", "/var/lib/deployer-lab"))


def labs() -> Path:
    """A folder for each lab but the default one, which has its things in `home()` itself."""
    return home() / "labs"


def cache() -> Path:
    """Debian roots to copy, each named after its suite and the digest of what it is made of."""
    return home() / "cache"


def forward_before() -> Path:
    """What `ip_forward` was before the first lab."""
    return home() / "ip_forward.before"


def lock(what: str) -> Path:
    """Held while a command works on one lab, or on what all share (`machine`, `cache`, `copies`)."""
    return Path(f"/run/{home().name}.{what}.lock")


def named(lab: str) -> str:
    """The name, if a lab may have it; raises `InputError` otherwise."""
    if not re.fullmatch(NAME, lab):
        hint = "use up to 30 small letters, digits and hyphens, for example --name trial"
        raise InputError(Problem(f"a lab cannot be called {lab!r}", hint=hint))
    return lab


@dataclass(frozen=True)
class Ground:
    """What is one lab's alone: its folder, its control groups, its links and its addresses."""

    lab: str
    number: int

    @property
    def folder(self) -> Path:
        return home() if self.lab == DEFAULT else labs() / self.lab

    @property
    def hosts(self) -> Path:
        """One folder for each host: its LXC config and its root; a `.partial` one is garbage."""
        return self.folder / "hosts"

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def key(self) -> Path:
        """The private key that every user of every host accepts."""
        return self.keys / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The hosts' public keys, for the lab's own use; `up` writes a copy beside `fleet.json`."""
        return self.keys / "known_hosts"

    @property
    def record(self) -> Path:
        """Remembers the lab's number, and the folder that the last `up` wrote to."""
        return self.folder / "lab.json"

    @property
    def lock(self) -> Path:
        """Held while a command works on this lab."""
        return lock(f"lab-{self.lab}")

    @property
    def cgroup(self) -> str:
        """The control group of all its hosts, named after its folder: one lab never ends another's."""
        return home().name if self.lab == DEFAULT else f"{home().name}.{self.lab}"

    @property
    def bridge(self) -> str:
        """The link that its hosts hang on; its table of rules is called the same."""
        return f"{BRIDGES}{self.number}"

    @property
    def bridge_address(self) -> str:
        """Given, or the bridge takes that of a host and changes it whenever hosts come and go."""
        return self._hardware(1)

    @property
    def gateway(self) -> str:
        return self._address(1)

    @property
    def subnet(self) -> str:
        """10.77.0.0/24 for the default lab."""
        return f"{self._address(0)}/{PREFIX}"

    @property
    def cables(self) -> str:
        """What the names of its hosts' cables begin with."""
        return f"deplab{self.number}-"

    def host(self, name: str) -> Path:
        """All that is kept of one host."""
        return self.hosts / name

    def rootfs(self, name: str) -> Path:
        """The host's disk."""
        return self.host(name) / "rootfs"

    def address(self, name: str) -> str:
        """10.77.0.11 for the first of the default lab."""
        return self._address(10 + number(name))

    def hardware_address(self, name: str) -> str:
        """Fixed, so that a neighbour's ARP entry still holds after a reboot."""
        return self._hardware(10 + number(name))

    def veth(self, name: str) -> str:
        """The machine's end of the host's cable."""
        return f"{self.cables}{number(name)}"

    def _address(self, last: int) -> str:
        return f"10.77.{self.number}.{last}"

    def _hardware(self, last: int) -> str:
        return f"02:77:00:00:{self.number:02x}:{last:02x}"


def name(number: int) -> str:
    """Hosts count from 1, in every lab."""
    return f"box-{number}"


def names(count: int) -> list[str]:
    """The first `count` of them."""
    return [name(number) for number in range(1, count + 1)]


def number(name: str) -> int:
    """The number in a host's name."""
    return int(name.removeprefix("box-"))
