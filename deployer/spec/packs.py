"""What a word in `buildpacks` stands for. Pure: nothing is looked up or fetched here."""

from __future__ import annotations

import re
from dataclasses import dataclass

from deployer.model.steps import Tree

ORDER = ("ruby", "nodejs", "python", "java", "gradle", "php", "go", "static")
"""Our own, in the order in which an app that names none is tried (Heroku contract 7.5 and 9)."""
_OTHER_NAMES = {"jvm": "java", "node": "nodejs", "java-war": "java", "nginx-static": "static"}
_OFFICIAL = re.compile(
    r"https://github\.com/heroku/heroku-buildpack-([a-z-]+?)(?:\.git)?(?:#(?:main|master))?"
)
_REGISTRY = "https://buildpack-registry.s3.amazonaws.com/buildpacks/{}.tgz"
"""Where Heroku keeps what others registered as `namespace/name`."""
_ARCHIVE = re.compile(r"https?://\S+\.(?:tgz|tar\.gz)(?:\?\S*)?")
_GIT = re.compile(r"(?:https?|git|ssh|file)://\S+|[\w.-]+@[\w.-]+:\S+")


@dataclass(frozen=True)
class Buildpack:
    """A folder with `bin/detect`, `bin/compile` and `bin/release` (Heroku contract 7.5)."""

    name: str
    tree: Tree
    ours: bool = False


@dataclass(frozen=True)
class Local:
    """A folder of the user's, relative to the app."""

    path: str


@dataclass(frozen=True)
class Git:
    """A repository at a branch, tag or commit; "" is what it shows first."""

    url: str
    ref: str


@dataclass(frozen=True)
class Archive:
    """A packed folder to download."""

    url: str


Elsewhere = Git | Archive
"""What only the network has."""


def meant(word: str) -> str | Local | Elsewhere | None:
    """What a word of `buildpacks` stands for: one of ours by name, a place, or None."""
    own = word.lower().removeprefix("urn:buildpack:").removeprefix("heroku/")
    if found := _ours(own) or _ours(_official(word)):
        return found
    if word.startswith((".", "/", "~")):
        return Local(word)
    if _ARCHIVE.fullmatch(word):
        return Archive(word)
    if _GIT.fullmatch(word):
        url, _, ref = word.partition("#")
        return Git(url, ref)
    is_registered = re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", own) and not word.startswith("heroku/")
    return Archive(_REGISTRY.format(own)) if is_registered else None


def _ours(name: str) -> str | None:
    name = _OTHER_NAMES.get(name, name)
    return name if name in ORDER else None


def _official(url: str) -> str:
    found = _OFFICIAL.fullmatch(url)
    return found[1] if found else ""


def label(where: Elsewhere | Local) -> str:
    """A name for the folder of a buildpack: `heroku-buildpack-apt` of `https://…/heroku-buildpack-apt.git`."""
    path = where.path if isinstance(where, Local) else where.url.partition("?")[0]
    last = re.split(r"[/:]", path.rstrip("/"))[-1]
    plain = re.sub(r"\.(git|tgz|tar\.gz)$", "", last)
    return re.sub(r"[^A-Za-z0-9._-]", "-", plain).lstrip(".") or "buildpack"
