"""What commands put on the platform, on every host of the app: maintenance, domains, drains, certificates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.model.diff import Sealed
from deployer.model.steps import Put, Stage, Step, Text, sha
from deployer.providers import parts
from deployer.providers.base import About, plain_cause, roles
from deployer.spec import platform
from deployer.spec.fleet import Host
from deployer.spec.platform import Platform
from deployer.spec.spec import Spec
from deployer.world.facts import Facts, Probe
from deployer.world.releases import platform_path
from deployer.world.world import World

KEY = "settings"
_RULE = (
    "Every host of the app holds what commands have put on the platform (maintenance, domains, drains, "
    "certificates). Where hosts differ the latest edit is true."
)


@dataclass(frozen=True)
class PlatformSeen:
    """`content` is the digest of the whole file; the rest is for the reader of a plan."""

    key: str
    app: str
    content: str
    maintenance: str
    domains: Mapping[str, str]
    drains: Mapping[str, str]
    certificates: Mapping[str, str]


@dataclass(frozen=True)
class Wanted:
    app: str
    settings: Platform
    key: str = KEY

    def expect(self) -> PlatformSeen:
        return _seen(self.app, self.settings, self.settings.text())


class PlatformProvider:
    name = "platform"
    base = ()

    def desire(self, world: World, host: Host) -> Iterator[Any]:
        if host.roles and world.platform.serial:
            yield Wanted(world.app, world.platform)

    def probe(self, app: str) -> Probe:
        return Probe(private=frozenset({platform_path(app)}))

    def observe(self, app: str, facts: Facts) -> Iterator[Any]:
        if text := facts.private.get(platform_path(app)):
            yield _seen(app, platform.legible(text) or Platform(), Text(text))

    def converge(self, want: Any, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        if want:
            put = Put(platform_path(want.app), want.settings.text(), 0o600)
            return [Step(Stage.PREPARE, "write the app's settings", put)]
        return [parts.remove(platform_path(have.app), Stage.RETIRE)]

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        if want and (have is None or differs - {"content"}):
            return "set by a command"
        return plain_cause(want, have, differs)

    def about(self, spec: Spec, host: Host, key: str) -> About:
        keep, drop = (
            f"{what} {host.name} in fleet.json" for what in ("leave a role to", "take all roles from")
        )
        return About((roles(spec, host),), (platform_path(spec.fleet.app),), _RULE, keep, drop)


def _seen(app: str, settings: Platform, text: Text) -> PlatformSeen:
    return PlatformSeen(
        key=KEY,
        app=app,
        content=Sealed(text.sha),
        maintenance="on" if settings.maintenance else "off",
        domains=dict.fromkeys(settings.domains, "there"),
        drains={platform.plainly(url): "there" for url in settings.drains},
        certificates={name: Sealed(sha(c.chain + c.key)) for name, c in settings.certificates.items()},
    )
