"""The script that holds a host's lock, run as on a host, on files of its own."""

from __future__ import annotations

import fcntl
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from locks import Talk, ask


class Host:
    """One host, and everybody who talks to it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.talks = folder, list[Talk]()
        self.lock, self.runner = folder / "run" / "lock", folder / "run" / "runner"

    def hold(self, who: str = "ada", doing: str = "apply hello v1", jump: float = 0) -> Talk:
        self.talks.append(Talk(self.folder, request("hold", who, doing), jump))
        return self.talks[-1]

    def once(self, do: str, who: str = "bob") -> dict[str, Any]:
        status, said, errors = ask(self.folder, request(do, who, "unlock"))
        assert (status, errors) == (0, b"")
        return dict(json.loads(said))

    def let_pass(self, seconds: int) -> None:
        with (self.folder / "later").open("ab") as later:
            later.write(b"." * seconds)

    def record(self) -> dict[str, Any]:
        return dict(json.loads(self.lock.read_text()))

    def renewed(self, talk: Talk) -> None:
        """Renew, and wait until that is written."""
        before = self.record()["until"]
        talk.sendall(b"renew\n")
        ends = time.monotonic() + 10
        while self.record()["until"] == before and time.monotonic() < ends:
            time.sleep(0.02)

    def audit(self) -> list[str]:
        lines = (self.folder / "audit.log").read_text().splitlines()
        assert all(re.match(r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}Z ", line) for line in lines)
        return [line.split(" ", 1)[1] for line in lines]


def request(do: str, who: str, doing: str) -> bytes:
    words = {"do": do, "id": who, "who": f"{who}@laptop", "doing": doing, "seconds": 60}
    return json.dumps(words).encode() + b"\n"


def summary(record: dict[str, Any]) -> tuple[str, str]:
    return record["who"], record["doing"]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    host = Host(tmp_path)
    yield host
    for talk in host.talks:
        talk.close()
        talk.end()


def test_one_holder_at_a_time(host: Host) -> None:
    assert host.hold().hear() == {"held": True}
    bob = host.hold("bob")
    found = bob.hear()
    assert summary(found) == ("ada@laptop", "apply hello v1") and found["age"] in (0, 1)
    assert bob.end() == 6
    record = host.record()
    assert sorted(record) == ["doing", "id", "pid", "since", "until", "who"]
    assert record["pid"] == host.talks[0].process.pid
    assert 59 < record["until"] - record["since"] < 61


def test_of_many_at_once_one_wins(host: Host) -> None:
    answers = [talk.hear() for talk in [host.hold(f"c{n}") for n in range(6)]]
    assert sorted("held" in answer for answer in answers) == [False] * 5 + [True]


def test_the_holder_gives_it_up(host: Host) -> None:
    ada = host.hold()
    ada.hear()
    ada.sendall(b"drop\n")
    assert ada.end() == 0
    assert host.hold("bob").hear() == {"held": True}
    assert host.audit() == [
        f"{act} apply hello v1" for act in ("take ada@laptop", "drop ada@laptop", "take bob@laptop")
    ]


def test_it_ends_with_the_link(host: Host) -> None:
    ada = host.hold()
    ada.hear()
    ada.close()
    assert ada.end() == 0
    assert not host.lock.exists()
    assert host.audit() == ["take ada@laptop apply hello v1", "cut ada@laptop apply hello v1"]


def test_a_client_killed_before_its_answer_holds_nothing(host: Host) -> None:
    ada = host.hold()
    ada.close()
    ada.end()
    assert host.hold("bob").hear() == {"held": True}


def test_the_lease_of_a_frozen_client_runs_out(host: Host) -> None:
    ada = host.hold()
    ada.hear()
    host.let_pass(50)
    assert host.hold("bob").end() == 6
    host.let_pass(11)
    bob = host.hold("bob")
    assert bob.hear() == {"held": True}
    assert summary(ada.hear()["lost"]) == ("bob@laptop", "apply hello v1")
    assert ada.end() == 6
    assert host.audit()[-1] == "lost ada@laptop apply hello v1 (bob@laptop: apply hello v1)"
    assert summary(host.once("look")) == ("bob@laptop", "apply hello v1")


def test_a_renewal_lengthens_it_and_keeps_its_beginning(host: Host) -> None:
    ada = host.hold()
    ada.hear()
    since = host.record()["since"]
    for _ in range(3):
        host.let_pass(50)
        host.renewed(ada)
    assert host.record()["since"] == since
    assert 150 <= host.once("look")["age"] < 160


def test_a_client_that_wakes_in_time_goes_on(host: Host) -> None:
    ada = host.hold()
    ada.hear()
    host.let_pass(200)
    assert host.once("look") == {}
    host.renewed(ada)
    assert summary(host.once("look")) == ("ada@laptop", "apply hello v1")


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_the_wall_clock_counts_for_nothing(host: Host, jump: float) -> None:
    host.hold().hear()
    assert summary(host.hold("bob", jump=jump).hear()) == ("ada@laptop", "apply hello v1")
    host.let_pass(61)
    assert host.hold("bob", jump=jump).hear() == {"held": True}


def test_it_can_be_broken(host: Host) -> None:
    ada = host.hold()
    ada.hear()
    assert summary(host.once("break")) == ("ada@laptop", "apply hello v1")
    assert summary(ada.hear()["lost"]) == ("bob@laptop", "unlock")
    assert ada.end() == 6
    assert "break bob@laptop unlock (ada@laptop: apply hello v1)" in host.audit()
    assert host.once("break") == host.once("look") == {}
    assert host.hold("bob").hear() == {"held": True}


def test_a_holder_whose_record_is_gone_says_so(host: Host) -> None:
    ada = host.hold()
    ada.hear()
    host.lock.unlink()
    assert ada.hear()["lost"]["who"] == "somebody"
    assert ada.end() == 6


def test_nobody_begins_while_an_earlier_step_runs(host: Host) -> None:
    host.runner.parent.mkdir()
    with host.runner.open("w") as step:
        fcntl.flock(step, fcntl.LOCK_SH)
        ada = host.hold()
        assert ada.hear()["waits"]["who"] == "a step of an earlier apply"
        found = ada.hear()
        assert (*summary(found), found["age"]) == ("a step of an earlier apply", "finish it", 1)
        assert found["step"] is True
        assert ada.end() == 6 and not host.lock.exists()
        bob = host.hold("bob")
        assert "waits" in bob.hear()
    assert bob.hear() == {"held": True}
    with host.runner.open("w") as step:
        fcntl.flock(step, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_who_waits_for_a_step_can_be_cut_off_or_broken(host: Host) -> None:
    host.runner.parent.mkdir()
    with host.runner.open("w") as step:
        fcntl.flock(step, fcntl.LOCK_EX)
        ada = host.hold()
        ada.hear()
        ada.close()
        assert ada.end() == 0 and not host.lock.exists()
        bob = host.hold("bob")
        bob.hear()
        host.once("break", "eve")
        assert summary(bob.hear()["lost"]) == ("eve@laptop", "unlock")


def test_a_full_disk_keeps_nobody_from_giving_it_up(host: Host) -> None:
    (host.folder / "audit.log").mkdir()
    ada = host.hold()
    assert ada.hear() == {"held": True}
    ada.sendall(b"drop\n")
    assert ada.end() == 0 and not host.lock.exists()


def test_a_renewal_takes_no_more_space(host: Host) -> None:
    ada = host.hold()
    ada.hear()
    before = host.lock.stat()
    host.let_pass(10)
    host.renewed(ada)
    after = host.lock.stat()
    assert (before.st_ino, before.st_size, before.st_blocks) == (after.st_ino, after.st_size, after.st_blocks)
    assert sorted(file.name for file in host.lock.parent.iterdir()) == ["lock", "lock.guard", "runner"]


def test_a_record_keeps_its_length_whatever_the_words(host: Host) -> None:
    words = {"do": "hold", "id": "0" * 32, "who": "\U0001f600" * 400, "doing": "\x01" * 4000, "seconds": 60}
    host.talks.append(Talk(host.folder, json.dumps(words).encode() + b"\n"))
    assert host.talks[0].hear() == {"held": True}
    assert host.lock.stat().st_size == 4096
    assert summary(host.record()) == ("\U0001f600" * 150, "\x01" * 150)


def test_a_renewal_that_fails_leaves_the_lease(host: Host) -> None:
    ada = host.hold()
    ada.hear()
    (host.folder / "full").touch()
    before = host.record()
    ada.sendall(b"renew\n")
    time.sleep(0.5)
    assert (ada.process.poll(), host.record()) == (None, before)
    (host.folder / "full").unlink()
    host.let_pass(10)
    host.renewed(ada)


def test_it_can_be_broken_even_if_nothing_can_be_written(host: Host) -> None:
    ada = host.hold()
    ada.hear()
    (host.folder / "full").touch()
    status, said, errors = ask(host.folder, request("break", "bob", "unlock"))
    assert (status, summary(json.loads(said))) == (0, ("ada@laptop", "apply hello v1"))
    assert b"No space left" in errors and not host.lock.exists()
    assert ada.hear()["lost"]["who"] == "somebody"


def test_a_lock_that_cannot_be_written_is_not_held(host: Host) -> None:
    host.folder.joinpath("full").touch()
    ada = host.hold()
    assert b"No space left" in ada.recv(4096)
    assert ada.end() == 1
    assert host.once("look") == {}


def test_a_drop_that_was_read_ahead_is_made_up_by_the_end(host: Host) -> None:
    ada = Talk(host.folder, request("hold", "ada", "apply hello v1") + b"drop\n")
    host.talks.append(ada)
    ada.hear()
    ada.shutdown_write()
    assert ada.end() == 0 and not host.lock.exists()


@pytest.mark.parametrize(
    "text",
    [
        "{half",
        "[]",
        '{"id": "x"}',
        '{"id": "x", "who": "x", "doing": "x", "since": 1.7e9, "until": 4e9}',
        '{"id": "x", "who": "x", "doing": "x", "since": "soon", "until": 4e9}',
    ],
)
def test_a_damaged_or_foreign_record_is_nobodys(host: Host, text: str) -> None:
    host.lock.parent.mkdir()
    host.lock.write_text(text)
    assert host.once("look") == {}
    assert host.hold().hear() == {"held": True}


def test_every_act_leaves_one_line(host: Host) -> None:
    ada = host.hold(doing="apply\nhello")
    ada.hear()
    ada.sendall(b"renew\n")
    host.hold("bob").end()
    ada.sendall(b"drop\n")
    ada.end()
    assert host.audit() == ["take ada@laptop apply hello", "drop ada@laptop apply hello"]
