"""What log-lost says of the lines that a queue of this host's rsyslogd dropped, and in whose log."""

from __future__ import annotations

import io
from pathlib import Path
from types import ModuleType

import pytest
from fleets import fleet, spec
from shipped import loaded


@pytest.fixture
def lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Of a host with two apps, one of which has drains."""
    found = loaded("log-lost.py")
    for app in ("hello", "other"):
        (tmp_path / app).mkdir()
        (tmp_path / app / "app.json").write_text("{}")
    (tmp_path / "hello.conf").write_text("")
    monkeypatch.setattr(found, "APPS", str(tmp_path / "*" / "app.json"))
    monkeypatch.setattr(found, "DRAINED", str(tmp_path / "*.conf"))
    return found


def told(
    lost: ModuleType, place: Path, monkeypatch: pytest.MonkeyPatch, counted: str
) -> list[tuple[str, str]]:
    """Tag and text of what it had `logger` write."""
    said: list[tuple[str, str]] = []
    monkeypatch.setattr(
        lost.subprocess, "run", lambda words, check: said.append((words[words.index("-t") + 1], words[-1]))
    )
    monkeypatch.setattr("sys.stdin", io.StringIO(counted))
    lost.main(str(place / "lost.json"))
    return said


def test_every_app_hears_what_the_logplex_missed(
    lost: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = told(lost, tmp_path, monkeypatch, "0 9 to.one queue\n7 9000 to.one queue\n7 0 to.one queue\n")
    assert [tag for tag, _ in said] == ["hello/heroku/logplex", "other/heroku/logplex"]
    assert all("Error L10 (output buffer overflow): 7 messages dropped since" in text for _, text in said)


def test_apps_with_drains_hear_what_all_drains_missed(
    lost: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = told(lost, tmp_path, monkeypatch, "0 9 drains queue\n5 20000 drains queue\n5 0 drains queue\n")
    assert [tag for tag, _ in said] == ["hello/heroku/logplex"]
    assert "5 messages dropped since" in said[0][1]
    assert said[0][1].endswith(" drain=all")


def test_rsyslogd_counts_the_queue_of_the_drains_for_it() -> None:
    seen = fleet()
    seen.apply(spec(drains=["https://logs.example.com/"]))
    machine = seen.machines["one"]
    (rule,) = [r for r in machine.text("/etc/deployer/rsyslog/log.conf").splitlines() if "core.queue" in r]
    assert '$!name == "drains queue"' in rule
    assert 'name="drains"' in machine.text("/etc/deployer/rsyslog/drains.conf")
