"""A slug's identity, and the message that has it built. Pure: trees and values in, values out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from deployer.model import Send, Text, Tree, sha
from deployer.stacks import Stack

SCRIPT = "/var/lib/deployer/bin/slug-build"
TIMEOUT = 900
"""Seconds for all of a build (Heroku contract 7.3)."""
MEMORY, PIDS = 2560, 4096
"""MB and processes of a build dyno."""


@dataclass(frozen=True)
class Buildpack:
    """A folder with `bin/detect`, `bin/compile` and `bin/release` (Heroku contract 7.5)."""

    name: str
    tree: Tree


@dataclass(frozen=True)
class Build:
    """The inputs of a slug. `detect`: the first buildpack that fits; otherwise all of them, in order."""

    source: Tree
    source_sha: str
    """What counts of the source: app.json does not, or scaling would look like new source."""
    stack: Stack
    buildpacks: tuple[Buildpack, ...]
    detect: bool
    source_version: str = ""

    @property
    def digest(self) -> str:
        """16 hex digits, equal for equal inputs: a slug is known before it is built.

        The commit is not part of it: a commit that changes no file of the app makes no new slug.
        """
        inputs = {
            "source": self.source_sha,
            "stack": self.stack.digest,
            "buildpacks": [(pack.name, pack.tree.sha) for pack in self.buildpacks],
            "detect": self.detect,
        }
        return sha(json.dumps(inputs, sort_keys=True))[:16]


def document(build: Build, address: str) -> str:
    """`build.json` for the build host; `address` is the build dyno's own."""
    fields = {
        "stack": build.stack.name,
        "image": f"{build.stack.name}.{build.stack.digest}.build",
        "buildpacks": [pack.name for pack in build.buildpacks],
        "detect": build.detect,
        "address": address,
        "memory": MEMORY,
        "pids": PIDS,
        "timeout": TIMEOUT,
        "env": {"STACK": build.stack.name, "SOURCE_VERSION": build.source_version},
    }
    return json.dumps(fields, sort_keys=True) + "\n"


def send(app: str, build: Build, config: Mapping[str, Text], base: int, address: str) -> Send:
    """Have the slug built: `config` becomes the buildpacks' ENV_DIR, `base` is the app's first uid."""
    packs = tuple((f"buildpacks/{pack.name}", pack.tree) for pack in build.buildpacks)
    values = tuple((f"env/{name}", config[name]) for name in sorted(config))
    return Send(
        argv=(SCRIPT, app, build.digest, str(base)),
        trees=(("source", build.source), *packs),
        texts=(*values, ("build.json", Text(document(build, address)))),
        timeout=TIMEOUT + 300,
    )
