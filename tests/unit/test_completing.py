"""Words that a shell completes, asked for as bash does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path: Path) -> Path:
    hosts = {name: {"address": "203.0.113.1", "roles": ["dynos"]} for name in ("box-1", "box-2")}
    (tmp_path / "fleet.json").write_text(json.dumps({"hosts": hosts}))
    (tmp_path / "fleet.staging.json").write_text(json.dumps({"hosts": {"small": {}}}))
    (tmp_path / "app.json").write_text(json.dumps({"environments": {"test": {}}, "formation": {"clock": {}}}))
    (tmp_path / "Procfile").write_text("web: run\nworker: work\n")
    return tmp_path


def completed(folder: Path, *words: str) -> list[str]:
    asked = {"_DEPLOY_COMPLETE": "complete_bash", "COMP_WORDS": "\n".join(("deploy", *words))}
    environment = {**os.environ, **asked, "COMP_CWORD": str(len(words))}
    argv = [str(Path(sys.executable).with_name("deploy"))]
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("rele",), ["releases"]),
        (("certs", "a"), ["add"]),
        (("apply", "--lock"), ["--lock-wait"]),
        (("apply", "--without", "box"), ["box-1", "box-2"]),
        (("apply", "-e", "staging", "--without", ""), ["small"]),
        (("plan", "-e", ""), ["staging", "test"]),
        (("logs", "--ps", ""), ["clock", "web", "worker"]),
        (("logs", "--source", "h"), ["heroku"]),
        (("run", "wo"), ["worker"]),
        (("maintenance", "o"), ["on", "off"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_words_of_commands_and_of_the_files(home: Path, words: tuple[str, ...], found: list[str]) -> None:
    assert completed(home, *words) == found


def test_of_another_folder(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert completed(elsewhere, "apply", "-C", str(home), "--without", "box-1") == ["box-1"]


def test_files_that_cannot_be_read_have_no_words(home: Path) -> None:
    (home / "fleet.json").write_text("{")
    (home / "app.json").write_text("[]")
    (home / "Procfile").unlink()
    for words in (("apply", "--without", ""), ("logs", "--ps", "")):
        assert completed(home, *words) == []
