"""The pages that a router shows where no dyno answers, fit to stand between double quotes in nginx's file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from deployer.model.steps import Text
from deployer.problems import InputError, Problem
from deployer.providers.base import render

ERROR, MAINTENANCE = "ERROR_PAGE_URL", "MAINTENANCE_PAGE_URL"
_LONGEST = 2000
_KEPT = "%:/?#[]@!&()*+,;=~"
"""What of a URL stays as it is; a quote, a backslash, or the $ of nginx's variables does not."""


def pages(config: Mapping[str, Text]) -> dict[str, str]:
    """`error`, `maintenance` and `empty` (no web dynos). Raises InputError for a URL that is none."""
    error, maintenance = (_url(config, name) for name in (ERROR, MAINTENANCE))
    return {
        "error": _framed("Application error", error) if error else _plain("error"),
        "maintenance": _framed("Offline for maintenance", maintenance)
        if maintenance
        else _plain("maintenance"),
        "empty": _framed("No web dynos running", error) if error else _plain("empty"),
    }


def _plain(kind: str) -> str:
    return render("nginx/page.html.j2", kind=kind, url="", title="").content


def _framed(title: str, url: str) -> str:
    return render("nginx/page.html.j2", kind="framed", url=url, title=title).content


def _url(config: Mapping[str, Text], name: str) -> str:
    """A config var as a URL that can stand in HTML and in nginx's file; empty where it is not set."""
    value = config[name].reveal().strip() if name in config else ""
    if value and not _is_url(value):
        hint = f"Set {name} to a whole address such as https://pages.example.com/sorry.html, or take it out."
        raise InputError(Problem(f"{name} is no absolute http or https URL", hint=hint))
    return written(value)


def written(url: str) -> str:
    """As it stands in nginx's file."""
    return quote(url, safe=_KEPT).replace("&", "&amp;")


def _is_url(value: str) -> bool:
    if len(value) > _LONGEST or re.search(r"[\x00-\x20\x7f]", value):
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
