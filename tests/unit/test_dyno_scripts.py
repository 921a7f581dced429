"""What the scripts of a dyno decide without a dyno: back-off, reports, LXC configs, one-off specs."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import jinja2
import pytest

PROVIDERS = Path(__file__).parents[2] / "deployer" / "providers"
SCRIPTS = sorted(PROVIDERS.glob("lxc.dyno*.sh"))
MINUTE = 60


class Dyno:
    """A dyno's folders in a temporary place, and stand-ins for the programs that reach out of it."""

    def __init__(self, place: Path) -> None:
        self.bin, self.run, self.home = place / "bin", place / "run" / "a.web.1.v1", place / "home"
        for folder in (self.bin, self.run.parent, self.home):
            folder.mkdir(parents=True)
        for script in SCRIPTS:
            name = script.name.removeprefix("lxc.")
            shutil.copy(script, self.bin / (name if name.startswith("dyno.") else name.removesuffix(".sh")))
        self.said = place / "said"
        self.stand_in("logger", f'tag=$*; while read -r line; do echo "$line" >>{self.said}; done')
        self.stand_in("sleep", f'echo "$1" >>{place}/slept')
        self.stand_in("systemctl", "echo 1")
        self.stand_in("ip", "exit 1")
        self.stand_in("rmdir", "exit 0")
        self.slept = place / "slept"
        self.crashes = self.run.with_name(f"{self.run.name}.crashes")

    def stand_in(self, name: str, text: str) -> None:
        (self.bin / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.bin / name).chmod(0o755)

    def call(self, script: str, **more: str) -> subprocess.CompletedProcess[str]:
        settings = {
            "KEY": "a.web.1.v1",
            "APP": "a",
            "TYPE": "web",
            "N": "1",
            "VETH": "dv0000",
            "PORT": "5000",
        }
        places = {
            "DYNO_RUN": str(self.run),
            "DYNO_HOME": str(self.home),
            "PATH": f"{self.bin}:{os.environ['PATH']}",
        }
        return subprocess.run(
            ["sh", str(self.bin / script)], env={**settings, **places, **more}, capture_output=True, text=True
        )

    def ended(self, lived: float, *marks: str, status: int = 1) -> None:
        """End it after so many seconds; `marks` are files that dyno-run and dyno-up leave."""
        self.run.mkdir()
        uptime = float(Path("/proc/uptime").read_text().split()[0])
        (self.run / "began").write_text(f"{int((uptime - lived) * 100)}\n")
        (self.run / "status").write_text(f"{status}\n")
        for mark in marks:
            (self.run / mark).touch()
        done = self.call("dyno-end")
        assert done.returncode == 0, done.stderr

    def pause(self) -> int:
        record = json.loads(self.crashes.read_text())
        return int(record["until"] - record["last"])

    def lines(self) -> list[str]:
        return self.said.read_text().splitlines() if self.said.exists() else []


