"""Scripts that run on hosts, found by the name that they have there."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

CODE = Path(__file__).parents[1] / "deployer"


def script(name: str) -> Path:
    """`dyno-run.sh`: where it lies in the house, below the `on_host/` of some room."""
    (place,) = (path for path in CODE.rglob(name) if path.parent.name == "on_host")
    return place


def loaded(name: str) -> ModuleType:
    """One in Python as a module of its own, made anew at each call."""
    place = script(name)
    spec = importlib.util.spec_from_file_location(place.stem.replace("-", "_"), place)
    if spec is None or spec.loader is None:
        raise ImportError(f"{place} is no Python")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
