"""Buildpacks on this machine: our own, those in folders of the user's, and which of ours fits an app."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import deployer
from deployer.model.steps import Tree
from deployer.problems import InputError, Problem, Where
from deployer.source.app_rules import At
from deployer.source.text import shown
from deployer.source.tree import git_environment, tree
from deployer.spec.packs import ORDER, Buildpack, Elsewhere, Local, label, meant

HOME = Path(deployer.__file__).parent / "buildpacks"
SUPPORT = ".ours"
"""Functions that our own buildpacks share, sent beside them."""
PATIENCE = 30
"""Seconds for one of our own scripts that only reads the app's folder."""


@cache
def own(name: str) -> Buildpack:
    """One of ours, or what they share; without what an installer compiled, which differs by machine."""
    found = tree(HOME / name)
    entries = tuple(entry for entry in found.entries if b"__pycache__" not in entry.path.split(b"/"))
    return Buildpack(name, replace(found, entries=entries), ours=True)


def chosen(
    words: tuple[str, ...], source: Tree, at: At
) -> tuple[tuple[Buildpack | Elsewhere, ...], list[Problem]]:
    """The buildpacks of an app in their order, and a problem for each that there cannot be.

    Without any word it is the first of ours that fits what would be built.
    """
    if not words:
        return _fitting(source)
    found: list[Buildpack | Elsewhere] = []
    problems: list[Problem] = []
    for n, word in enumerate(words):
        try:
            found.append(_one(word, source.root, at, n))
        except InputError as error:
            problems += error.problems
    return tuple(found), problems


def _fitting(source: Tree) -> tuple[tuple[Buildpack | Elsewhere, ...], list[Problem]]:
    with _as_built(source) as folder:
        for name in ORDER:
            if _says(name, "detect", folder) is not None:
                return (own(name),), []
    hint = f'Add the file that its language is known by, or name one in "buildpacks": {", ".join(ORDER)}.'
    where = Where(str(source.root))
    return (), [Problem("No buildpack fits this app", where, f"Tried: {', '.join(ORDER)}.", hint)]


def _one(word: str, folder: Path, at: At, n: int) -> Buildpack | Elsewhere:
    match meant(word):
        case str(name):
            return own(name)
        case Local() as local:
            return _local(local, folder, at(f"/buildpacks/{n}"))
        case None:
            hint = f"There is {', '.join(ORDER)}, a git URL, the URL of a .tgz, or a folder like ./pack."
            raise InputError(
                Problem(f"There is no buildpack {shown(word)}", at(f"/buildpacks/{n}"), hint=hint)
            )
        case elsewhere:
            return elsewhere


def _local(local: Local, folder: Path, where: Where) -> Buildpack:
    path = folder / Path(local.path).expanduser()
    if not (path / "bin/compile").is_file():
        hint = "A buildpack is a folder with bin/detect, bin/compile and, if it likes, bin/release."
        raise InputError(Problem(f"{path} is no buildpack: it has no bin/compile", where, hint=hint))
    return Buildpack(label(local), tree(path))


def default_types(packs: tuple[Buildpack | Elsewhere, ...], source: Tree) -> Mapping[str, str] | None:
    """The process types that the last buildpack brings; None where only a build can tell.

    That is so with any buildpack of others: it may bring a Procfile too.
    """
    ours = [pack.name for pack in packs if isinstance(pack, Buildpack) and pack.ours]
    if not packs or len(ours) < len(packs):
        return None
    from deployer.spec.slug import process_types

    with _as_built(source) as folder:
        return process_types(_says(ours[-1], "release", folder) or "")


@contextmanager
def _as_built(source: Tree) -> Iterator[Path]:
    """A folder of links to the top of the source: what git or .slugignore leave out is not there."""
    names = {entry.path.split(b"/")[0] for entry in source.entries}
    with TemporaryDirectory(prefix="deployer-") as place:
        for name in names:
            os.symlink(
                os.path.join(os.fsencode(source.root.resolve()), name), os.path.join(os.fsencode(place), name)
            )
        yield Path(place)


def _says(name: str, script: str, folder: Path) -> str | None:
    """What one of our own scripts prints about a folder that it only reads; None where it says no."""
    argv = (str(HOME / name / "bin" / script), str(folder.resolve()))
    done = subprocess.run(argv, check=False, capture_output=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def shared(packs: tuple[Buildpack, ...]) -> Iterator[tuple[str, Tree]]:
    """What must lie beside the buildpacks of a build."""
    if any(pack.ours for pack in packs):
        yield SUPPORT, own(SUPPORT).tree


def commit(folder: Path) -> str:
    """The commit of the checkout that `folder` lies in; empty where there is none."""
    argv = ("git", "-C", str(folder), "rev-parse", "--verify", "-q", "HEAD")
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=10, env=git_environment()
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip()
