"""What the scripts of a dyno decide without a dyno: back-off, reports, LXC configs, one-off specs."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2
import pytest
import shipped
from shipped import loaded

PROVIDERS = Path(__file__).parents[2] / "deployer" / "providers"
SCRIPTS = sorted((PROVIDERS / "lxc/on_host").glob("dyno*.sh"))
MINUTE = 60


class Dyno:
    """A dyno's folders in a temporary place, and stand-ins for the programs that reach out of it."""

    def __init__(self, place: Path) -> None:
        self.bin, self.run, self.home = place / "bin", place / "run" / "a.web.1.v1", place / "home"
        for folder in (self.bin, self.run.parent, self.home):
            folder.mkdir(parents=True)
        for script in SCRIPTS:
            sourced = script.name == "dyno.sh"
            shutil.copy(script, self.bin / (script.name if sourced else script.stem))
        self.said = place / "said"
        self.stand_in("logger", f'tag=$*; while read -r line; do echo "$line" >>{self.said}; done')
        self.stand_in("sleep", f'echo "$1" >>{place}/slept')
        self.stand_in("systemctl", "echo 1")
        self.stand_in("ip", f'echo "$*" >>{place}/ip; exit 1')
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
            "ADDRESS": "10.0.0.7",
            "MEMORY": "512",
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
            (self.run / mark).write_text(f"{640 << 20}\n" if mark == "memory" else "")
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
    record = json.loads(dyno.crashes.read_text())
    assert (record["count"], record["restarts"]) == (11, 11)


def test_crash_after_ten_minutes_is_not_counted(dyno: Dyno) -> None:
    dyno.ended(1)
    dyno.ended(1)
    dyno.ended(10 * MINUTE + 1, "up")
    assert dyno.pause() == 0
    record = json.loads(dyno.crashes.read_text())
    assert (record["count"], record["restarts"]) == (0, 3)
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
        (["up", "stopping", "restarting"], 143, ["Process exited with status 143"]),
        (
            ["up", "memory"],
            137,
            [
                "Process running mem=640M(125.0%)",
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


def test_record_without_restarts_is_counted_on(dyno: Dyno) -> None:
    dyno.crashes.parent.mkdir(exist_ok=True)
    dyno.crashes.write_text('{"count": 2, "last": 1, "status": 1, "until": 2}\n')
    dyno.ended(1)
    record = json.loads(dyno.crashes.read_text())
    assert (record["count"], record["restarts"]) == (3, 1)


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


def test_routers_learn_at_once_of_a_crash_and_of_no_other_end(dyno: Dyno) -> None:
    dyno.ended(1)
    assert "route replace unreachable 10.0.0.7/32" in (dyno.bin.parent / "ip").read_text()
    assert dyno.run.with_name("unreachable.10.0.0.7").exists()
    (dyno.bin.parent / "ip").unlink()
    dyno.ended(1, "stopping")
    assert not (dyno.bin.parent / "ip").exists()


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


@pytest.mark.parametrize("command", ["web --port $PORT", "echo 'a\\n\n  b'\necho \\\n c", " x\ty ", "-n", ""])
@pytest.mark.parametrize("end", ["", "\n"])
def test_command_is_read_as_it_is(dyno: Dyno, command: str, end: str) -> None:
    function = re.search(r"^read_command\(\) \{\n.*?^\}\n", (dyno.bin / "dyno-run").read_text(), re.M | re.S)
    assert function
    (dyno.home / "command").write_text(command + end)
    script = f'set -eu; home=$1; {function[0]}read_command; printf %s "$command"'
    argv = ["sh", "-c", script, "sh", str(dyno.home)]
    assert subprocess.check_output(argv, text=True) == command
    (dyno.home / "command").unlink()
    assert subprocess.run(argv, capture_output=True).returncode != 0


def test_init_does_nothing_outside_a_dyno(dyno: Dyno) -> None:
    assert dyno.call("dyno-init").returncode == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a process tree of its own")
def test_no_name_of_a_config_var_is_special(tmp_path: Path) -> None:
    """Not those of the shells on the way, nor LXC's. What ends all processes ends those of a namespace here."""
    names = ("profile", "container", "status", "stopping", "tenths", "command")
    (tmp_path / "env").write_text("".join(f"export {name}='of {name}'\n" for name in names))
    init = tmp_path / "dyno-init"
    init.write_text(shipped.script("dyno-init.sh").read_text().replace("[ -e /.dyno-init ] || exit 2\n", ""))
    alone = ("unshare", "--pid", "--fork", "--kill-child")
    argv = (*alone, "sh", "-c", 'exec sh "$0" env yes 3<"$1"', init, tmp_path / "env")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "container": "lxc"}
    done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False, timeout=60)
    found = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    assert (done.returncode, done.stderr) == (0, "")
    assert {name: found.get(name) for name in names} == {name: f"of {name}" for name in names}