@pytest.fixture
def dyno(tmp_path: Path) -> Dyno:
    return Dyno(tmp_path)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_is_a_shell_script(script: Path) -> None:
    done = subprocess.run(["sh", "-n", str(script)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_back_off_doubles_up_to_a_day(dyno: Dyno) -> None:
    pauses = []
    for _ in range(11):
        dyno.ended(1)
        pauses.append(dyno.pause() // MINUTE)
    assert pauses == [0, 10, 20, 40, 80, 160, 320, 640, 1280, 1440, 1440]
    assert json.loads(dyno.crashes.read_text())["count"] == 11


def test_crash_after_ten_minutes_is_not_counted(dyno: Dyno) -> None:
    dyno.ended(1)
    dyno.ended(1)
    dyno.ended(10 * MINUTE + 1, "up")
    assert dyno.pause() == 0
    assert json.loads(dyno.crashes.read_text())["count"] == 0
    dyno.ended(10 * MINUTE - 5, "up")
    assert dyno.pause() == 0
    dyno.ended(10 * MINUTE - 5, "up")
    assert dyno.pause() == 10 * MINUTE


@pytest.mark.parametrize(
    ("marks", "status", "lines"),
    [
        (["up"], 0, ["Process exited with status 0", "State changed from up to crashed"]),
        ([], 3, ["Process exited with status 3", "State changed from starting to crashed"]),
        (["up", "stopping"], 143, ["Process exited with status 143", "State changed from up to down"]),
        (
            ["up", "memory"],
            137,
            [
                "Error R15 (Memory quota vastly exceeded)",
                "Stopping process with SIGKILL",
                "Process exited with status 137",
                "State changed from up to crashed",
            ],
        ),
    ],
)
def test_end_is_reported(dyno: Dyno, marks: list[str], status: int, lines: list[str]) -> None:
    dyno.ended(1, *marks, status=status)
    assert dyno.lines() == lines
    assert dyno.crashes.exists() == ("crashed" in lines[-1])


def test_wanted_stop_clears_the_record(dyno: Dyno) -> None:
    loaded = dyno.run.with_name(f"{dyno.run.name}.loaded")
    loaded.touch()
    dyno.ended(1)
    assert loaded.exists()
    dyno.ended(1, "stopping")
    assert not loaded.exists()
    assert not dyno.crashes.exists()


def test_stop_in_the_back_off_clears_the_record(dyno: Dyno) -> None:
    dyno.crashes.write_text('{"count": 2, "last": 1, "until": 2}\n')
    assert dyno.call("dyno-end").returncode == 0
    assert not dyno.crashes.exists()
    assert dyno.lines() == []


def test_end_leaves_nothing_behind(dyno: Dyno) -> None:
    (dyno.home / "disk" / "upper" / "app").mkdir(parents=True)
    dyno.ended(1)
    assert not dyno.run.exists()
    assert not (dyno.home / "disk").exists()


def test_dyno_run_that_was_killed_counts_as_137(dyno: Dyno) -> None:
    dyno.run.mkdir()
    (dyno.run / "began").write_text("1\n")
    dyno.call("dyno-end")
    assert dyno.lines()[0] == "Process exited with status 137"


def test_failure_of_lxc_is_in_the_journal(dyno: Dyno) -> None:
    dyno.run.mkdir()
    (dyno.run / "began").write_text("1\n")
    (dyno.run / "lxc.log").write_text("ERROR no such bridge\n")
    assert "no such bridge" in dyno.call("dyno-end").stderr


def test_wait_without_a_record(dyno: Dyno) -> None:
    assert dyno.call("dyno-wait").returncode == 0
    assert not dyno.slept.exists()


@pytest.mark.parametrize(("ahead", "slept"), [(300, range(297, 301)), (-1, ())])
def test_wait_sits_the_back_off_out(dyno: Dyno, ahead: int, slept: range) -> None:
    dyno.crashes.write_text(f'{{"count": 2, "last": 1, "until": {int(time.time()) + ahead}}}\n')
    assert dyno.call("dyno-wait").returncode == 0
    assert dyno.slept.exists() == bool(slept)
    if slept:
        assert int(dyno.slept.read_text()) in slept
    assert dyno.crashes.exists()


def test_wait_is_over_when_somebody_asks_for_the_start(dyno: Dyno) -> None:
    dyno.crashes.write_text(f'{{"count": 2, "last": 1, "until": {int(time.time()) + 300}}}\n')
    dyno.stand_in("systemctl", "echo 0")
    assert dyno.call("dyno-wait").returncode == 0
    assert not dyno.slept.exists()
    assert not dyno.crashes.exists()


def test_init_does_nothing_outside_a_dyno(dyno: Dyno) -> None:
    assert dyno.call("dyno-init").returncode == 2


def render(**changes: object) -> str:
    """lxc.config.j2 for one dyno."""
    text = (PROVIDERS / "lxc.config.j2").read_text()
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    seat = {
        "key": "a.web.1.v1",
        "base": 1879048192,
        "veth": "dv0ad50002",
        "mac": "02:de:0a:d5:00:02",
        "pids": 256,
    }
    net = {"address": "10.213.0.2", "prefix": 16, "gateway": "10.213.0.1"}
    return environment.from_string(text).render(
        {**seat, **net, "env": {"PORT": "5000", "DYNO": "web.1"}, **changes}
    )


def test_config_of_a_dyno() -> None:
    lines = render().splitlines()
    assert lines[0] == "lxc.include = /var/lib/deployer/bin/dyno.conf"
    assert "lxc.idmap = u 0 1879048192 65536" in lines
    assert "lxc.net.0.ipv4.address = 10.213.0.2/16" in lines
    assert lines[-2:] == ["lxc.environment = DYNO=web.1", "lxc.environment = PORT=5000"]
    assert all(line.startswith("lxc.") and " = " in line for line in lines)


def test_config_is_the_same_for_the_same_dyno() -> None:
    assert render(env={"PORT": "5000", "DYNO": "web.1"}) == render(env={"DYNO": "web.1", "PORT": "5000"})
    assert render(env={}).endswith("lxc.prlimit.nproc = 256\n")


@pytest.fixture(scope="module")
def once() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dyno_once", PROVIDERS / "lxc.dyno-once.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SPEC = {"name": "a.run.7", "base": 1879048192, "lower": ["/slug", "/stack"], "address": "10.213.0.9",
        "memory": 512, "pids": 256, "command": "echo $A"}  # fmt: skip


@pytest.fixture
def written(
    once: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., dict[str, str]]:
    def write(**changes: object) -> dict[str, str]:
        monkeypatch.setattr(once, "bridge", lambda: ("10.213.0.1", 16))
        once.write(tmp_path, {**SPEC, **changes})
        return {name: (tmp_path / name).read_text() for name in ("command", "config", "env", "dyno.env")}

    return write


def test_one_off_has_the_config_of_any_dyno(written: Callable[..., dict[str, str]]) -> None:
    config = render(key="a.run.7", veth="dv0ad50009", mac="02:de:0a:d5:00:09", address="10.213.0.9", env={})
    in_order = sorted(
        line.replace(",create=dir", "").replace(",create=file", "")
        for line in written()["config"].splitlines()
    )
    assert in_order == sorted(config.splitlines())


def test_one_off_settings(written: Callable[..., dict[str, str]]) -> None:
    settings = dict(line.split("=", 1) for line in written()["dyno.env"].splitlines())
    assert (settings["TYPE"], settings["N"], settings["LOWER"]) == ("run", "7", "/slug:/stack")
    assert (settings["PROFILE"], settings["PORT"]) == ("yes", "0")


def test_list_is_run_as_it_is(written: Callable[..., dict[str, str]]) -> None:
    words = ["/bin/printf", "%s|", "it's $A", "two\nlines", ""]
    files = written(command=words)
    assert "PROFILE=no" in files["dyno.env"].splitlines()
    shown = subprocess.check_output(["bash", "-c", files["command"]], text=True)
    assert shown == "it's $A|two\nlines||"


def test_env_survives_the_shell(written: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    (tmp_path / "vars").write_text("export ONE='first'\n")
    value = 'it\'s\n"$HOME" `x` ü \\'
    files = written(env={"TWO": value}, env_file=str(tmp_path / "vars"))
    program = f"import os; print(os.environ['ONE'], os.environ['TWO'] == {value!r}, os.environ['DYNO'])"
    shown = subprocess.check_output(
        ["sh", "-c", f'eval "$1"; {sys.executable} -c "$2"', "sh", files["env"], program], text=True
    )
    assert shown == "first True run.7\n"


def test_binds_are_escaped(written: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    folder.mkdir()
    binds = [
        {"source": str(folder), "target": "/app"},
        {"source": "/no\\w", "target": "/tmp/f", "readonly": True},
    ]
    lines = written(binds=binds)["config"].splitlines()
    assert f"lxc.mount.entry = {tmp_path}/a\\040b app none bind,rw,create=dir 0 0" in lines
    assert "lxc.mount.entry = /no\\134w tmp/f none bind,ro,create=file 0 0" in lines
