"""The app's own files: which of them are part of it and what they hold."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import subprocess
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import NoReturn

from deployer.model.steps import Entry, Tree
from deployer.problems import InputError, Problem, Where
from deployer.source.text import place, read

LARGEST = 1024**3
"""Bytes of source that Heroku takes (contract 7.3)."""
_GIT_LIST = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")


def tree(folder: Path, without: Collection[Path] = ()) -> Tree:
    """Every file of the app with its digest, sorted: what git tracks or would track, else all that is there.

    Left out are `.git`, what `.slugignore` names, our own `fleet*.json`, and the paths in `without`.
    Raises InputError for what cannot be carried: sockets, devices, unreadable files, links out of the folder.
    """
    root = os.path.realpath(folder)
    private = {os.fsencode(os.path.relpath(os.path.realpath(path), root)) for path in without}
    is_ignored = _slugignore(folder)
    entries: list[Entry] = []
    problems: list[Problem] = []
    for path in sorted({*_paths(folder)} - private):
        if not _is_ours(path) and not is_ignored(os.fsdecode(path)):
            try:
                entries.append(_entry(folder, path))
            except InputError as error:
                problems += error.problems
            except OSError as error:
                problems.append(_unreadable(error))
    found = Tree(folder, tuple(entries))
    if problems or found.size > LARGEST:
        raise InputError(problems or _too_large(found))
    return found


def _is_ours(path: bytes) -> bool:
    """`fleet.json` and saved plans are about the hosts: they must not look like new source."""
    about_hosts = path.startswith(b"fleet.") or path.endswith((b".plan.json", b"plan.json"))
    return about_hosts and path.endswith(b".json") and b"/" not in path


def _too_large(found: Tree) -> Problem:
    largest = max(found.entries, key=lambda entry: entry.size)
    summary = f"The source has {found.size // 1024**2} MB; {LARGEST // 1024**2} MB are the most there may be"
    detail = f"The largest file is {os.fsdecode(largest.path)}."
    return Problem(summary, Where(str(found.root)), detail, "Name in .slugignore what the app does not need.")


def _paths(folder: Path) -> Iterator[bytes]:
    """Relative paths of all candidates, in no order."""
    listed = _git_paths(folder) if _in_git(folder) else ()
    return iter(listed) if listed else _walk(folder)


def _in_git(folder: Path) -> bool:
    return any(os.path.exists(parent / ".git") for parent in (folder.resolve(), *folder.resolve().parents))


def git_environment() -> dict[str, str]:
    """Without what a hook or a rebase sets: git would work on that repository, whatever it is told."""
    return {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}


def _git_paths(folder: Path) -> tuple[bytes, ...]:
    try:
        command = ("git", *_GIT_LIST)
        done = subprocess.run(command, check=False, cwd=folder, env=git_environment(), capture_output=True)
    except OSError as error:
        hint = "Install git: it tells which files belong to the app."
        raise InputError(
            Problem(f"git cannot be run: {error.strerror}", Where(str(folder)), hint=hint)
        ) from error
    if done.returncode:
        detail = done.stderr.decode(errors="replace").strip()
        hint = "Run: git status"
        raise InputError(Problem("git cannot list the files of the app", Where(str(folder)), detail, hint))
    return tuple(_with_nested(folder, done.stdout.split(b"\0")[:-1]))


def _with_nested(folder: Path, listed: Iterable[bytes]) -> Iterator[bytes]:
    """Git lists a submodule or a repository inside this one as one folder; tracked files may be deleted."""
    for path in listed:
        full = folder / os.fsdecode(path)
        if full.is_dir() and not full.is_symlink() and any(full.iterdir()):
            inside = _paths(full) if (full / ".git").exists() else _walk(full)
            yield from (os.path.join(path, inner) for inner in inside)
        elif os.path.lexists(full):
            yield path


def _walk(folder: Path) -> Iterator[bytes]:
    root = os.fsencode(folder)
    for parent, folders, files in os.walk(root, onerror=_stop):
        folders[:] = (name for name in folders if name != b".git")
        links = (name for name in folders if os.path.islink(os.path.join(parent, name)))
        names = (name for name in (*files, *links) if name != b".git")
        yield from (os.path.relpath(os.path.join(parent, name), root) for name in names)


def _stop(error: OSError) -> NoReturn:
    raise InputError(_unreadable(error)) from error


def _unreadable(error: OSError) -> Problem:
    hint = "Change its owner or mode, or name it in .slugignore."
    return Problem(f"This cannot be read: {error.strerror}", Where(os.fsdecode(error.filename)), hint=hint)


def _slugignore(folder: Path) -> Callable[[str], bool]:
    """Whether `.slugignore` names a path. It is like `.gitignore`, without `!` (Heroku contract 7.3)."""
    file = folder / ".slugignore"
    if not file.exists():
        return lambda _: False
    from pathspec import GitIgnoreSpec

    text = read(file)
    if found := re.search(r"^!", text, re.MULTILINE):
        hint = "Name only what to leave out."
        raise InputError(Problem('.slugignore has no "!"', place(str(file), text, found.start()), hint=hint))
    return GitIgnoreSpec.from_lines(text.splitlines()).match_file


def _entry(folder: Path, path: bytes) -> Entry:
    full = os.path.join(os.fsencode(folder), path)
    status = os.lstat(full)
    if stat.S_ISLNK(status.st_mode):
        return Entry(path, 0o777, link=_link(folder, full))
    if stat.S_ISREG(status.st_mode):
        mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
        with open(full, "rb") as file:
            return Entry(path, mode, hashlib.file_digest(file, "sha256").hexdigest(), size=status.st_size)
    if stat.S_ISDIR(status.st_mode):
        raise InputError(_empty_submodule(full))
    hint = "Delete it, or name it in .slugignore."
    raise InputError(Problem("This is neither a file nor a link", Where(os.fsdecode(full)), hint=hint))


def _empty_submodule(full: bytes) -> Problem:
    """What a clone has without `--recurse-submodules`, as most pipelines make it."""
    hint = "Run: git submodule update --init --recursive. Or name it in .slugignore."
    return Problem("This submodule is not checked out", Where(os.fsdecode(full)), hint=hint)


def _link(folder: Path, full: bytes) -> bytes:
    target, root = os.readlink(full), os.fsencode(folder.resolve())
    parent = os.path.realpath(os.path.dirname(full))
    leads_to = os.path.normpath(os.path.join(parent, target))
    if os.path.isabs(target) or os.path.commonpath((root, leads_to)) != root:
        summary = f"This link leaves the app: it leads to {os.fsdecode(target)}"
        hint = "Copy what it leads to, or name it in .slugignore."
        raise InputError(Problem(summary, Where(os.fsdecode(full)), hint=hint))
    return target
