"""A page that tells which dyno and release answered, so that the round robin can be seen."""

import os
from collections.abc import Iterable
from typing import Any


def hello(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """The WSGI app; `/health` stays short."""
    words = ("ok",) if environ["PATH_INFO"] == "/health" else greeting()
    body = (" ".join(words) + "\n").encode()
    start_response(
        "200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    )
    return [body]


def greeting() -> tuple[str, ...]:
    """The greeting, the dyno's name and the release it runs."""
    release = os.environ.get("HEROKU_RELEASE_VERSION", "an unknown release")
    return (os.environ.get("GREETING", "Hello"), "from", os.environ.get("DYNO", "nowhere"), "on", release)
