#!/usr/bin/env python3
"""Hand on what a build says, line by line, and keep it; what must not be shown is blotted out.

usage:  slug-relay LOG SECRET…      SECRET: a file with what no line may hold
stdin:  the build's output, to the end
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

SHORTEST = 4
"""Characters; what is shorter would blot out half of the output and is no secret."""
PART = 64 << 10
"""Bytes of a line that are held at a time: a build may write one without an end."""


def blotted(line: bytes, secrets: list) -> bytes:
    """Longer secrets first: one may be part of another."""
    for secret in secrets:
        line = line.replace(secret, b"(secret)")
    return line


def parts(stream: BinaryIO, secrets: list) -> Iterator:
    """Whole lines; of one that does not end so much at a time that no secret in it is cut."""
    rest, keep = b"", len(secrets[0]) if secrets else 0
    while line := stream.readline(PART):
        whole = blotted(rest + line, secrets)
        cut = len(whole) if whole.endswith(b"\n") else max(0, len(whole) - keep)
        rest = whole[cut:]
        yield whole[:cut]
    yield rest


def main(log: str, *files: str) -> None:
    """Each line of a secret counts by itself."""
    found = {part for file in files for part in Path(file).read_bytes().splitlines() if len(part) >= SHORTEST}
    with open(log, "wb") as kept:
        for part in parts(sys.stdin.buffer, sorted(found, key=len, reverse=True)):
            for sink in (kept, sys.stdout.buffer):
                sink.write(part)
                sink.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
