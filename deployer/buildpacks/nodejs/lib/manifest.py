"""manifest.py PACKAGE_JSON: what the build needs of it, as shell variables; exit 1 if it cannot be read."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from typing import Any

Manifest = dict[str, Any]

AT_INSTALL = {"preinstall", "install", "postinstall", "prepublish", "preprepare", "prepare", "postprepare"}
DEPENDENCIES = ("dependencies", "devDependencies", "optionalDependencies")


def table(manifest: Manifest, name: str) -> dict[str, Any]:
    """An object of the manifest; empty where there is something else, as npm has it."""
    value = manifest.get(name)
    return value if isinstance(value, dict) else {}


def manager(manifest: Manifest) -> tuple[str, str]:
    """Name and version of `packageManager`, without the hash that may follow."""
    name, _, version = str(manifest.get("packageManager") or "").partition("@")
    return name, version.split("+")[0]


def self_contained(manifest: Manifest) -> bool:
    """Whether an install depends on nothing but the manifest, the lockfile and the configuration."""
    wanted = [str(version) for name in DEPENDENCIES for version in table(manifest, name).values()]
    local = any(
        version.startswith(("file:", "link:", "portal:", "workspace:", ".", "/")) for version in wanted
    )
    return not local and "workspaces" not in manifest and not AT_INSTALL & set(table(manifest, "scripts"))


def variables(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Every variable that bin/compile reads."""
    engines = table(manifest, "engines")
    yield from ((f"asked_{tool}", str(engines.get(tool) or "")) for tool in ("node", "npm", "yarn", "pnpm"))
    yield from zip(("manager_asked", "manager_version"), manager(manifest), strict=True)
    yield "scripts", f" {' '.join(table(manifest, 'scripts'))} "
    yield "self_contained", "yes" if self_contained(manifest) else ""
    yield "has_dev", "yes" if table(manifest, "devDependencies") or "workspaces" in manifest else ""


def main() -> None:
    """Print the variables, quoted for the shell."""
    try:
        with open(sys.argv[1], encoding="utf-8-sig") as file:
            manifest = json.load(file)
    except ValueError as error:
        sys.exit(f"       {error}")
    if not isinstance(manifest, dict):
        sys.exit("       there is no object in it")
    for name, value in variables(manifest):
        print(f"{name}={shlex.quote(value)}")


main()
