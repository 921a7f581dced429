"""The script that holds a host's lock, run here on files of its own."""

from __future__ import annotations

import json
import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployer.remote import channel

Ask = Callable[..., int]


@pytest.fixture
def clock() -> list[float]:
    return [1000.0]


@pytest.fixture
def ask(tmp_path: Path, clock: list[float], monkeypatch: pytest.MonkeyPatch) -> Ask:
    script = runpy.run_path(str(Path(channel.__file__).with_name("lock.py")), run_name="lock")
    main = script["main"]
    main.__globals__.update(PATH=str(tmp_path / "run" / "lock"), AUDIT=str(tmp_path / "audit.log"))
    monkeypatch.setattr("time.time", lambda: clock[0])

    def one(do: str, holder: str = "ada", doing: str = "apply hello v1") -> int:
        request = {"do": do, "id": holder, "who": f"{holder}@laptop", "doing": doing, "seconds": 300}
        return int(main(request))

    return one


def test_one_holder_at_a_time(ask: Ask, clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    assert ask("take") == 0
    clock[0] += 20
    assert ask("take", "bob") == 6
    said: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (said["who"], said["doing"], said["age"]) == ("ada@laptop", "apply hello v1", 20)
    assert ask("take") == 0


def test_only_the_holder_gives_it_up(ask: Ask) -> None:
    ask("take")
    assert ask("drop", "bob") == 6
    assert ask("take", "bob") == 6
    assert ask("drop") == 0
    assert ask("take", "bob") == 0


def test_a_dead_holders_lease_runs_out(ask: Ask, clock: list[float]) -> None:
    ask("take")
    clock[0] += 299
    assert ask("take", "bob") == 6
    clock[0] += 2
    assert ask("take", "bob") == 0
    assert ask("renew") == 6


def test_a_renewal_lengthens_it_and_keeps_its_beginning(
    ask: Ask, clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    ask("take")
    clock[0] += 299
    assert ask("renew") == 0
    clock[0] += 299
    assert ask("take", "bob") == 6
    assert json.loads(capsys.readouterr().out)["age"] == 598


def test_it_can_be_broken(ask: Ask) -> None:
    ask("take")
    assert ask("break", "bob") == 0
    assert ask("take", "bob") == 0


def test_every_act_leaves_one_line(ask: Ask, tmp_path: Path) -> None:
    ask("take", doing="apply\nhello")
    ask("renew")
    ask("take", "bob")
    ask("drop")
    lines = (tmp_path / "audit.log").read_text().splitlines()
    stamps, words = zip(*(line.split(" ", 1) for line in lines), strict=True)
    assert words == ("take ada@laptop apply hello", "drop ada@laptop apply hello v1")
    assert all(re.fullmatch(r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}Z", stamp) for stamp in stamps)


def test_a_damaged_lock_is_nobodys(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "lock").write_text("{half")
    assert ask("take") == 0
