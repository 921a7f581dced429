"""A small app without a language of its own, and buildpacks that are made on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from conftest import Shop
from here import routers

SERVE = "web: cd /app && exec python3 -m http.server $PORT --bind 0.0.0.0"


def another(shop: Shop, folder: Path, name: str, **fleet: Any) -> Shop:
    """An app of its own on the same hosts."""
    document = json.loads((shop.folder / "fleet.json").read_text())
    own = {"app": name, "domains": [f"{name}.test"], "config": {}, "formation": {}}
    (folder / "fleet.json").write_text(json.dumps(document | own | fleet))
    return Shop(folder)


def pages(app: Shop, name: str) -> set[str]:
    """What both routers answer, each asked twice."""
    return {app.get(router, host=f"{name}.test") for router in routers() * 2}


def pack(folder: Path, **scripts: str) -> None:
    """A buildpack of these scripts in `folder`."""
    (folder / "bin").mkdir(parents=True)
    for name, text in scripts.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / "bin" / name).chmod(0o755)
