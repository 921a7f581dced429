"""Buildpacks from elsewhere: fetched at plan time, so that a plan knows to the byte what builds an app."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import IO

from deployer.problems import InputError, Problem
from deployer.source.tree import git_environment, tree
from deployer.spec.packs import Archive, Buildpack, Elsewhere, Git, label

PATIENCE = 60
"""Seconds without a word from the other side."""
LARGEST = 64 * 1024**2
"""Bytes of a packed buildpack."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


def fetched(packs: Iterable[Buildpack | Elsewhere]) -> tuple[Buildpack, ...]:
    """All of them as folders on this machine. Raises InputError naming each that cannot be had."""
    found: list[Buildpack] = []
    problems: list[Problem] = []
    for pack in packs:
        try:
            found.append(pack if isinstance(pack, Buildpack) else _fetched(pack))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)
    return _apart(found)


def _apart(packs: list[Buildpack]) -> tuple[Buildpack, ...]:
    """Each under a name of its own: the second `nodejs` of a list is `nodejs-2`."""
    names = [pack.name for pack in packs]
    twice = {n: f"{name}-{n + 1}" for n, name in enumerate(names) if name in names[:n]}
    return tuple(
        Buildpack(twice[n], pack.tree, pack.ours) if n in twice else pack for n, pack in enumerate(packs)
    )


@cache
def _fetched(where: Elsewhere) -> Buildpack:
    """Once a run: a branch that moves between two looks of an apply is the next plan's business."""
    folder = _git(where) if isinstance(where, Git) else _archive(where)
    if not (folder / "bin/compile").is_file():
        hint = "A buildpack has bin/detect, bin/compile and, if it likes, bin/release: check the address."
        raise InputError(Problem(f"{shown(where)} is no buildpack: it has no bin/compile", hint=hint))
    return Buildpack(label(where), tree(folder))


def _kept(identity: str) -> Path:
    """Where a buildpack of this identity lies between runs."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    return home / "deployer/buildpacks" / hashlib.sha256(identity.encode()).hexdigest()[:32]


def _git(where: Git) -> Path:
    commit = where.ref if _COMMIT.fullmatch(where.ref) else _tip(where)
    final = _kept(f"{where.url}#{commit}")
    if not final.exists():
        _settle(final, lambda folder: _checkout(where, commit, folder))
    return final


def _tip(where: Git) -> str:
    """The commit that a branch, a tag or "" stands for now; of an annotated tag what it points at."""
    tag = f"refs/tags/{where.ref}"
    refs = (f"refs/heads/{where.ref}", tag, f"{tag}^{{}}") if where.ref else ("HEAD",)
    said = _run(where, ("git", "ls-remote", "--quiet", "--", where.url, *refs)).splitlines()
    # git matches the ends of names, and patterns
    found = {name: commit for commit, _, name in (line.partition("\t") for line in said) if name in refs}
    if not found:
        hint = "Name a branch, a tag or a whole commit after #."
        raise InputError(Problem(f"{shown(where)} has no {where.ref or 'HEAD'}", hint=hint))
    return found[max(found, key=refs.index)]


def _checkout(where: Git, commit: str, folder: Path) -> None:
    git = ("git", "-C", str(folder), "-c", "advice.detachedHead=false")
    _run(where, ("git", "init", "-q", str(folder)))
    _run(where, (*git, "fetch", "-q", "--depth", "1", "--", where.url, commit))
    _run(where, (*git, "checkout", "-q", "FETCH_HEAD"))
    shutil.rmtree(folder / ".git")


def _run(where: Git, argv: tuple[str, ...]) -> str:
    calm = {**git_environment(), "GIT_TERMINAL_PROMPT": "0"}
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, env=calm, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(_lost(where, str(error))) from error
    if done.returncode:
        raise InputError(_lost(where, done.stderr.strip()))
    return done.stdout


def _archive(where: Archive) -> Path:
    """What an address gives today: asked each time, since its content may change under the same name."""
    with tempfile.TemporaryFile() as file:
        digest = _download(where, file)
        final = _kept(f"{where.url}#{digest}")
        if not final.exists():
            file.seek(0)
            _settle(final, lambda folder: _unpack(where, file, folder))
    return final


def _download(where: Archive, file: IO[bytes]) -> str:
    """Into `file`; the digest of what came."""
    import http.client
    import urllib.request  # slow to load, and few apps need it

    digest, size = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(where.url, timeout=PATIENCE) as answer:
            while block := answer.read(1 << 16):
                size += len(block)
                if size > LARGEST:
                    raise InputError(_lost(where, f"it has more than {LARGEST // 1024**2} MB"))
                digest.update(block)
                file.write(block)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise InputError(_lost(where, str(error))) from error
    return digest.hexdigest()


def _unpack(where: Archive, file: IO[bytes], folder: Path) -> None:
    import tarfile
    import zlib

    try:
        with tarfile.open(fileobj=file, mode="r:gz") as archive:
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise InputError(_lost(where, f"it cannot be unpacked: {error}")) from error
    inner = list(folder.iterdir())
    if len(inner) == 1 and inner[0].is_dir() and not (folder / "bin").exists():
        _hoist(folder, inner[0])


def _hoist(folder: Path, inner: Path) -> None:
    """What hosting sites pack has one folder around everything."""
    aside = folder / ".inner"
    inner.rename(aside)
    for entry in aside.iterdir():
        entry.rename(folder / entry.name)
    aside.rmdir()


def _settle(final: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder beside its place and give it its name when it is whole."""
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".new-", dir=final.parent))
    try:
        fill(partial)
        partial.chmod(0o755)
        partial.rename(final)
    except OSError as error:
        if not final.exists():  # else another run was faster
            raise InputError(_unkept(final, error)) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _unkept(final: Path, error: OSError) -> Problem:
    hint = "Make room or give the rights, or set XDG_CACHE_HOME to a folder that can be written."
    return Problem(f"{final.parent} cannot be written: {error.strerror}", hint=hint)


def shown(where: Elsewhere) -> str:
    """The address without a name or token that may stand before its @."""
    return re.sub(r"(?<=://)[^/@]*@", "", where.url)


def _lost(where: Elsewhere, why: str) -> Problem:
    hint = "Check the address and the network; a private repository needs a key or token that git can use."
    return Problem(
        f"The buildpack {shown(where)} cannot be fetched",
        detail=why.replace(where.url, shown(where)),
        hint=hint,
    )
