"""The dead-man switch: which steps stand behind it, and the script that puts files back, run here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from deployer.model import Guard, Put, Sh, Stage, Step, Text
from deployer.remote import channel, guarding

FAKE = '#!/bin/sh\necho "${0##*/} $*" >>"$CALLS"\n'


class Host:
    """Files that a guard keeps, the guard's folder, and a systemd that only writes down what it is asked."""

    def __init__(self, home: Path) -> None:
        self.home, self.folder, self.calls = home, home / "guard" / "0a1b", home / "calls"
        self.kept, self.absent = home / "base.nft", home / "absent.nft"
        self.folder.mkdir(parents=True)
        (self.folder / "guard.py").write_text(channel.source("guard.py"))
        (home / "bin").mkdir()
        for name in ("systemd-run", "systemctl"):
            (home / "bin" / name).write_text(FAKE)
            (home / "bin" / name).chmod(0o755)
        self.kept.write_bytes(b"old\x00\n")
        self.kept.chmod(0o640)

    def guard(self, *words: str) -> int:
        environment = {
            **os.environ,
            "PATH": f"{self.home}/bin:{os.environ['PATH']}",
            "CALLS": str(self.calls),
        }
        argv = (sys.executable, str(self.folder / "guard.py"), *words)
        return subprocess.run(argv, env=environment, stdout=subprocess.DEVNULL, timeout=30).returncode

    def arm(self, *again: tuple[str, ...]) -> int:
        files = (str(self.kept), str(self.absent))
        return self.guard("arm", json.dumps({"files": files, "again": again, "seconds": 60}))

    def change(self) -> None:
        self.kept.write_bytes(b"new")
        self.kept.chmod(0o600)
        self.absent.write_bytes(b"new")

    def asked(self) -> list[str]:
        return self.calls.read_text().splitlines() if self.calls.exists() else []

    def as_it_was(self) -> bool:
        kept = (self.kept.read_bytes(), self.kept.stat().st_mode & 0o7777)
        return kept == (b"old\x00\n", 0o640) and not self.absent.exists()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_arming_sets_a_timer_that_restores(host: Host) -> None:
    assert host.arm() == 0
    (timer,) = host.asked()
    assert "--unit=deployer.guard-0a1b --on-active=60 " in timer
    assert timer.endswith(f"{host.folder}/guard.py restore")
    assert host.folder.stat().st_mode & 0o777 == 0o700
    assert host.as_it_was()


def test_what_nobody_confirms_is_put_back(host: Host) -> None:
    host.arm(("/no/such/program",), ("sh", "-c", 'cat "$1" >"$1.loaded"', "-", str(host.kept)))
    host.change()
    assert host.guard("restore") == 1
    assert host.as_it_was()
    assert Path(f"{host.kept}.loaded").read_bytes() == b"old\x00\n"


def test_it_may_be_put_back_twice(host: Host) -> None:
    host.arm(("true",))
    host.change()
    assert (host.guard("restore"), host.guard("restore")) == (0, 0)
    assert host.as_it_was()


def test_what_is_confirmed_stays(host: Host) -> None:
    host.arm()
    host.change()
    assert host.guard("disarm") == 0
    assert host.asked()[-1] == "systemctl --quiet stop deployer.guard-0a1b.timer"
    assert (host.kept.read_bytes(), host.absent.read_bytes()) == (b"new", b"new")
    assert not host.folder.exists()


def test_a_confirmation_that_comes_too_late_is_none(host: Host) -> None:
    host.arm()
    host.change()
    host.guard("restore")
    assert host.guard("disarm") == 1


def test_a_step_that_failed_is_undone_at_once(host: Host) -> None:
    host.arm()
    host.change()
    assert host.guard("undo") == 0
    assert host.as_it_was()
    assert not host.folder.exists()
    assert host.asked()[-1].startswith("systemctl --quiet stop")


def test_the_next_guard_sweeps_away_those_that_are_done_with(host: Host) -> None:
    others = {"done": ("guard.json", "restored"), "armed": ("guard.json",), "never-armed": ("guard.py",)}
    for name, files in others.items():
        host.folder.with_name(name).mkdir()
        for file in files:
            (host.folder.with_name(name) / file).touch()
    host.arm()
    assert {folder.name for folder in host.folder.parent.iterdir()} == {"armed", host.folder.name}


def step(say: str, guard: Guard | None = None) -> tuple[str, Step]:
    return f"nftables/box-1/{say}", Step(Stage.PREPARE, say, Sh(("true",)), guard=guard)


A, B = Guard(("/etc/a",), (("load", "a"),)), Guard(("/etc/b", "/etc/a"), (("load", "a"), ("load", "b")))
STEPS = (step("one"), step("two", A), step("three"), step("four", B), step("five"))


def test_steps_are_parted_at_the_first_and_the_last_guarded_one() -> None:
    assert guarding.parted(STEPS) == (STEPS[:1], STEPS[1:4], STEPS[4:])
    assert guarding.parted(STEPS[2:3]) == (STEPS[2:3], (), ())
    assert guarding.parted(()) == ((), (), ())


def test_one_guard_stands_before_all_guarded_steps() -> None:
    (where, bring), (_, arm), *rest = guarding.armed(STEPS[1:4], "0a1b")
    assert tuple(rest) == STEPS[1:4]
    assert where == "nftables/box-1/two"
    assert isinstance(bring.act, Put) and isinstance(arm.act, Sh)
    assert bring.act == Put(arm.act.argv[1], Text(channel.source("guard.py")), 0o700)
    assert json.loads(arm.act.argv[-1]) == {
        "files": ["/etc/a", "/etc/b"],
        "again": [["load", "a"], ["load", "b"]],
        "seconds": guarding.SECONDS,
    }
    assert guarding.REACH_SECONDS < guarding.SECONDS


def test_its_end_runs_the_same_script() -> None:
    for word, ending in (("disarm", guarding.disarm), ("undo", guarding.undo)):
        ((where, last),) = ending(STEPS[1:4], "0a1b")
        assert (where, last.act) == (
            "nftables/box-1/four",
            Sh(("python3", "/var/lib/deployer/guard/0a1b/guard.py", word)),
        )
        assert replace(last, guard=None) == last


def test_a_host_that_nobody_reaches_any_more_is_named_with_what_did_it() -> None:
    found = guarding.unreachable("box-1", "192.0.2.1", STEPS[1:4])
    assert (
        found.summary == 'box-1: nobody could reach it any more after "four"; it puts itself back within 60 s'
    )
    assert found.where and (found.where.file, found.where.pointer) == (
        "box-1/192.0.2.1",
        "nftables/box-1/four",
    )
