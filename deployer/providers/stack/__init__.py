"""Stack images: made on one host, then shared; a host holds one copy for all of its dynos."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from deployer.model.steps import Fetch, Sh, Stage, Step, Text
from deployer.providers.base import About, given, plain_cause, roles
from deployer.providers.host import BIN
from deployer.spec.app import DEFAULT_STACK
from deployer.spec.fleet import Host
from deployer.spec.spec import Spec
from deployer.spec.stacks import Stack
from deployer.world.facts import Facts, Probe
from deployer.world.world import World

STACKS = "/var/lib/deployer/stacks"


@dataclass(frozen=True)
class ImageSeen:
    key: str
    present: bool


@dataclass(frozen=True)
class Image:
    """`key` is `<stack>.<digest>.run` or `.build`; `source` is where to fetch it, None where it is made."""

    key: str
    stack: Stack
    source: Host | None

    def expect(self) -> ImageSeen:
        return ImageSeen(self.key, True)


class StackProvider:
    name = "stack"
    base = ()

    def desire(self, world: World, host: Host) -> Iterator[Image]:
        if not world.release:
            return
        if host.name == world.builder.name:
            yield Image(f"{world.image}.run", world.stack, None)
            yield Image(f"{world.image}.build", world.stack, None)
        elif "dynos" in host.roles:
            yield Image(f"{world.image}.run", world.stack, world.builder)

    def probe(self, app: str) -> Probe:
        return Probe(folders=frozenset({f"{STACKS}/*.run", f"{STACKS}/*.build"}))

    def observe(self, app: str, facts: Facts) -> Iterator[ImageSeen]:
        for folder in sorted(facts.folders):
            if folder.startswith(f"{STACKS}/"):
                yield ImageSeen(folder.removeprefix(f"{STACKS}/"), True)

    def converge(self, want: Image | None, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        """Images are shared by the apps of a host, so no app's plan removes one."""
        if want is None:
            return ()
        return [_fetch(want, want.source) if want.source else _make(want)]

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        if want is None or want.source:
            return plain_cause(want, have, differs)
        if want.stack.updates:
            return f"security updates of {want.stack.updates}"
        return "builds run on it" if want.key.endswith(".build") else f"{world.stack.name} is the app's stack"

    def about(self, spec: Spec, host: Host, key: str) -> About:
        named = (("app.json", "/stack"),) if spec.app.stack != DEFAULT_STACK else ()
        asks = (*named, *given(spec, "stack_updates"), roles(spec, host))
        rule = (
            f"The build host makes the images of the app's stack, {DEFAULT_STACK} unless app.json names "
            "another, and hosts with dynos fetch the one that dynos run on. No app's plan removes an image."
        )
        drop = f"take the roles dynos and build from {host.name}, in fleet.json"
        return About(asks, (f"{STACKS}/{key}",), rule, drop=drop)


def _make(want: Image) -> Step:
    variant = want.key.rpartition(".")[2]
    definition = want.stack.model_dump(include={"name", "suite", "run", "build"})
    document = json.dumps({**definition, "digest": want.stack.digest, "variants": [variant]}, sort_keys=True)
    act = Sh((f"{BIN}/stack-make",), Text(document), timeout=5400)
    return Step(Stage.IMAGE, f"make the image {want.key}", act, live=True)


def _fetch(want: Image, source: Host) -> Step:
    act = Fetch(f"stacks/{want.key}", source.name, source.mesh)
    return Step(Stage.SHIP, f"fetch the image {want.key} from {source.name}", act)
