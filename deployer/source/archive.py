"""The tar that carries trees and texts to a host."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from deployer.model.steps import Entry, Text, Tree
from deployer.problems import InputError, Problem, Where

IN_MEMORY = 64 * 1024**2
"""Bytes of a tar that are kept in memory before a temporary file takes over."""


def tarball(trees: Sequence[tuple[str, Tree]], texts: Sequence[tuple[str, Text]] = ()) -> BinaryIO:
    """An open, uncompressed tar, at its start: each tree below its name ("" is the root), then each text.

    Equal inputs give equal bytes. A tar that holds a secret stays in memory, whatever its size.
    Raises InputError if a file is no longer what it was when the tree was read.
    """
    keeps_secrets = any(text.secret for _, text in texts)
    with ExitStack() as on_failure:
        file = on_failure.enter_context(SpooledTemporaryFile(max_size=0 if keeps_secrets else IN_MEMORY))
        with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
            _fill(tar, trees, texts)
        file.seek(0)
        on_failure.pop_all()
    return cast(BinaryIO, file)


def _fill(tar: tarfile.TarFile, trees: Sequence[tuple[str, Tree]], texts: Sequence[tuple[str, Text]]) -> None:
    for name, tree in sorted(trees, key=lambda named: named[0]):
        for entry in tree.entries:
            _add(tar, name, tree.root, entry)
    for name, text in sorted(texts, key=lambda named: named[0]):
        _add_bytes(tar, _member(name, 0o600 if text.secret else 0o644), text.reveal().encode())


def _add(tar: tarfile.TarFile, name: str, root: Path, entry: Entry) -> None:
    path = os.fsdecode(entry.path)
    member = _member(f"{name}/{path}" if name else path, entry.mode)
    if entry.link:
        member.type, member.linkname = tarfile.SYMTYPE, os.fsdecode(entry.link)
        tar.addfile(member)
    else:
        _add_bytes(tar, member, _unchanged(root / path, entry))


def _member(name: str, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.mode = mode
    return member


def _add_bytes(tar: tarfile.TarFile, member: tarfile.TarInfo, content: bytes) -> None:
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _unchanged(path: Path, entry: Entry) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(_changed(path, f"it cannot be read any more: {error.strerror}")) from error
    if hashlib.sha256(content).hexdigest() != entry.sha:
        raise InputError(_changed(path, "it holds something else now"))
    return content


def _changed(path: Path, how: str) -> Problem:
    return Problem(f"{path} changed after the plan was made", Where(str(path)), how, "Plan again.")
