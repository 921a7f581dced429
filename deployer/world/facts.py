"""What to look at on a host, and what was seen there in one look."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from typing import Any

from deployer.problems import DeployerError, Problem

VERSION = 1


@dataclass(frozen=True)
class Probe:
    """A request. `files`, `texts`, `private`, `readable` and `folders` are globs; the rest are exact names.

    `files` are hashed; `texts` (never a secret) and `private` (secrets) are read back too, and so are
    `readable` as far as everybody on the host may read them. `lines` are globs with a pattern each: of files
    that are not ours, only the lines that fit are read back.
    """

    files: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    private: frozenset[str] = frozenset()
    readable: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()
    units: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()
    tables: frozenset[str] = frozenset()
    lines: frozenset[tuple[str, str]] = frozenset()

    def __or__(self, other: Probe) -> Probe:
        return Probe(*(getattr(self, f.name) | getattr(other, f.name) for f in fields(self)))

    def as_dict(self) -> dict[str, list[Any]]:
        return {f.name: sorted(getattr(self, f.name)) for f in fields(self)}


@dataclass(frozen=True)
class FileSeen:
    """Bytes on disk: SHA-256, permission bits, `user:group`."""

    sha: str
    mode: int
    owner: str


@dataclass(frozen=True)
class UnitSeen:
    """What systemd says: `active` is ActiveState, `enabled` UnitFileState."""

    active: str
    sub: str
    enabled: str


@dataclass(frozen=True)
class Facts:
    """One host at one moment (`schemas/facts.schema.json`); a fresh host has `python` false."""

    host: str
    python: bool = True
    codename: str = ""
    cgroup: int = 2
    apparmor: bool = False
    memory: int = 0
    """MB of the machine."""
    disk_free: int = 0
    """MB free under /var/lib."""
    addresses: tuple[str, ...] = ()
    interfaces: Mapping[str, str] = field(default_factory=dict)
    """`address/prefix` of each address to the network interface that has it."""
    resolvers: tuple[str, ...] = ()
    listeners: Mapping[int, str] = field(default_factory=dict)
    files: Mapping[str, FileSeen] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    private: Mapping[str, str] = field(default_factory=dict, repr=False)
    readable: Mapping[str, str] = field(default_factory=dict, repr=False)
    folders: frozenset[str] = frozenset()
    units: Mapping[str, UnitSeen] = field(default_factory=dict)
    packages: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lines: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By path, the lines of other people's files that were asked for."""
    answers: Mapping[str, bool] = field(default_factory=dict)
    """`address:port` of each dyno with a port, and whether it accepted."""

    def sha(self, path: str) -> str | None:
        seen = self.files.get(path)
        return seen.sha if seen else None

    def active(self, unit: str) -> bool:
        seen = self.units.get(unit)
        return seen is not None and seen.active == "active"

    def enabled(self, unit: str) -> bool:
        seen = self.units.get(unit)
        return seen is not None and seen.enabled == "enabled"

    def document(self, path: str) -> Mapping[str, Any]:
        """The JSON object in a text that was read; empty where the file is absent or damaged."""
        return _object(self.texts.get(path, ""))

    def documents(self, prefix: str, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """`(folder, object)` of each `prefix/<folder>/name`, by folder."""
        for folder in self._holding.get((prefix, name), ()):
            if found := _object(self.texts[f"{prefix}/{folder}/{name}"]):
                yield folder, found

    @cached_property
    def _holding(self) -> Mapping[tuple[str, str], list[str]]:
        """By prefix and name, the folders of `documents`."""
        found: dict[tuple[str, str], list[str]] = {}
        for path in sorted(self.texts):
            way, _, name = path.rpartition("/")
            prefix, _, folder = way.rpartition("/")
            found.setdefault((prefix, name), []).append(folder)
        return found


@lru_cache(1 << 16)
def _object(text: str) -> Mapping[str, Any]:
    """Most documents are the same on all hosts: an app's record names every one of them."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def fresh(host: str) -> Facts:
    """A host that cannot be looked at yet: plain Debian without python3."""
    return Facts(host=host, python=False)


def read(host: str, document: Mapping[str, Any]) -> Facts:
    """Facts from the probe's document. Raises DeployerError for another version of it."""
    if document.get("version") != VERSION:
        raise DeployerError(
            Problem(f"the probe on {host} speaks version {document.get('version')}, not {VERSION}")
        )
    return Facts(
        host=host,
        codename=document["codename"],
        cgroup=document["cgroup"],
        apparmor=document["apparmor"],
        memory=document["memory"],
        disk_free=document["disk_free"],
        addresses=tuple(document["addresses"]),
        resolvers=tuple(document["resolvers"]),
        listeners={int(port): name for port, name in document["listeners"].items()},
        files={path: FileSeen(**seen) for path, seen in document["files"].items()},
        texts=document["texts"],
        private=document["private"],
        readable=document["readable"],
        folders=frozenset(document["folders"]),
        units={name: UnitSeen(**seen) for name, seen in document["units"].items()},
        packages=document["packages"],
        tables=document["tables"],
        interfaces=document["interfaces"],
        lines={path: tuple(found) for path, found in document["lines"].items()},
        answers=document["answers"],
    )
