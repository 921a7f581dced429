#!/usr/bin/env python3
"""Say where a stack image of SUITE comes from: the Debian mirrors that this host itself uses.

usage:  stack-sources SUITE     one apt source line per pocket on stdout
exit:   0; 2 wrong usage; 10 no Debian source on this host
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

POCKETS = ("", "-updates", "-security")


def stanzas(text: str) -> list[dict[str, str]]:
    """The paragraphs of a deb822 text, keys in lower case."""
    blocks = re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text))
    pairs = (re.findall(r"(?m)^([\w-]+):[ \t]*(.*(?:\n[ \t]+.*)*)", block) for block in blocks)
    return [{key.lower(): value.strip() for key, value in found} for found in pairs if found]


def signer(entry: str) -> str:
    """The keyring that the host's own source names (`file:number`, apt's `Sourcesentry`), or ''."""
    name, _, number = entry.rpartition(":")
    text = Path(name).read_text(errors="replace")
    if name.endswith(".sources"):
        value = stanzas(text)[int(number) - 1].get("signed-by", "")
    else:
        value = "".join(re.findall(r"signed-by=([^\s\]]+)", text.splitlines()[int(number) - 1])[:1])
    return value if value.startswith("/") else ""


def pocket(release: str) -> str:
    """What comes after the code name: '-updates' of 'bookworm-updates'."""
    return re.sub(r"^[^-/]+", "", release).replace("/updates", "-security")


def wanted(target: dict[str, str]) -> bool:
    """Debian's own main section, in a pocket that a stable image takes packages from."""
    ours = target.get("origin") == "Debian" and target.get("component") == "main"
    return ours and pocket(target.get("release", "")) in POCKETS


def lines(targets: str, suite: str) -> list[str]:
    """apt source lines for `suite` from what `apt-get indextargets` says, whatever release the host runs."""
    found = {}
    for target in filter(wanted, stanzas(targets)):
        key = signer(target["sourcesentry"])
        option = f"[signed-by={key}] " if key else ""
        found[f"deb {option}{target['repo-uri']} {suite}{pocket(target['release'])} main"] = True
    return list(found)


def indexes() -> str:
    """What apt knows of the host's sources; only after an update does it know whose they are."""
    argv = ("apt-get", "indextargets", "Created-By: Packages")
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout.decode()


def main(suite: str) -> int:
    """Print the lines; read the host's package lists anew when they are missing."""
    if not lines(indexes(), suite):
        subprocess.run(("apt-get", "update", "-qq"), check=True, stdout=subprocess.DEVNULL)
    found = lines(indexes(), suite)
    print("\n".join(found))
    return 0 if found else 10


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except TypeError:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
