#!/usr/bin/env python3
"""Hand on what a build says, line by line, and keep it; what must not be shown is blotted out.

usage:  slug-relay LOG SECRET…      SECRET: a file with what no line may hold
stdin:  the build's output, to the end
"""

from __future__ import annotations

import sys
from pathlib import Path

SHORTEST = 4
"""Characters; what is shorter would blot out half of the output and is no secret."""


def main(log: str, *files: str) -> None:
    """Each line of a secret by itself, longer ones first: one may be part of another."""
    secrets = sorted({part for file in files for part in Path(file).read_bytes().splitlines()}, key=len)
    with open(log, "wb") as kept:
        for line in sys.stdin.buffer:
            for secret in reversed(secrets):
                line = line.replace(secret, b"(secret)") if len(secret) >= SHORTEST else line
            for sink in (kept, sys.stdout.buffer):
                sink.write(line)
                sink.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
