"""The dead-man switch: which steps stand behind it, and the script that puts files back, run here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fleets import fleet, spec
from machine import Machine

from deployer.model.steps import Guard, Put, Sh, Stage, Step, Text
from deployer.providers import parts
from deployer.providers.host import GUARDS, GuardSeen, HostProvider
from deployer.providers.lxc import NETWORK_UNIT, LxcProvider
from deployer.remote import channel, guarding
from deployer.remote.run import Steps

FAKE = """#!/bin/sh
echo "${0##*/} $*" >>"$CALLS"
case "${0##*/} $*" in *" is-active "*) [ -e "$CALLS.timers" ] ;; systemd-run*) [ ! -e "$CALLS.refused" ] ;; esac
"""
"""Timers run as long as `calls.timers` is there, and none is made where `calls.refused` is."""


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

        (home / "calls.timers").touch()

    def another(self, name: str) -> None:
        """From here on, a guard of a later apply."""
        script = (self.folder / "guard.py").read_text()
        self.folder = self.folder.with_name(name)
        self.folder.mkdir()
        (self.folder / "guard.py").write_text(script)

    def folders(self) -> set[str]:
        return {folder.name for folder in (self.home / "guard").iterdir()}

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


def test_what_somebody_mended_after_it_was_put_back_stays(host: Host) -> None:
    host.arm(("false",))
    host.change()
    assert host.guard("restore") == 1
    assert host.as_it_was()
    host.change()
    assert (host.guard("restore"), host.guard("undo")) == (0, 0)
    assert host.kept.read_bytes() == b"new"


def test_a_file_that_cannot_be_put_back_does_not_hold_up_the_others(host: Host) -> None:
    host.arm(("touch", str(host.home / "again")))
    host.change()
    host.kept.unlink()
    host.kept.mkdir()
    assert host.guard("restore") == 1
    assert not host.absent.exists()
    assert (host.home / "again").exists()
    assert (host.folder / "restored").exists()


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


def test_undoing_ends_the_guard_even_where_a_command_fails(host: Host) -> None:
    host.arm(("false",))
    host.change()
    assert host.guard("undo") == 1
    assert host.as_it_was()
    assert not host.folder.exists()


def test_a_guard_that_gets_no_timer_leaves_no_trace(host: Host) -> None:
    (host.home / "calls.refused").touch()
    assert host.arm() == 1
    assert host.as_it_was()
    assert not host.folder.exists()
    host.folder.mkdir()
    (host.folder / "guard.py").write_text(channel.source("guard.py"))
    (host.home / "bin" / "systemd-run").write_text("#!/no/such/program")
    assert host.arm() == 1
    assert not host.folder.exists()


def test_the_next_guard_sweeps_away_those_that_are_done_with(host: Host) -> None:
    others = {"done": ("guard.json", "restored"), "never-armed": ("guard.py",), "empty": ()}
    for name, files in others.items():
        host.folder.with_name(name).mkdir()
        for file in files:
            (host.folder.with_name(name) / file).touch()
    assert host.arm() == 0
    assert host.folders() == {host.folder.name}


def test_a_guard_whose_timer_is_gone_is_not_taken_over(host: Host) -> None:
    """After a reboot, or a restore that was cut off, what is on disk counts."""
    host.arm(("false",))
    host.change()
    (host.home / "calls.timers").unlink()
    host.another("2c3d")
    host.arm()
    assert host.folders() == {"2c3d"}
    assert host.guard("undo") == 0
    assert (host.kept.read_bytes(), host.absent.read_bytes()) == (b"new", b"new")


def killed_and_armed_anew(host: Host) -> None:
    host.arm(("touch", str(host.home / "one")))
    host.change()
    host.another("2c3d")
    third = host.home / "third"
    third.write_bytes(b"3")
    order = {
        "files": [str(third), str(host.kept)],
        "again": [["touch", str(host.home / "two")]],
        "seconds": 60,
    }
    assert host.guard("arm", json.dumps(order)) == 0
    host.kept.write_bytes(b"newer")
    third.write_bytes(b"changed")


def test_the_next_guard_takes_the_place_of_one_that_was_left(host: Host) -> None:
    killed_and_armed_anew(host)
    assert host.folders() == {"2c3d"}
    assert host.asked()[-2].startswith("systemd-run --quiet --collect --unit=deployer.guard-2c3d ")
    assert host.asked()[-1] == "systemctl --quiet stop deployer.guard-0a1b.timer"


def test_what_it_puts_back_is_what_was_there_before_both(host: Host) -> None:
    killed_and_armed_anew(host)
    assert host.guard("restore") == 0
    assert host.as_it_was()
    assert (host.home / "third").read_bytes() == b"3"
    assert (host.home / "one").exists() and (host.home / "two").exists()


def test_what_the_later_apply_confirmed_nobody_puts_back(host: Host) -> None:
    killed_and_armed_anew(host)
    assert host.guard("disarm") == 0
    assert host.folders() == set()
    assert (host.kept.read_bytes(), host.absent.read_bytes()) == (b"newer", b"new")


def test_a_guard_that_cannot_be_armed_leaves_the_older_one_as_it_is(host: Host) -> None:
    host.arm()
    host.change()
    older = host.folder
    host.another("2c3d")
    (host.home / "calls.refused").touch()
    assert host.arm() == 1
    assert host.folders() == {"0a1b"}
    host.folder = older
    assert host.guard("restore") == 0
    assert host.as_it_was()


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


def words(ending: Steps) -> list[str]:
    """What the script is asked to do."""
    for where, last in ending:
        assert isinstance(last.act, Sh)
        assert (where, last.guard) == ("nftables/box-1/four", None)
        assert last.act.argv[:-1] == ("python3", "/var/lib/deployer/guard/0a1b/guard.py")
    return [last.act.argv[-1] for _, last in ending if isinstance(last.act, Sh)]


def test_its_end_runs_the_same_script() -> None:
    assert words(guarding.disarm(STEPS[1:4], "0a1b")) == ["disarm"]


@pytest.mark.parametrize(
    ("begun", "done", "ending"),
    [
        (-1, -1, []),  # it ended before the script came,
        (0, 0, ["disarm"]),  # before it was armed,
        (1, 1, ["disarm"]),  # before the first guarded step: stopped, or the lock was gone
        (2, 2, ["undo"]),
        (-2, -2, []),
        (0, -1, []),
        (1, 0, []),  # a guard that cannot be armed takes itself away
        (2, 1, ["undo"]),
        (4, 3, ["undo"]),
    ],
)
def test_only_what_began_is_undone(begun: int, done: int, ending: list[str]) -> None:
    assert words(guarding.cut_short(STEPS[1:4], "0a1b", begun, done)) == ending


def test_the_number_of_steps_before_the_guarded_ones() -> None:
    assert guarding.armed(STEPS[1:4], "0a1b")[guarding.ARMING :] == STEPS[1:4]


TOKEN = "0a1b2c3d4e5f6071"


def left_behind(*files: str) -> list[GuardSeen]:
    machine = Machine("one")
    for name in files:
        machine.write(f"{GUARDS}/{TOKEN}/{name}", "{}")
    facts = machine.look(HostProvider().probe("hello"))
    return [seen for seen in HostProvider().observe("hello", facts) if isinstance(seen, GuardSeen)]


@pytest.mark.parametrize(
    ("files", "armed"),
    [
        (("guard.py", "lock", "guard.json"), True),
        (("guard.py", "lock", "guard.json", "restored"), False),
        (("guard.py",), False),
        (("guard.py.deployer-new",), False),
    ],
)
def test_a_guard_that_was_left_is_seen_and_ended(files: tuple[str, ...], armed: bool) -> None:
    (have,) = left_behind(*files)
    assert have == GuardSeen(f"guard:{TOKEN}", armed)
    (last,) = HostProvider().converge(None, have, frozenset({"armed"}))
    folder = f"{GUARDS}/{TOKEN}"
    script = guarding.disarm(STEPS[1:4], TOKEN)[0][1].act
    assert last.stage == Stage.PREPARE
    assert last.act == (script if armed else parts.remove(folder, Stage.PREPARE).act)


def test_an_apply_that_meets_a_guard_ends_it_and_is_settled() -> None:
    seen = fleet()
    seen.apply(spec())
    seen.machines["one"].write(f"{GUARDS}/{TOKEN}/guard.py", "")
    seen.machines["one"].write(f"{GUARDS}/{TOKEN}/guard.json", "{}")
    (change,) = seen.plan(spec()).changes
    assert (change.address, change.action) == (f"host/one/guard:{TOKEN}", "delete")
    assert change.cause == "a change to the connection that nobody has confirmed"
    about = HostProvider().about(spec(), spec().fleet.hosts[0], f"guard:{TOKEN}")
    assert about.places == (f"{GUARDS}/{TOKEN}/", f"deployer.guard-{TOKEN}.timer")
    seen.apply(spec())
    assert seen.plan(spec()).empty


def network_again() -> tuple[str, ...]:
    world = fleet().world(spec())
    host = world.hosts[0]
    wanted = [d for d in LxcProvider().desire(world, host) if isinstance(d, parts.File) and d.guard]
    ((found,),) = (d.guard.again for d in wanted if d.guard)
    return found


@pytest.mark.parametrize("unit_is_there", [True, False])
def test_the_network_of_before_comes_back_and_its_bridge_stays(host: Host, unit_is_there: bool) -> None:
    *shell, unit = network_again()
    assert (shell[:2], unit) == (["sh", "-c"], NETWORK_UNIT)
    host.arm((*shell, str(host.kept if unit_is_there else host.absent)))
    host.change()
    assert host.guard("undo") == 0
    asked = host.asked()[1:-1]
    assert asked[0] == "systemctl daemon-reload"
    assert asked[1:] == (["systemctl restart deployer.network.service"] if unit_is_there else [])
    assert "delete" not in shell[2]


def test_a_host_that_nobody_reaches_any_more_is_named_with_what_did_it() -> None:
    found = guarding.unreachable("box-1", "192.0.2.1", STEPS[1:4])
    assert (
        found.summary == 'box-1: nobody could reach it any more after "four"; it puts itself back within 60 s'
    )
    assert found.where and (found.where.file, found.where.pointer) == (
        "box-1/192.0.2.1",
        "nftables/box-1/four",
    )
