"""What each host tells of its dynos, what the log says of their memory, and who may ask."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Shop
from here import HOSTS, at, gateway

pytestmark = pytest.mark.live

PORT = 20515
TINY = {"memory": "64MB", "limit": "96MB"}
EAT = "80 300@45"
"""More than the quota, and 45 s later more than the limit."""
WATCH = r"""
import json, subprocess, sys, time, urllib.request
address, key, act = sys.argv[1:]
def state():
    page = urllib.request.urlopen(f"http://{address}:20515/dynos", timeout=5).read().decode()
    return dict(line.split() for line in page.splitlines()).get(key, "gone")
seen = [(state(), 0.0)]
subprocess.run(act, shell=True, check=True) if act.startswith("systemctl kill") else subprocess.Popen(act, shell=True)
began = time.monotonic()
while time.monotonic() < began + 15 and not (len(seen) > 2 and seen[-1][0] == "up"):
    now = state()
    if now != seen[-1][0]:
        seen.append((now, time.monotonic() - began))
    time.sleep(0.005)
print(json.dumps(seen))
"""
LABEL = r'[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(
    rf"([a-zA-Z_:][\w:]*)(\{{{LABEL}(?:,{LABEL})*\}})? (?:-?[0-9.]+(?:e[+-]?[0-9]+)?|[+-]Inf|NaN)"
)


@pytest.fixture(scope="module")
def eater(shop: Shop) -> Iterator[Shop]:
    """The app with a dyno that takes more than it may, and with its memory in the log."""
    procfile, fleet, program = (shop.folder / name for name in ("Procfile", "fleet.json", "eater.py"))
    before = {path: path.read_text() for path in (procfile, fleet)}
    procfile.write_text(f"{before[procfile]}\ngrower: exec python eater.py\n")
    program.write_text(Path(__file__).with_name("eater.py").read_text())
    config = {**json.loads(before[fleet])["config"], "EAT": EAT}
    formation = {"grower": {"quantity": 1, "size": "tiny"}}
    shop.edit("fleet.json", sizes={"tiny": TINY}, formation=formation, config=config, metrics={"dynos": True})
    shop.settle()
    yield shop
    program.unlink()
    for path, text in before.items():
        path.write_text(text)
    shop.settle()


def page(shop: Shop, host: str, path: str) -> str:
    """As another host of the fleet gets it."""
    other = next(name for name in HOSTS if name != host)
    ask = f"import urllib.request as r; print(r.urlopen('http://{at(host)}:{PORT}{path}').read().decode())"
    return shop.ssh(other, f'python3 -c "{ask}"')


def strictly(text: str) -> dict[str, set[str]]:
    """The samples of each metric; a metric that comes twice, or a line of no known form, fails the test."""
    found: dict[str, set[str]] = {}
    kinds: dict[str, str] = {}
    last = ""
    for line in text.strip().splitlines():
        about = re.fullmatch(r"# (HELP|TYPE) ([a-zA-Z_:][\w:]*) (.+)", line)
        sample = SAMPLE.fullmatch(line)
        assert about or sample, line
        if about and about[1] == "TYPE":
            assert about[3] in ("counter", "gauge", "histogram", "summary", "untyped"), line
            assert about[2] not in found, line
            kinds[about[2]] = about[3]
        name = about[2] if about else sample[1] if sample else ""
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        name = base if kinds.get(base) == "histogram" else name
        assert name == last or name not in found, line
        last = name
        if sample:
            assert line not in found.setdefault(name, set()), line
            found[name].add(line)
    return found


def place(shop: Shop, dyno: str) -> dict[str, Any]:
    return next(row for row in shop.ps() if row["dyno"] == dyno)


def states(shop: Shop, dyno: str, act: str) -> list[tuple[str, float]]:
    """What the dyno's host tells while something happens to it."""
    where = place(shop, dyno)
    key = f"hello.{dyno}.{where['release']}"
    words = f"{at(where['host'])} {key} '{act} deployer.dyno@{key}'"
    told = shop.ssh(where["host"], f"python3 - {words} <<'END'\n{WATCH}\nEND")
    return json.loads(told)  # type: ignore[no-any-return]


def lines(shop: Shop, dyno: str) -> list[str]:
    """What the platform said of it, without the time."""
    said = shop.deploy("logs", "-n", "1500", "--ps", dyno).stdout.splitlines()
    mine = (line.split(" ", 1)[1] for line in said)
    return [line.removeprefix(f"heroku[{dyno}]: ") for line in mine if line.startswith("heroku[")]


def test_a_crash_shows_at_once_and_so_does_the_boot(eater: Shop) -> None:
    seen = states(eater, "web.1", "systemctl kill -s KILL")
    assert [name for name, _ in seen] == ["up", "crashed", "starting", "up"], seen
    assert seen[1][1] < 0.2, seen


def test_a_restart_is_no_crash(eater: Shop) -> None:
    seen = [name for name, _ in states(eater, "web.1", "systemctl restart")]
    assert seen[:2] == ["up", "stopped"], seen
    assert seen[-2:] == ["starting", "up"], seen
    assert "crashed" not in seen


