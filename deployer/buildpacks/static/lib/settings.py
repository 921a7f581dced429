"""settings.py: static.json of this folder, checked, and where the pages are; exit 1 if it is wrong."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

Site = dict[str, Any]

KEYS: dict[str, type] = {
    "root": str,
    "encoding": str,
    "canonical_host": str,
    "clean_urls": bool,
    "https_only": bool,
    "basic_auth": bool,
    "basic_auth_htpasswd_path": str,
    "error_page": str,
    "routes": dict,
    "redirects": dict,
    "proxies": dict,
    "headers": dict,
    "logging": dict,
}
ROOTS = ("public_html", "dist", "public", ".")


class WrongError(Exception):
    """What cannot be served, and why."""


def load(folder: str) -> Site:
    """The site's settings; every value has the type that is expected of it."""
    path = os.path.join(folder, "static.json")
    site = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8-sig") as file:
            try:
                site = json.load(file)
            except ValueError as error:
                raise WrongError(f"static.json: {error}") from None
    if not isinstance(site, dict):
        raise WrongError("static.json: there is no object in it")
    site = {name: value for name, value in site.items() if value is not None}
    check(site)
    return {**site, "root": root(folder, site)}


def check(site: Site) -> None:
    """Types, and what stands one level deeper."""
    for name, kind in KEYS.items():
        if name in site and not isinstance(site[name], kind) and site[name] is not False:
            raise WrongError(f"static.json: {name} must be a {kind.__name__}")
    for name, inner in (("routes", str), ("redirects", dict), ("proxies", dict), ("headers", dict)):
        for path, value in (site.get(name) or {}).items():
            if not isinstance(value, inner) or not path.startswith("/"):
                raise WrongError(f"static.json: {name}: {path} must begin with / and be a {inner.__name__}")
    for name, key in (("redirects", "url"), ("proxies", "origin")):
        for path, value in (site.get(name) or {}).items():
            if not isinstance(value.get(key), str):
                raise WrongError(f"static.json: {name}: {path} has no {key}")
    for path, value in (site.get("redirects") or {}).items():
        if value.get("status", 301) not in (301, 302, 303, 307, 308):
            raise WrongError(f"static.json: redirects: {path} has a status that is no redirect")
    for path, value in (site.get("headers") or {}).items():
        if not all(re.fullmatch(r"[A-Za-z0-9-]+", name) for name in value):
            raise WrongError(f"static.json: headers: {path} has a name that is none")


def root(folder: str, site: Site) -> str:
    """The folder of the pages: the one that is named, else the first usual one that has an index.html."""
    if site.get("root"):
        name: str = os.path.normpath(site["root"].lstrip("/"))
        if name.startswith("..") or not os.path.isdir(os.path.join(folder, name)):
            raise WrongError(f"static.json: root: there is no folder {name}")
        return name
    for name in ROOTS:
        if os.path.isfile(os.path.join(folder, name, "index.html")):
            return name
    raise WrongError(f"no index.html in any of {', '.join(ROOTS)}")


def main() -> None:
    """The settings as JSON on stdout, for conf.py; words for people on stderr."""
    try:
        site = load(".")
    except WrongError as wrong:
        sys.exit(str(wrong))
    for name in sorted(set(site) - set(KEYS)):
        print(f"static.json: {name} is not known here and does nothing", file=sys.stderr)
    print("nginx serves", "the root folder" if site["root"] == "." else f"{site['root']}/", file=sys.stderr)
    json.dump(site, sys.stdout)


main()
