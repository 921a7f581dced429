"""The drains of fleet.json: URLs from where it says, and the certificates that they are verified against."""

from __future__ import annotations

import os
from pathlib import Path

from deployer.problems import InputError, Problem
from deployer.source import config
from deployer.source.app_rules import At
from deployer.spec.drains import HINT, objection
from deployer.spec.fleet import Fleet

_PEM = "-----BEGIN CERTIFICATE-----"


def read(fleet: Fleet, folder: Path, at: At) -> tuple[tuple[str, ...], str, tuple[Problem, ...]]:
    """The URLs, the PEM certificates, and a problem for each that cannot be had or used."""
    urls: list[str] = []
    problems: list[Problem] = []
    for index, source in enumerate(fleet.drains):
        where = at(f"/drains/{index}")
        try:
            url = config.value(source, folder)
        except InputError as error:
            problems += (Problem(p.summary, where, p.detail, p.hint) for p in error.problems)
            continue
        if wrong := objection(url):
            problems.append(Problem(wrong, where, hint=HINT))
        elif url in urls:
            problems.append(
                Problem("this drain is listed twice", where, hint="Delete one.", severity="warning")
            )
        else:
            urls.append(url)
    ca, unread = _ca(fleet.drain_ca, folder)
    return tuple(urls), ca, (*problems, *(Problem(p, at("/drain_ca"), hint=h) for p, h in unread))


def _ca(path: str | None, folder: Path) -> tuple[str, tuple[tuple[str, str], ...]]:
    if not path:
        return "", ()
    file = folder / os.path.expanduser(path)
    try:
        content = file.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not plain text"
        return "", ((f"{file} cannot be read: {why}", "Write the certificates there, as PEM text."),)
    if _PEM not in content:
        return "", ((f"{file} holds no certificate", f"It needs a part that begins with {_PEM}"),)
    if not _is_whole(content):
        return "", (
            (f"{file} holds a certificate that is damaged or cut off", "Write it again, as PEM text."),
        )
    return content, ()


def _is_whole(content: str) -> bool:
    """The parser passes over a last part that has no end, and OpenSSL on the hosts does not."""
    from cryptography.x509 import load_pem_x509_certificates

    try:
        return len(load_pem_x509_certificates(content.encode())) == content.count(_PEM)
    except ValueError:
        return False
