"""A slug's identity, and the message that has it built. Pure: trees and values in, values out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from deployer.model.steps import Send, Text, Tree, sha
from deployer.spec.fleet import BuildLimits
from deployer.spec.packs import Buildpack
from deployer.spec.stacks import Stack

SCRIPT = "/var/lib/deployer/bin/slug-build"
PATIENCE = 3600
"""Seconds more than a build may take, for the source on its way and for another build on the same host."""
PIDS = 4096
"""Processes and threads of a build dyno."""
_LINE = re.compile(r"(?m)^[ \t]*([A-Za-z0-9_-]+)[ \t]*:[ \t]*(\S.*?)[ \t\r]*$")
"""Of a Procfile as a build left it; what a user wrote has been checked more strictly before."""


@dataclass(frozen=True)
class Build:
    """The inputs of a slug: all of `buildpacks` run, in order; `shared` is what must lie beside them."""

    source: Tree
    source_sha: str
    """What counts of the source: app.json does not, or scaling would look like new source."""
    stack: Stack
    buildpacks: tuple[Buildpack, ...]
    shared: tuple[tuple[str, Tree], ...] = ()
    source_version: str = ""
    limits: BuildLimits = BuildLimits()

    @property
    def digest(self) -> str:
        """16 hex digits, equal for equal inputs: a slug is known before it is built.

        The commit is not part of it: a commit that changes no file of the app makes no new slug. Nor is the
        day of the image: security updates are for what runs, and a build on them would be the same.
        """
        packs = [(pack.name, pack.tree.sha) for pack in self.buildpacks]
        inputs = {
            "source": self.source_sha,
            "stack": self.stack.definition,
            "buildpacks": packs + [(name, tree.sha) for name, tree in self.shared],
        }
        return sha(json.dumps(inputs, sort_keys=True))[:16]


@dataclass(frozen=True)
class Slug:
    """What a host has written down about a slug (`.slug.json`)."""

    digest: str
    stack: str
    definition: str
    """Which version of the stack it was built for (`Stack.definition`)."""
    processes: Mapping[str, str]
    """The Procfile's over those of the last buildpack."""
    commit: str


RECORD = {"stack", "definition", "release", "procfile", "commit"}
"""What a record must say; one of another version may not."""


def read_slug(digest: str, document: Mapping[str, Any]) -> Slug:
    """A slug of what a host has written down; `document` has all keys of RECORD."""
    return Slug(
        digest=digest,
        stack=document["stack"],
        definition=document["definition"],
        processes={**process_types(document["release"]), **dict(_LINE.findall(document["procfile"]))},
        commit=document["commit"],
    )


def process_types(text: str) -> dict[str, str]:
    """`default_process_types` of what bin/release prints, which is YAML; {} where it is not."""
    if not re.search(r"default_process_types[\"']?:(?!\s*\{\}\s*$)", text):
        return {}  # the usual case, and yaml is slow to load
    import yaml

    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date that is none
        return {}
    types = found.get("default_process_types") if isinstance(found, dict) else None
    pairs: Iterable[tuple[Any, Any]] = types.items() if isinstance(types, dict) else ()
    return {str(kind): str(command) for kind, command in pairs if command}


def document(build: Build, address: str, hidden: Iterable[str] = ()) -> str:
    """`build.json` for the build host; `address` is the build dyno's, `hidden` what no output may show."""
    fields = {
        "stack": build.stack.name,
        "definition": build.stack.definition,
        "image": f"{build.stack.name}.{build.stack.digest}.build",
        "buildpacks": [pack.name for pack in build.buildpacks],
        "hidden": sorted(hidden),
        "commit": build.source_version,
        "address": address,
        "pids": PIDS,
        **build.limits.model_dump(),
        "env": {"STACK": build.stack.name, "SOURCE_VERSION": build.source_version},
    }
    return json.dumps(fields, sort_keys=True) + "\n"


def send(app: str, build: Build, config: Mapping[str, Text], base: int, address: str) -> Send:
    """Have the slug built: `config` becomes the buildpacks' ENV_DIR, `base` is the app's first uid."""
    packs = tuple((f"buildpacks/{pack.name}", pack.tree) for pack in build.buildpacks)
    shared = tuple((f"buildpacks/{name}", tree) for name, tree in build.shared)
    values = tuple((f"env/{name}", config[name]) for name in sorted(config))
    hidden = (name for name in config if config[name].secret)
    return Send(
        argv=(SCRIPT, app, build.digest, str(base)),
        trees=(("source", build.source), *packs, *shared),
        texts=(*values, ("build.json", Text(document(build, address, hidden)))),
        timeout=build.limits.timeout + PATIENCE,
    )