def test_every_host_tells_prometheus(eater: Shop) -> None:
    """The grower comes and goes."""
    steady = [row for row in eater.ps() if not row["dyno"].startswith("grower.")]
    assert {row["state"] for row in steady} == {"up"}
    for host in HOSTS:
        found = strictly(page(eater, host, "/metrics"))
        told = (line for line in found["deployer_dyno_state"] if 'type="grower"' not in line)
        up = {line for line in told if line.endswith('state="up"} 1')}
        here = [row for row in steady if row["host"] == host]
        for row in here:
            kind, number = row["dyno"].split(".")
            labels = f'app="hello",type="{kind}",number="{number}",release="{row["release"][1:]}"'
            assert f'deployer_dyno_state{{{labels},state="up"}} 1' in up
        assert len(here) == len(up)
        assert found["deployer_host_memory_bytes"]


def test_lines_of_the_logplex_are_counted(eater: Shop) -> None:
    """rsyslogd tells its counters twice a minute."""
    for _ in range(40):
        found = strictly(page(eater, "box-1", "/metrics"))
        counted = " ".join(found.get("deployer_logplex_lines_in_total", ()))
        if 'daemon="log"' in counted and 'daemon="logplex"' in counted:
            break
        time.sleep(1)
    assert 'daemon="log"' in counted
    assert 'daemon="logplex"' in counted
    assert found["deployer_logplex_lines_lost_total"]


def test_r14_warns_and_r15_ends(eater: Shop) -> None:
    for _ in range(45):
        said = lines(eater, "grower.1")
        if "State changed from crashed to starting" in said:
            break
        time.sleep(2)
    end = said.index("Error R15 (Memory quota vastly exceeded)")
    life = said[:end]
    warned = [n for n, line in enumerate(life) if line == "Error R14 (Memory quota exceeded)"]
    assert len(warned) >= 2, said
    assert all(re.fullmatch(r"Process running mem=8\dM\(1[23]\d\.\d%\)", life[n - 1]) for n in warned), said
    ends = ("Process exited", "State changed from up")
    assert not [line for line in life[warned[0] :] if line.startswith(ends)], said
    assert re.fullmatch(r"Process running mem=9\dM\(1[45]\d\.\d%\)", life[-1]), said
    assert said[end + 1 : end + 5] == [
        "Stopping process with SIGKILL",
        "Process exited with status 137",
        "State changed from up to crashed",
        "State changed from crashed to starting",
    ]
    eater.edit("fleet.json", formation={})
    eater.settle()  # the next ones want a fleet at rest


def test_memory_and_load_stand_in_the_log(eater: Shop) -> None:
    who = r"source=grower\.1 dyno=heroku\.[0-9a-f-]{36}\.hello\.grower\.1\.v\d+ "
    load = who + " ".join(rf"sample#load_avg_{n}m=\d+\.\d\d" for n in (1, 5, 15))
    sizes = " ".join(rf"sample#memory_{name}=\d+\.\d\dMB" for name in ("total", "rss", "cache", "swap"))
    pages = r"( sample#memory_pgpgin=\d+pages sample#memory_pgpgout=\d+pages)?"
    memory = rf"{who}{sizes}{pages} sample#memory_quota=64\.00MB"
    said = lines(eater, "grower.1")
    for pattern in (load, memory):
        assert any(re.fullmatch(pattern, line) for line in said), said


def reaches(address: str) -> bool:
    try:
        socket.create_connection((address, PORT), 3).close()
    except OSError:
        return False
    return True


def test_only_the_fleet_may_ask(eater: Shop) -> None:
    assert not any(reaches(at(host)) for host in HOSTS)
    web = place(eater, "web.1")
    inside = f"lxc-attach -n hello.web.1.{web['release']} --clear-env -- timeout 3 bash -c"
    for address, port, answer in (
        ("127.0.0.1", 5000, "yes\n"),
        *((at(host), PORT, "no\n") for host in HOSTS),
    ):
        connect = f"{inside} ': </dev/tcp/{address}/{port}' 2>/dev/null && echo yes || echo no"
        assert eater.ssh(web["host"], connect) == answer, address
    eater.edit("fleet.json", metrics={"dynos": True, "allow": [f"{gateway()}/32"]})
    eater.settle()
    assert all(reaches(at(host)) for host in HOSTS)
    eater.edit("fleet.json", metrics={"dynos": True})
    eater.settle()
    assert not any(reaches(at(host)) for host in HOSTS)


def test_a_killed_meter_comes_back(eater: Shop) -> None:
    eater.ssh("box-2", "systemctl kill -s KILL deployer.meter; sleep 2")
    assert "hello.web." in page(eater, "box-2", "/dynos")
    assert eater.plan()["changes"] == []


def test_who_no_longer_wants_it_in_the_log_leaves_nothing(eater: Shop) -> None:
    eater.edit("fleet.json", metrics={"dynos": False})
    eater.settle()
    assert eater.ssh("box-1", "ls /etc/deployer/meter") == ""
    eater.edit("fleet.json", metrics={"dynos": True})
    eater.settle()
