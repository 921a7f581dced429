#!/usr/bin/env python3
"""Lay out a tar from standard input as an unprivileged user.

usage:  unpack UID TOP=FOLDER…      each member TOP/path goes to FOLDER/path, a plain file TOP to FOLDER/TOP
exit:   0 all laid out; 2 something in it has no place here; 25 the host failed (disk full…)

No link in the archive can lead to what is somebody else's: everything is written with the rights of UID alone, and
names may be any bytes.
"""

from __future__ import annotations

import os
import shutil
import sys
import tarfile
from typing import BinaryIO

END = 1024
Roots = dict  # bytes -> bytes: a top name, and the folder for it


class Refused(Exception):
    """A member that must not be laid out."""


def place(name: bytes, roots: Roots) -> bytes:
    """Where a member goes; one that would leave its folder is refused."""
    top, *parts = name.split(b"/")
    if top not in roots or any(part in (b"", b".", b"..") for part in parts):
        raise Refused(f"not a path of this archive: {name!r}")
    return b"/".join((roots[top], *(parts or [top])))


def lay(archive: tarfile.TarFile, member: tarfile.TarInfo, path: bytes) -> None:
    """Make one folder, file or symbolic link; nothing else has a place in a slug."""
    os.makedirs(path if member.isdir() else os.path.dirname(path), exist_ok=True)
    content = archive.extractfile(member) if member.isreg() else None
    if content:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode(member)), "wb") as file:
            shutil.copyfileobj(content, file, 1 << 20)
    elif member.issym():
        os.symlink(member.linkname.encode("utf-8", "surrogateescape"), path)
    elif not member.isdir():
        raise Refused(f"neither file, folder nor link: {member.name!r}")


def mode(member: tarfile.TarInfo) -> int:
    """Git's two modes: a file is executable or it is not."""
    return 0o755 if member.mode & 0o111 else 0o644


class Whole:
    """A stream that knows how it ended: with the two empty blocks of a tar, or cut off."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream, self.last = stream, b""

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.last = (self.last + data)[-END:]
        return data

    def check(self) -> None:
        """Read on to the end; an archive that is cut off between two members must not pass for all of it."""
        while self.read(1 << 20):
            pass
        if self.last != bytes(END):
            raise Refused("the archive is cut off")


def unpack(roots: Roots, stream: BinaryIO) -> None:
    """Everything in the archive, in its order."""
    whole = Whole(stream)
    with tarfile.open(fileobj=whole, mode="r|", encoding="utf-8", errors="surrogateescape") as archive:
        for member in archive:
            lay(archive, member, place(member.name.encode("utf-8", "surrogateescape"), roots))
    whole.check()


def become(user: int) -> None:
    """Give up all rights but those of `user`."""
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    os.umask(0o022)


def main(user: str, *places: str) -> None:
    """Open the folders as who we are, then write into them as `user`: the way to them may be closed to it."""
    pairs = [argument.partition("=")[::2] for argument in places]
    roots = {
        top.encode(): b"/proc/self/fd/%d" % os.open(folder, os.O_PATH | os.O_DIRECTORY)
        for top, folder in pairs
    }
    become(int(user))
    unpack(roots, sys.stdin.buffer)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Refused as refused:
        print(f" !     {refused}", file=sys.stderr)
        sys.exit(2)
    except (OSError, tarfile.TarError) as error:
        print(f" !     {error}", file=sys.stderr)
        sys.exit(25)