def render(**changes: object) -> str:
    """lxc.config.j2 for one dyno."""
    text = (PROVIDERS / "lxc/config.j2").read_text()
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
        {**seat, **net, "env": (("PORT", "5000"), ("DYNO", "web.1")), **changes}
    )


def test_config_of_a_dyno() -> None:
    lines = render().splitlines()
    assert lines[0] == "lxc.include = /var/lib/deployer/bin/dyno.conf"
    assert "lxc.idmap = u 0 1879048192 65536" in lines
    assert "lxc.net.0.ipv4.address = 10.213.0.2/16" in lines
    assert lines[-2:] == ["lxc.environment = DYNO=web.1", "lxc.environment = PORT=5000"]
    assert all(line.startswith("lxc.") and " = " in line for line in lines)


def test_config_is_the_same_for_the_same_dyno() -> None:
    env = (("PORT", "5000"), ("DYNO", "web.1"))
    assert render(env=env) == render(env=env[::-1])
    assert render(env=()).endswith("lxc.prlimit.nproc = 256\n")


@pytest.fixture(scope="module")
def once() -> ModuleType:
    return loaded("dyno-once.py")


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
    config = render(key="a.run.7", veth="dv0ad50009", mac="02:de:0a:d5:00:09", address="10.213.0.9", env=())
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


