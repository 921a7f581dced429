"""What the npm registry says of a package, and whether a download is what it promised.

newest OFFERS MAJOR            the newest version of that major
dist OFFERS VERSION REGISTRY   its archive's address and integrity
verify FILE INTEGRITY          exit 1 unless the file has it
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from typing import Any

PUBLIC = "https://registry.npmjs.org/"


def versions(offers: str) -> dict[str, Any]:
    """All versions that the registry offers of a package."""
    with open(offers, encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)["versions"]
    return found


def newest(offers: str, major: str) -> None:
    """The newest release of a major; there is no semver yet that could tell."""
    plain = [name for name in versions(offers) if re.fullmatch(re.escape(major) + r"\.\d+\.\d+", name)]
    print(max(plain, key=lambda name: [int(part) for part in name.split(".")], default=""))


def dist(offers: str, version: str, registry: str) -> None:
    """The archive; a registry that copies another one often leaves the other's address."""
    found = versions(offers)[version]["dist"]
    address = found["tarball"]
    if address.startswith(PUBLIC):
        address = registry.rstrip("/") + "/" + address[len(PUBLIC) :]
    print(address, found.get("integrity", ""))


def verify(path: str, integrity: str = "") -> None:
    """Only sha512 counts: the registry has it for every version of what we download."""
    promised = [word for word in integrity.split() if word.startswith("sha512-")]
    digest = hashlib.sha512()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    if "sha512-" + base64.b64encode(digest.digest()).decode() not in promised:
        sys.exit(1)


globals()[sys.argv[1]](*sys.argv[2:])
