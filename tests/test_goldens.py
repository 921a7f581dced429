"""The first plan of every example on empty hosts, as a person sees it. `pytest --update` writes it anew."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fleets import fleet
from test_cases import labelled

from deployer import source
from deployer.source import data
from deployer.views.plan import plan

EXAMPLES = sorted(file.parent for file in data.folder("schemas").parent.glob("examples/*/app.json"))
FLEET = """{"hosts": {
  "box-1": {"address": "203.0.113.1", "roles": ["router", "dynos", "logplex", "build", "data"]},
  "box-2": {"address": "203.0.113.2", "roles": ["router", "dynos"]}
}}"""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda folder: folder.name)
def test_the_first_plan_of_an_example(example: Path, update: bool, tmp_path: Path) -> None:
    document = fleet().plan(source.load(_with_a_fleet(example, tmp_path))).as_dict()
    found = "\n".join(labelled(plan(document, 0.0).splitlines())) + "\n"
    golden = example / "plan.txt"
    if update:
        golden.write_text(found, "utf-8")
    assert found == golden.read_text("utf-8")


def _with_a_fleet(example: Path, scratch: Path) -> Path:
    """The example as it is, and a fleet of its own where it has none; the golden is no part of the app."""
    folder = scratch / example.name
    shutil.copytree(example, folder, ignore=shutil.ignore_patterns("plan.txt"))
    if not (folder / "fleet.json").exists():
        (folder / "fleet.json").write_text(FLEET, "utf-8")
    return folder


def test_there_are_examples() -> None:
    assert EXAMPLES
