"""Certificates of the user's own, and the roots of a CA, from the files that `fleet.json` names."""

from __future__ import annotations

import os
from pathlib import Path

from deployer.problems import InputError, Problem
from deployer.source import config
from deployer.source.app_rules import At
from deployer.spec.fleet import Fleet
from deployer.spec.https import OwnCertificate
from deployer.spec.platform import Certificate
from deployer.spec.values import FromFile, Source


def pair(chain: Path, key: Path) -> Certificate:
    """The two files that a command names. Raises InputError for one that cannot be read."""
    return _pair(OwnCertificate(certificate=str(chain), key=FromFile(file=str(key))), Path())


Found = tuple[tuple[Certificate, ...], str, tuple[Problem, ...]]


def declared(fleet: Fleet, folder: Path, at: At) -> Found:
    """Those of `fleet.json`, the roots of its CA, and a problem for each file that cannot be had."""
    found: list[Certificate] = []
    problems: list[Problem] = []
    for index, own in enumerate(fleet.certificates):
        try:
            found.append(_pair(own, folder))
        except InputError as error:
            problems += _placed(error, at, f"/certificates/{index}")
    roots, unread = _roots(fleet, folder, at)
    return tuple(found), roots, (*problems, *unread)


def _roots(fleet: Fleet, folder: Path, at: At) -> tuple[str, list[Problem]]:
    """What to trust the ACME CA's server by, beside the usual roots."""
    acme = fleet.tls.acme
    if acme is None or acme.ca is None:
        return "", []
    try:
        return _pem(FromFile(file=acme.ca), folder), []
    except InputError as error:
        return "", _placed(error, at, "/tls/acme/ca")


def private(fleet: Fleet, folder: Path) -> tuple[Path, ...]:
    """Local files that are no part of the app's source."""
    keys = (own.key.file for own in fleet.certificates if isinstance(own.key, FromFile))
    chains = (own.certificate for own in fleet.certificates)
    return tuple(folder / os.path.expanduser(path) for path in (*chains, *keys))


def _pair(own: OwnCertificate, folder: Path) -> Certificate:
    return Certificate(_pem(FromFile(file=own.certificate), folder), _pem(own.key, folder))


def _pem(source: Source, folder: Path) -> str:
    return config.value(source, folder).replace("\r\n", "\n").strip() + "\n"


def _placed(error: InputError, at: At, pointer: str) -> list[Problem]:
    return [Problem(p.summary, at(pointer), p.detail, p.hint) for p in error.problems]
