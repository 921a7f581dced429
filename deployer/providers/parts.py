"""Package, File and Unit: the parts that providers are composed of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deployer.model.diff import Sealed
from deployer.model.steps import Guard, Put, Sh, Stage, Step, Text
from deployer.providers.base import About, roles
from deployer.spec.fleet import Host
from deployer.spec.spec import Spec
from deployer.world.facts import Facts

APT = ("apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300", "-o", "APT::Get::Assume-Yes=true")


@dataclass(frozen=True)
class PackageSeen:
    key: str
    installed: bool


@dataclass(frozen=True)
class Package:
    """A Debian package; which version is the distribution's business."""

    name: str

    @property
    def key(self) -> str:
        return f"package:{self.name}"

    def expect(self) -> PackageSeen:
        return PackageSeen(self.key, True)


@dataclass(frozen=True)
class FileSeen:
    key: str
    content: str
    mode: str
    owner: str


@dataclass(frozen=True)
class File:
    path: str
    content: Text
    mode: int = 0o644
    owner: str = "root:root"
    stage: Stage = Stage.PREPARE
    after: tuple[Sh, ...] = ()
    """What must run once the file is there, said by `say_after`."""
    say_after: str = ""
    guard: Guard | None = None

    @property
    def key(self) -> str:
        return f"file:{self.path}"

    def expect(self) -> FileSeen:
        return FileSeen(self.key, digest(self.content), f"{self.mode:04o}", self.owner)


@dataclass(frozen=True)
class UnitSeen:
    key: str
    active: bool
    enabled: bool


@dataclass(frozen=True)
class Unit:
    name: str
    stage: Stage = Stage.PREPARE

    @property
    def key(self) -> str:
        return f"unit:{self.name}"

    def expect(self) -> UnitSeen:
        return UnitSeen(self.key, True, True)


PartSeen = PackageSeen | FileSeen | UnitSeen


REREAD = Sh(("systemctl", "daemon-reload"))


def unit_file(path: str, content: Text, stage: Stage = Stage.PREPARE) -> File:
    """A unit of systemd's, or a part of one, for which it must read its units again."""
    return File(path, content, stage=stage, after=(REREAD,), say_after="let systemd read its units again")


def loaded(facts: Facts, path: str) -> str | None:
    """The digest of what a daemon took in last, as it has noted there; None where it has noted nothing."""
    return facts.texts.get(path, "").partition(" ")[0] or None


def digest(content: Text) -> str:
    return Sealed(content.sha) if content.secret else content.sha


def see_packages(facts: Facts, names: Iterable[str]) -> Iterator[PackageSeen]:
    return (PackageSeen(f"package:{n}", True) for n in sorted(names) if n in facts.packages)


def see_files(facts: Facts, prefixes: tuple[str, ...]) -> Iterator[FileSeen]:
    """Every file of facts under `prefixes`, which must be ours."""
    for path in sorted(path for path in facts.files if path.startswith(prefixes)):
        seen = facts.files[path]
        yield FileSeen(f"file:{path}", seen.sha, f"{seen.mode:04o}", seen.owner)


def see_units(facts: Facts, names: Iterable[str]) -> Iterator[UnitSeen]:
    for name in sorted(names):
        if name in facts.units:
            yield UnitSeen(f"unit:{name}", facts.active(name), facts.enabled(name))


def install(packages: Iterable[str], stage: Stage = Stage.PREPARE) -> Iterator[Step]:
    """Install without recommended packages; the update is one step that all installs share."""
    yield Step(stage, "update the package lists", Sh((*APT, "update"), timeout=600), once=True)
    for name in packages:
        argv = (*APT, "install", "--no-install-recommends", name)
        yield Step(stage, f"install {name}", Sh(argv, timeout=1800))


def put(file: File) -> Iterator[Step]:
    put = Put(file.path, file.content, file.mode, file.owner)
    yield Step(file.stage, f"write {file.path}", put, guard=file.guard)
    for act in file.after:
        yield Step(file.stage, file.say_after, act, guard=file.guard)


def remove(path: str, stage: Stage) -> Step:
    return Step(stage, f"remove {path}", Sh(("rm", "-rf", "--one-file-system", "--", path), file=path))


def systemctl(verb: str, *words: str, stage: Stage, say: str, timeout: int = 120) -> Step:
    return Step(stage, say, Sh(("systemctl", verb, *words), timeout=timeout))


def start(unit: Unit, differs: frozenset[str]) -> Iterator[Step]:
    if "enabled" in differs:
        yield systemctl("enable", unit.name, stage=unit.stage, say=f"enable {unit.name}")
    if "active" in differs:
        yield systemctl("start", unit.name, stage=unit.stage, say=f"start {unit.name}")


def converge(
    want: Package | File | Unit | None, have: PartSeen | None, differs: frozenset[str]
) -> Iterator[Step]:
    """Steps for a part; what is no longer wanted is removed, but a package never is."""
    match want:
        case Package(name):
            yield from install([name])
        case File():
            yield from put(want)
        case Unit():
            yield from start(want, differs)
        case None if isinstance(have, FileSeen):
            yield remove(have.key.removeprefix("file:"), Stage.RETIRE)


def about(spec: Spec, host: Host, key: str, rule: str) -> About:
    """What there is to say of a part that a host has for its roles."""
    kind, _, name = key.partition(":")
    place = f"package {name} (dpkg)" if kind == "package" else name
    keep = f"give {host.name} a role that needs it, in fleet.json"
    drop = f"take the role that needs it from {host.name}, in fleet.json"
    return About((roles(spec, host),), (place,), rule, keep, drop)
