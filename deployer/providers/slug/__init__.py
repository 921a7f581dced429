"""Slugs: compiled source, named by its inputs, built once and fetched by each host that needs it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.model.steps import Fetch, Stage, Step
from deployer.providers import parts
from deployer.providers.base import About, plain_cause, roles
from deployer.providers.rsyslog import said
from deployer.spec import slug
from deployer.spec.fleet import Host
from deployer.spec.spec import Spec
from deployer.world import slugs
from deployer.world.facts import Facts, Probe
from deployer.world.releases import APPS
from deployer.world.world import DYNO_USER, World, once


@dataclass(frozen=True)
class SlugSeen:
    key: str
    app: str
    present: bool


@dataclass(frozen=True)
class Slug:
    """`how` is None where the slug is only kept, not made."""

    key: str
    app: str
    how: Step | None
    who: str = ""
    """Who has it made."""

    def expect(self) -> SlugSeen:
        return SlugSeen(self.key, self.app, True)


class SlugProvider:
    name = "slug"
    base = ()

    def desire(self, world: World, host: Host) -> Iterator[Slug]:
        held = {seen.key for seen in self.observe(world.app, world.facts[host.name])}
        needed = _needed(world, host)
        for digest in sorted((world.slugs & held) | needed):
            yield Slug(digest, world.app, _how(world, host, digest) if digest in needed else None, world.who)

    def probe(self, app: str) -> Probe:
        """Those of other apps too: a pipeline promotes a slug from one app to the next."""
        folder = f"{APPS}/*/slugs/*"
        return Probe(folders=frozenset({folder}), texts=frozenset({f"{folder}/.slug.json"}))

    def observe(self, app: str, facts: Facts) -> Iterator[SlugSeen]:
        return (SlugSeen(digest, app, True) for owner, digest in slugs.held(facts) if owner == app)

    def converge(self, want: Slug | None, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        if want is None:
            return [parts.remove(f"{APPS}/{have.app}/slugs/{have.key}", Stage.RETIRE)]
        if want.how and want.how.stage == Stage.BUILD:
            return _built(want, want.how)
        return [want.how] if want.how else ()

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        if want is None:
            return "no release that is kept uses it"
        return (
            plain_cause(want, have, differs)
            if have
            else f"release {world.release.name if world.release else ''}"
        )

    def about(self, spec: Spec, host: Host, key: str) -> About:
        packs = (("app.json", "/buildpacks"),) if spec.app.buildpacks else ()
        rule = (
            "A slug is named by what it is made of: source, buildpacks, stack. A host with dynos has that of "
            "the current release, and keeps those of the releases that are kept."
        )
        drop = "put the source back as it was"
        place = f"{APPS}/{spec.fleet.app}/slugs/{key}"
        return About((*packs, roles(spec, host)), (place,), rule, drop=drop)


def _built(want: Slug, how: Step) -> Iterator[Step]:
    """That it failed is for slug-build to say."""
    yield said.step(Stage.BUILD, want.app, f"Build started by user {want.who}")
    yield how
    yield said.step(Stage.BUILD, want.app, "Build succeeded")


def _needed(world: World, host: Host) -> set[str]:
    if not world.release:
        return set()
    wanted = "dynos" in host.roles or (world.build is not None and host.name == world.builder.name)
    return {world.release.slug} if wanted else set()


def _how(world: World, host: Host, digest: str) -> Step | None:
    """From any host that has it; else the build host makes it, and the others fetch it there."""
    if digest in _sources(world):
        return _fetch(world, digest, *_sources(world)[digest])
    if not world.build or world.build.digest != digest:
        return None
    if host.name != world.builder.name:
        return _fetch(world, digest, world.builder.name, world.app)
    send = slug.send(world.app, world.build, world.config or {}, world.base, build_address(world.network))
    return Step(Stage.BUILD, f"build the slug {digest}", send, live=True)


@once
def _sources(world: World) -> Mapping[str, tuple[str, str]]:
    """By slug, from which host and app of it to fetch: the build host's before others."""
    there = (h.name for h in world.hosts if h.name not in world.lost)
    order = sorted(there, key=lambda name: (name != world.builder.name, name))
    return {digest: places[0] for digest, places in slugs.holders(world.app, world.facts, order).items()}


def _fetch(world: World, digest: str, source: str, owner: str) -> Step:
    here, there = (f"apps/{app}/slugs/{digest}" for app in (world.app, owner))
    into = here if owner != world.app else ""
    act = Fetch(there, source, world.mesh_address(source), world.base + DYNO_USER, into)
    return Step(Stage.SHIP, f"fetch the slug {digest} from {source}", act)


def build_address(network: str) -> str:
    """The last address of the dyno network: one build at a time runs on a host."""
    return str(ipaddress.ip_network(network)[-2])
