"""The journal of a command: where it is, whose it is, and how many stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployer.source.journal import KEPT, Journal


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_it_is_there_with_its_first_line_and_for_its_owner(state: Path) -> None:
    journal = Journal("hello", "one")
    assert not journal.path.exists()
    journal.write("a\nb")
    journal.write("c")
    assert journal.path == state / "deployer/logs/hello/one.log"
    assert journal.path.read_text("utf-8") == "a\nb\nc\n"
    assert (journal.path.stat().st_mode & 0o777, journal.path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert str(journal) == f"all that happened is in {journal.path}"


def test_a_second_one_of_the_same_name_goes_on(state: Path) -> None:
    for word in ("build", "apply"):
        Journal("hello", "one").write(word)
    assert Journal("hello", "one").path.read_text("utf-8") == "build\napply\n"


def test_the_oldest_go(state: Path) -> None:
    other = Journal("other", "2020")
    other.write("stays")
    for n in range(KEPT + 3):
        Journal("hello", f"{2000 + n}").write("x")
    names = sorted(path.stem for path in other.path.parent.with_name("hello").iterdir())
    assert names == [f"{2003 + n}" for n in range(KEPT)]
    assert other.path.exists()


def test_the_default_is_below_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for odd in ("", "relative/state"):
        monkeypatch.setenv("XDG_STATE_HOME", odd)
        assert Journal("hello", "one").path == tmp_path / ".local/state/deployer/logs/hello/one.log"


def test_one_that_cannot_be_written_ends_nothing_and_says_why(state: Path) -> None:
    (state / "deployer").write_text("a file where the folder should be")
    journal = Journal("hello", "one")
    journal.write("a")
    journal.write("b")
    assert str(journal).startswith("there is no journal: ")
    assert "deployer" in journal.lost


def test_a_full_disk_ends_nothing(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal("hello", "one")
    journal.path.parent.mkdir(parents=True)
    journal.path.symlink_to("/dev/full")
    journal.write("a")
    assert "No space left" in str(journal)