@contextmanager
def app(*answers: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """An app on a port of its own: one answer for each request, the last for all further ones; what it was asked."""
    asked: list[bytes] = []

    def serve() -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            with link:
                request = link.recv(4096)
                if request:
                    link.sendall(answers[min(len(asked), len(answers) - 1)])
                    asked.append(request)

    with socket.create_server(("0.0.0.0", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], asked
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


class Host:
    """The kernel's files that the scripts read, in a temporary place: the copies look there, and time is ours."""

    def __init__(self, dyno: Dyno, place: Path) -> None:
        self.dyno, self.proc, self.tree = dyno, place / "proc", place / "cgroup"
        self.payload = self.tree / "systemd/unit/dyno/payload"
        for folder in (self.proc / "self", self.proc / "7/net", self.payload, dyno.run):
            folder.mkdir(parents=True)
        for script in dyno.bin.glob("dyno*"):
            text = script.read_text().replace("/sys/fs/cgroup", str(self.tree))
            script.write_text(text.replace("/proc/", f"{self.proc}/"))
        (self.proc / "self/cgroup").write_text("0::/unit\n")
        (self.proc / "uptime").write_text("1000.00 1\n")
        (self.proc / "7/stat").write_text("7 (sh) S\n")
        (self.payload / "cgroup.procs").write_text("7\n")
        passes = f'awk -v by="$1" \'{{ printf "%.2f 1\\n", $1 + by }}\' <{self.proc}/uptime >{place}/later'
        dyno.stand_in("sleep", f"{passes}; mv {place}/later {self.proc}/uptime; {place}/meanwhile")
        dyno.stand_in("systemctl", "echo /unit")
        self.meanwhile = place / "meanwhile"
        self.then("")

    def then(self, text: str) -> None:
        """What happens whenever a script sleeps."""
        self.meanwhile.write_text(f"#!/bin/sh\n{text}\n")
        self.meanwhile.chmod(0o755)

    def sockets(self, *rows: str, table: str = "tcp") -> None:
        head = "  sl  local_address rem_address   st tx_queue rx_queue\n"
        lines = "".join(f"   {n}: {row} 00000000:00000000\n" for n, row in enumerate(rows))
        (self.proc / "7/net" / table).write_text(head + lines)

    def up(self, port: int, **more: str) -> subprocess.CompletedProcess[str]:
        given = {"PORT": str(port), "ADDRESS": "127.0.0.1", "MAINPID": "7"}
        return self.dyno.call("dyno-up", **given, **more)

    def drain(self, seconds: int = 30, **changes: str) -> subprocess.CompletedProcess[str]:
        settings = {"APP": "a", "TYPE": "web", "N": "1", "PORT": "5000", **changes}
        lines = "".join(f"{name}={value}\n" for name, value in settings.items())
        (self.dyno.home / "dyno.env").write_text(lines)
        places = {"DYNO_HOME": str(self.dyno.home), "PATH": f"{self.dyno.bin}:{os.environ['PATH']}"}
        argv = ["sh", str(self.dyno.bin / "dyno-drain"), "a.web.1.v1", str(seconds)]
        return subprocess.run(argv, env=places, capture_output=True, text=True, timeout=30)

    def uptime(self) -> float:
        return float((self.proc / "uptime").read_text().split()[0])


@pytest.fixture
def host(dyno: Dyno, tmp_path: Path) -> Host:
    return Host(dyno, tmp_path)


HEALTH = {"HEALTH": "/healthz?a=%s&b=*", "HEALTH_STATUS": "204"}
WELL, SICK = b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.0 500\r\n\r\n"
CLIENT, APP, OWN = "0100A8C0:D431", "0200D50A:1388", "0200D50A:D432"


def test_web_dyno_is_up_when_it_accepts(dyno: Dyno, host: Host) -> None:
    with app(WELL) as (port, asked):
        host.sockets(f"00000000:{port:04X} 00000000:0000 0A")
        assert host.up(port).returncode == 0
    assert (asked, dyno.lines()) == ([], ["State changed from starting to up"])
    assert (dyno.run / "up").exists()


def test_web_dyno_is_up_when_it_is_healthy(dyno: Dyno, host: Host) -> None:
    with app(SICK, b"HTTP/1.1 200 OK\r\n\r\n", b"", WELL) as (port, asked):
        host.sockets(f"00000000:{port:04X} 00000000:0000 0A")
        done = host.up(port, **HEALTH)
    assert (done.returncode, done.stderr) == (0, "")
    assert dyno.lines() == ["State changed from starting to up"]
    heads = {
        b"GET /healthz?a=%s&b=* HTTP/1.1",
        b"Host: localhost",
        b"User-Agent: deployer-health",
        b"Connection: close",
    }
    assert len(asked) == 4
    assert all(set(request.removesuffix(b"\r\n\r\n").split(b"\r\n")) == heads for request in asked)


@pytest.mark.parametrize(("answer", "said"), [(SICK, "500"), (b"SSH-2.0-x\r\n", "nothing")])
def test_sick_web_dyno_is_not_up(dyno: Dyno, host: Host, answer: bytes, said: str) -> None:
    with app(answer) as (port, _):
        host.sockets(f"00000000:{port:04X} 00000000:0000 0A")
        dyno.stand_in("sleep", f"echo 1060.01 1 >{host.proc}/uptime")
        done = host.up(port, **HEALTH)
    path = HEALTH["HEALTH"]
    assert done.returncode == 1
    assert f"did not answer GET {path} with 204 within 60 s (it said {said})" in done.stderr
    assert dyno.lines() == [
        f"Health check GET {path} failed: {said}, not 204",
        "Stopping process with SIGKILL",
    ]
    assert (dyno.run / "failed").exists()


def test_web_dyno_that_does_not_bind_is_not_up(dyno: Dyno, host: Host) -> None:
    host.sockets("0100007F:1388 00000000:0000 0A")
    dyno.stand_in("sleep", f"echo 1060.01 1 >{host.proc}/uptime")
    done = host.up(5000, **HEALTH)
    assert (done.returncode, done.stderr) == (1, "dyno a.web.1.v1 did not accept on port 5000 within 60 s\n")
    assert dyno.lines()[0].startswith("Error R10 (Boot timeout)")


def test_drain_without_connections_takes_a_moment(host: Host) -> None:
    listening = "00000000:1388 00000000:0000 0A"
    host.sockets(listening, f"{APP} {CLIENT} 06", "0100007F:1388 0100007F:9999 01", f"{APP} {OWN} 01")
    host.sockets(f"0200D50A:9999 {CLIENT} 01", table="tcp6")
    done = host.drain()
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert host.uptime() == pytest.approx(1000.3, abs=0.11)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([f"{APP} {CLIENT} 01"], "web.1: 1 connection left after 5 s\n"),
        ([f"{APP} {CLIENT} 01", f"{APP} {CLIENT} 04"], "web.1: 2 connections left after 5 s\n"),
    ],
)
def test_drain_ends_in_time(host: Host, rows: list[str], said: str) -> None:
    host.sockets(*rows)
    done = host.drain(5)
    assert (done.returncode, done.stdout) == (0, said)
    assert host.uptime() == pytest.approx(1005, abs=0.2)


def test_drain_sees_connections_over_ipv6_sockets(host: Host) -> None:
    mapped = "0000000000000000FFFF0000"
    host.sockets()
    host.sockets(
        f"{mapped}{APP} {mapped}{CLIENT} 01", f"{mapped}0100007F:1388 {mapped}0200007F:9 01", table="tcp6"
    )
    assert host.drain(0).stdout == "web.1: 1 connection left after 0 s\n"


