"""Words of the user's files that a shell completes. A file that cannot be read has none: commands say why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from deployer.problems import InputError
from deployer.source import procfile
from deployer.source.files import fleet_file
from deployer.source.text import parse, read


def environments(folder: Path) -> list[str]:
    """Those with a fleet of their own, and those of app.json."""
    own = {path.name.split(".")[1] for path in folder.glob("fleet.*.json")}
    return sorted(own | {*_keys(folder / "app.json", "environments")})


def hosts(folder: Path, environment: str | None) -> list[str]:
    return sorted(_keys(fleet_file(folder, environment), "hosts"))


def process_types(folder: Path) -> list[str]:
    return sorted({*procfile.parse(_text(folder / "Procfile"))[0], *_keys(folder / "app.json", "formation")})


def _keys(file: Path, key: str) -> dict[str, Any]:
    try:
        document = parse(read(file), str(file)).data
    except InputError:
        return {}
    found = document.get(key) if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}


def _text(file: Path) -> str:
    try:
        return read(file)
    except InputError:
        return ""
