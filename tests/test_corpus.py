"""Real files of other people: each loads, or is refused for a reason that is known to be in it.

They are no part of this project. `DEPLOYER_CORPUS` names the folder that holds them (`appjson/`, `procfile/`,
`negative/`, `oddities/appjson/`, `oddities/procfile/`); without it there is nothing to test.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from deployer.problems import Problem
from deployer.source.files import manifest
from deployer.spec.packs import meant

CORPUS = Path(os.environ.get("DEPLOYER_CORPUS", "no-corpus"))
pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason="DEPLOYER_CORPUS names no folder")

REFUSED = {
    "Hari815__Mfish.json": "is not JSON",
    "extra-data-after-object.json": "is not JSON",
    "missing-colon.json": "is not JSON",
    "opening-brace-lost-unicode.json": "is not JSON",
    "single-quoted-nested-json-value.json": "is not JSON",
    "env-name-with-hyphen.json": "is no name for a config var",
    "bobwatcherx__fibertesting": "is not a process",
    "dokku__procfile-util": "is not a process",
    "duplicate-web-3-no-space.Procfile": "is there twice",
    "merge-conflict-markers.Procfile": "is not a process",
    "whole-line-quoted.Procfile": "is not a process",
}
"""The kind of reason, by file; all others load."""


def files(folder: str) -> list[Path]:
    return sorted(path for path in (CORPUS / folder).glob("*") if path.is_file())


def errors(source: Path, name: str, folder: Path, environment: str | None = None) -> list[Problem]:
    shutil.copyfile(source, folder / name)
    problems = manifest(folder, environment).problems
    assert all(problem.where and problem.hint for problem in problems)
    return [problem for problem in problems if problem.severity == "error"]


def agrees(found: list[Problem], source: Path) -> bool:
    expected = REFUSED.get(source.name)
    return all(expected in p.summary for p in found) and bool(found) if expected else not found


@pytest.mark.parametrize("source", files("appjson") + files("oddities/appjson"), ids=lambda path: path.name)
def test_an_app_json_loads_or_says_why_not(source: Path, tmp_path: Path) -> None:
    found = errors(source, "app.json", tmp_path)
    assert agrees(found, source), found


@pytest.mark.parametrize("source", files("procfile") + files("oddities/procfile"), ids=lambda path: path.name)
def test_a_procfile_loads_or_says_why_not(source: Path, tmp_path: Path) -> None:
    found = errors(source, "Procfile", tmp_path)
    assert agrees(found, source), found
    assert found or manifest(tmp_path).app.processes


@pytest.mark.parametrize("source", files("appjson") + files("oddities/appjson"), ids=lambda path: path.name)
def test_every_buildpack_in_the_wild_is_understood(source: Path, tmp_path: Path) -> None:
    shutil.copyfile(source, tmp_path / "app.json")
    words = manifest(tmp_path).app.buildpacks
    assert [word for word in words if meant(word) is None] == []


@pytest.mark.parametrize("source", files("negative"), ids=lambda path: path.name)
def test_an_app_json_of_another_tool_is_called_by_its_name(source: Path, tmp_path: Path) -> None:
    (problem,) = errors(source, "app.json", tmp_path)
    assert any(owner in problem.summary for owner in ("Expo", "React Native", "WeChat"))


@pytest.mark.parametrize("source", files("appjson") + files("oddities/appjson"), ids=lambda path: path.name)
def test_every_environment_loads_too(source: Path, tmp_path: Path) -> None:
    shutil.copyfile(source, tmp_path / "app.json")
    for environment in manifest(tmp_path).app.environments:
        assert not errors(source, "app.json", tmp_path, environment)