def test_drain_waits_for_the_last_one(host: Host) -> None:
    host.sockets(f"{APP} {CLIENT} 01")
    host.then(f"case $(cat {host.proc}/uptime) in 1004*) : >{host.proc}/7/net/tcp ;; esac")
    assert host.drain().stdout == ""
    assert host.uptime() == pytest.approx(1004.3, abs=0.2)


def test_dyno_that_is_gone_is_drained(dyno: Dyno, host: Host) -> None:
    host.sockets(f"{APP} {CLIENT} 01")
    host.then(f": >{host.payload}/cgroup.procs")
    assert (host.drain().returncode, host.uptime()) == (0, 1000.1)
    dyno.stand_in("systemctl", "echo")
    assert (host.drain().returncode, host.uptime()) == (0, 1000.1)
    assert host.drain(PORT="0").returncode == 0
    shutil.rmtree(dyno.home)
    dyno.home.mkdir()
    argv = ["sh", str(dyno.bin / "dyno-drain"), "a.web.1.v1", "5"]
    assert subprocess.run(argv, env={**os.environ, "DYNO_HOME": str(dyno.home)}).returncode == 0


class Fleet:
    """Dynos on one host for dyno-watch: their folders, and what systemd would say of them."""

    def __init__(self, dyno: Dyno, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.watch = loaded("dyno-watch.py")
        self.units, self.dynos, self.run = place / "units", place / "dynos", dyno.run.parent
        self.units.mkdir()
        for name, folder in (("BIN", dyno.bin), ("DYNOS", self.dynos), ("RUN", self.run)):
            monkeypatch.setattr(self.watch, name, folder)
        monkeypatch.setenv("PATH", f"{dyno.bin}:{os.environ['PATH']}")
        dyno.stand_in("systemctl", f'cat "{self.units}/$3"')

    def seat(self, n: int, port: int, **more: str) -> str:
        key = f"a.web.{n}.v1"
        given = {"APP": "a", "TYPE": "web", "N": n, "PORT": port, "ADDRESS": "127.0.0.1", **more}
        (self.dynos / key).mkdir(parents=True)
        (self.dynos / key / "dyno.env").write_text("".join(f"{k}={v}\n" for k, v in given.items()))
        self.unit(key)
        return key

    def unit(self, key: str, state: str = "active", pid: int = 7) -> None:
        new = self.units / "new"
        new.write_text(f"MainPID={pid}\nActiveState={state}\nInvocationID={pid}\n")
        new.rename(self.units / f"deployer.dyno@{key}")


@pytest.fixture
def fleet(dyno: Dyno, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(dyno, tmp_path, monkeypatch)


def test_watch_of_good_dynos(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    with app(WELL) as (port, asked):
        keys = [fleet.seat(1, port, **HEALTH), fleet.seat(2, port), fleet.seat(3, 0)]
        assert fleet.watch.main("0", *keys) == 0
        assert len(asked) == 1
        assert fleet.watch.main("1", *keys) == 0
        assert len(asked) >= 3
    assert fleet.watch.main("0") == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("fails", "status"), [(1, 0), (2, 1)])
def test_watch_forgives_one_failure(
    fleet: Fleet, capsys: pytest.CaptureFixture[str], fails: int, status: int
) -> None:
    with app(*[SICK] * fails, WELL) as (port, _):
        assert fleet.watch.main("0", fleet.seat(2, port, **HEALTH)) == status
    said = f"web.2 no longer answers GET {HEALTH['HEALTH']} with 204: 500\n" if status else ""
    assert capsys.readouterr().err == said


def test_watch_of_a_dyno_that_went_deaf(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    with app(WELL) as (port, _):
        pass
    assert fleet.watch.main("60", fleet.seat(1, 0), fleet.seat(2, port)) == 1
    assert capsys.readouterr().err == f"web.2 no longer accepts on port {port}\n"


def test_watch_of_a_dyno_that_was_restarted(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    key = fleet.seat(2, 0)
    record = {"count": 1, "last": int(time.time()) + 1, "status": 3, "until": 0}

    def restart() -> None:
        (fleet.run / f"{key}.crashes").write_text(json.dumps(record))
        fleet.unit(key, pid=8)

    timer = threading.Timer(0.2, restart)
    timer.start()
    assert fleet.watch.main("60", fleet.seat(1, 0), key) == 1
    assert re.fullmatch(r"web\.2 ended with status 3 [1-9] s after the switch\n", capsys.readouterr().err)


def test_watch_of_a_dyno_that_is_down(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    key = fleet.seat(2, 0)
    fleet.unit(key, "activating")
    assert fleet.watch.main("0", key) == 1
    assert capsys.readouterr().err == "web.2 ended 0 s after the switch\n"
    assert fleet.watch.main("0", "a.web.9.v1") == 1
    assert "a.web.9.v1 could not be watched" in capsys.readouterr().err


def test_crash_record_tells_the_status(dyno: Dyno) -> None:
    dyno.ended(1, status=3)
    assert json.loads(dyno.crashes.read_text())["status"] == 3


def test_dyno_whose_name_goes_on_is_not_said_to_be_down(dyno: Dyno) -> None:
    dyno.home = dyno.home.with_name("a.web.1.v1")
    dyno.home.mkdir()
    (dyno.home.with_name("a.web.1.v2")).mkdir()
    dyno.ended(1, "up", "stopping", status=0)
    assert dyno.lines() == ["Process exited with status 0"]


@pytest.fixture(scope="module")
def attached() -> ModuleType:
    return loaded("dyno-attach.py")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["worker"], "python work.py"),
        (["worker", "--once"], "python work.py --once"),
        (["worker --once"], "python work.py --once"),
        (["echo $DYNO | cat"], "echo $DYNO | cat"),
        (["echo", "it's $A"], "echo 'it'\"'\"'s $A'"),
    ],
)
def test_a_process_type_stands_for_its_command(attached: ModuleType, words: list[str], shown: str) -> None:
    assert attached.command(words, {"worker": "python work.py"}, False) == shown


def test_a_terminal_is_the_dynos_own(attached: ModuleType) -> None:
    line = attached.command(["bash"], {}, True)
    assert subprocess.check_output(["sh", "-c", line.replace("exec ", "echo ", 1)], text=True) == (
        "script -qefc bash /dev/null\n"
    )


def test_the_highest_release_that_is_here_runs(
    attached: ModuleType, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(attached, "HOME", tmp_path)
    assert attached.current("shop") == {}
    for n, outcome, slug in (
        (1, "succeeded", "a"),
        (2, "succeeded", "b"),
        (3, "failed", "a"),
        (4, "succeeded", "c"),
    ):
        folder = tmp_path / f"apps/shop/releases/v{n}"
        folder.mkdir(parents=True)
        (folder / "release.json").write_text(json.dumps({"number": n, "outcome": outcome, "slug": slug}))
    for slug in "ab":
        (tmp_path / "apps/shop/slugs" / slug).mkdir(parents=True)
    assert attached.current("shop")["number"] == 2


@pytest.mark.parametrize(
    ("flags", "limit", "shown"),
    [((), 512, "ls"), (("1024",), 1024, "ls"), (("tty", "1024"), 1024, "exec script -qefc ls /dev/null")],
)
def test_a_one_off_has_the_limit_of_its_size(
    attached: ModuleType, tmp_path: Path, monkeypatch: Any, flags: tuple[str, ...], limit: int, shown: str
) -> None:
    release = {"number": 1, "slug": "a", "stack": "debian-12.1", "processes": {}}
    ran: list[str] = []
    (tmp_path / "apps/shop").mkdir(parents=True)
    (tmp_path / "apps/shop/app.json").write_text('{"base": 1}')
    for name, value in (
        ("HOME", tmp_path),
        ("RUN", tmp_path),
        ("current", lambda app: release),
        ("has_room", lambda memory: memory == 512),
        ("network", lambda: ipaddress.ip_network("10.213.0.0/16")),
    ):
        monkeypatch.setattr(attached, name, value)
    monkeypatch.setattr(attached.os, "execv", lambda _, argv: ran.append(Path(argv[1]).read_text()))
    attached.main("shop", "512", "256", *flags, "--", "ls")
    wanted = json.loads(ran[0])
    assert (wanted["memory"], wanted["limit"], wanted["pids"]) == (512, limit, 256)
    assert wanted["command"] == shown


def test_no_two_one_offs_have_one_address(attached: ModuleType, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(attached, "RUN", tmp_path)
    monkeypatch.setattr(attached, "AT_ONCE", 3)
    net = ipaddress.ip_network("10.213.0.0/16")
    assert {attached.address(net) for _ in range(3)} == {f"10.213.255.{n}" for n in (252, 251, 250)}
    with pytest.raises(SystemExit) as full:
        attached.address(net)
    assert full.value.code == attached.NO_ROOM
