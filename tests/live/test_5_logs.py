"""The logplex: each line once, whole and in order, whoever writes it, whatever becomes of a logplex host."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from campaign import LONG, report
from conftest import Shop
from here import HOSTS, at, ground
from waiting import until

pytestmark = pytest.mark.live

APP = Path(__file__).parent / "app_logs"
AWAY = 60 if LONG else 8
"""Seconds that a logplex host is away."""
PLEXES = ("box-1", "box-2")
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00"
LOG = "/var/lib/deployer/logs/hello.log"
BEGAN: list[str] = []
"""When the release of these tests was begun."""
CONF = "/etc/deployer/rsyslog/log.conf"


@pytest.fixture(scope="module")
def logs(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """The app of these tests in place of the one before, and a second logplex host."""
    kept = tmp_path_factory.mktemp("kept") / "app"
    shutil.copytree(shop.folder, kept)
    for old in shop.folder.glob("*.py"):
        old.unlink()
    shutil.copytree(APP, shop.folder, dirs_exist_ok=True)
    hosts = json.loads((shop.folder / "fleet.json").read_text())["hosts"]
    hosts["box-2"]["roles"] = sorted({*hosts["box-2"]["roles"], "logplex"})
    shop.edit(
        "fleet.json",
        hosts=hosts,
        formation={},
        config={},
        allow=[ground().subnet],
        rollout={"watch": 0, "drain": 2},
    )
    document = json.loads((shop.folder / "fleet.json").read_text())
    document.pop("health", None)
    (shop.folder / "fleet.json").write_text(json.dumps(document))
    BEGAN.append(now(shop))
    shop.settle()
    yield shop
    shutil.rmtree(shop.folder)
    shutil.copytree(kept, shop.folder)


def ask(path: str, body: bytes | None = None) -> str:
    """What a web dyno answers: its name, or the length of what it wrote."""
    request = urllib.request.Request(f"http://{at('box-1')}{path}", data=body, headers={"Host": "hello"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode().strip()  # type: ignore[no-any-return]


def asked_of(shop: Shop, dyno: str, path: str) -> str:
    """The same of one dyno, past the routers."""
    row = next(d for d in shop.ps() if d["dyno"] == dyno)
    place = f"/var/lib/deployer/dynos/hello.{dyno}.{row['release']}/dyno.json"
    program = f"import json, urllib.request as r; a = json.load(open('{place}')); print(r.urlopen('http://%s:%d{path}' % (a['address'], a['port'])).read().decode())"
    return shop.ssh(row["host"], f'python3 -c "{program}"').strip()


def rows(shop: Shop, *words: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in shop.deploy("logs", "--json", *words).stdout.split("\n")[:-1]]


def texts(shop: Shop, *words: str) -> list[str]:
    return [row["text"] for row in rows(shop, *words)]


def now(shop: Shop) -> str:
    """The clock of a host, for --since."""
    return shop.ssh("box-1", "date -u +%Y-%m-%dT%H:%M:%S.%6N").strip()


def numbers(shop: Shop, host: str, name: str) -> list[int]:
    """Those of numbered lines as a logplex host's files have them, first comings only."""
    shown = shop.ssh(
        host,
        f"cat {LOG}.1 {LOG} 2>/dev/null | grep -ao ']: {name} [0-9]*' | cut -d' ' -f3; true",
    )
    return list(dict.fromkeys(int(number) for number in shown.split()))


def arrived(shop: Shop, host: str, name: str, last: int, seconds: float = 60) -> list[int]:
    until(lambda: last in numbers(shop, host, name), seconds, f"{name} {last} is not in the log of {host}")
    return numbers(shop, host, name)


@contextmanager
def tail(
    shop: Shop, *words: str, read: bool = True
) -> Iterator[tuple[subprocess.Popen[str], list[tuple[float, str]], list[str]]]:
    """`deploy logs --tail`: the process, its lines with the times when they came, and what it said on stderr."""
    process = subprocess.Popen(
        shop.argv("logs", "--tail", *words),
        env=shop.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    lines: list[tuple[float, str]] = []
    said: list[str] = []

    def follow(stream: Iterator[str], keep: list[tuple[float, str]] | list[str], timed: bool) -> None:
        for line in stream:
            keep.append((time.time(), line) if timed else line)  # type: ignore[arg-type]

    if read:
        threading.Thread(target=follow, args=(process.stdout, lines, True), daemon=True).start()
    threading.Thread(target=follow, args=(process.stderr, said, False), daemon=True).start()
    try:
        yield process, lines, said
    finally:
        process.kill()
        process.wait()


@contextmanager
def without_logplex(shop: Shop, *hosts: str) -> Iterator[None]:
    """The first host's logplex is killed, what is sent to the others is thrown away on the way."""
    killed, *cut = hosts
    shop.ssh(killed, "systemctl kill -s KILL deployer.logplex; systemctl stop deployer.logplex")
    for host in cut:
        shop.ssh(
            host,
            "nft add table ip away; nft add chain ip away in '{ type filter hook input priority -5; }'; nft add rule ip away in tcp dport 20514 drop",
        )
    try:
        yield
    finally:
        for host in cut:
            shop.ssh(host, "nft delete table ip away")
        shop.ssh(killed, "systemctl start deployer.logplex")


def test_what_was_done_is_said_once(logs: Shop) -> None:
    logs.apply()
    began, v = BEGAN[-1], logs.plan()["release"]
    spoken = texts(logs, "--since", began, "--ps", "api")
    lines = [line for line in spoken if not line.startswith("Scaled to ")]
    deployed = next(line for line in lines if line.startswith("Deploy "))
    commit, user = re.fullmatch(r"Deploy ([0-9a-f]{8}) by user (\S+@\S+)", deployed).groups()  # type: ignore[union-attr]
    assert lines == [
        f"Build started by user {user}",
        "Build succeeded",
        f"Deploy {commit} by user {user}",
        f"Release {v} created by user {user}",
        f"Running release {v} commands by user {user}",
    ]
    assert {row["source"] for row in rows(logs, "--since", began, "--ps", "api")} == {"app"}
    task = rows(logs, "--since", began, "--ps", "release")
    assert [f"{row['source']} {row['text']}" for row in task] == [
        'heroku Starting process with command `echo "migrating nothing"`',
        "heroku State changed from starting to up",
        "app migrating nothing",
        "heroku Process exited with status 0",
        "heroku State changed from up to complete",
    ]
    web = texts(logs, "--since", began, "--source", "heroku", "--ps", "web.1")
    assert web[:2] == [
        "Starting process with command `exec python app.py`",
        "State changed from starting to up",
    ]


def test_lines_keep_their_frames(logs: Shop) -> None:
    """Golden test 10, and what an app could try to pass as somebody else's line."""
    began = now(logs)
    body = (
        b"<134>forged priority\nhello/heroku/router: forged tag\nother/app/web.1: of another app\n"
        b"Nov 26 20:00:00 box hello/heroku/router: forged header\n<134>1 2026-11-26T21:00:00Z other heroku router - - x\n"
        b"bad \xff\xfe end\nesc \x1b[2J\ra \x07\nnul \0hidden\n\nsep \xe2\x80\xa8 end\ncrlf\r\n"
        + b"x" * 25000
        + b"\nend of it\n"
    )
    ask("/", body)
    until(
        lambda: (
            "end of it" in texts(logs, "--since", began) and rows(logs, "--since", began, "--ps", "router")
        )
    )
    app = rows(logs, "--since", began, "--source", "app")
    assert {row["process"] for row in app} <= {"web.1", "web.2"}
    assert [row["text"] for row in app] == [
        "<134>forged priority",
        "hello/heroku/router: forged tag",
        "other/app/web.1: of another app",
        "Nov 26 20:00:00 box hello/heroku/router: forged header",
        "<134>1 2026-11-26T21:00:00Z other heroku router - - x",
        "bad \ufffd\ufffd end",
        "esc \x1b[2J\ra \x07",
        "nul ",
        "",
        "sep \u2028 end",
        "crlf\r",
        "x" * 10000,
        "x" * 10000,
        "x" * 5000,
        "end of it",
    ]
    shown = logs.deploy("logs", "--since", began, "--source", "app").stdout
    assert "esc \\x1b[2J\\x0da \\x07\n" in shown
    assert "crlf\n" in shown
    assert len(rows(logs, "--since", began, "--ps", "router")) == 1


def test_dyno_cannot_reach_the_log(logs: Shop) -> None:
    """Neither the socket of a host nor the port of any logplex host, also where their network is allowed."""
    assert ask(f"/reach?hosts={','.join(map(at, HOSTS))}") == "reached:"


def test_bad_ends_are_told_in_herokus_words(logs: Shop) -> None:
    """R10, R12, R15 and a crash, line by line (contract 4.2 and 3.12)."""
    began = now(logs)
    bad = {kind: {"quantity": 1} for kind in ("stubborn", "eater", "crasher")}
    logs.edit("fleet.json", formation={**bad, "web": {"quantity": 3}})
    logs.apply(code=None)
    logs.edit("fleet.json", formation={})
    logs.settle()
    command = "Starting process with command `exec python"
    assert texts(logs, "--since", began, "--source", "heroku", "--ps", "web.3")[:5] == [
        f"{command} app.py`",
        "Error R10 (Boot timeout) -> Web process failed to bind to $PORT within 60 seconds of launch",
        "Stopping process with SIGKILL",
        "Process exited with status 137",
        "State changed from starting to crashed",
    ]
    eater = texts(logs, "--since", began, "--source", "heroku", "--ps", "eater")
    assert re.fullmatch(r"Process running mem=\d+M\(133\.\d%\)", eater.pop(2))
    assert eater[:6] == [
        f"{command} trouble.py eater`",
        "State changed from starting to up",
        "Error R15 (Memory quota vastly exceeded)",
        "Stopping process with SIGKILL",
        "Process exited with status 137",
        "State changed from up to crashed",
    ]
    assert texts(logs, "--since", began, "--source", "heroku", "--ps", "crasher")[:6] == [
        f"{command} trouble.py crasher`",
        "State changed from starting to up",
        "Process exited with status 3",
        "State changed from up to crashed",
        "State changed from crashed to starting",
        f"{command} trouble.py crasher`",
    ]
    assert texts(logs, "--since", began, "--source", "heroku", "--ps", "stubborn") == [
        f"{command} trouble.py stubborn`",
        "State changed from starting to up",
        "Stopping all processes with SIGTERM",
        "Error R12 (Exit timeout) -> At least one process failed to exit within 30 seconds of SIGTERM",
        "Stopping remaining processes with SIGKILL",
        "Process exited with status 137",
        "State changed from up to down",
    ]
    scaled = [line.partition(" by ")[0] for line in texts(logs, "--since", began, "--ps", "api")]
    assert scaled == [
        "Scaled to crasher@1:Standard eater@1:Standard stubborn@1:Standard web@3:Standard",
        "Scaled to crasher@0:Standard eater@0:Standard stubborn@0:Standard web@2:Standard",
    ]


def test_restart_is_no_end(logs: Shop) -> None:
    began = now(logs)
    dyno = next(d for d in logs.ps() if d["dyno"] == "web.2")
    logs.ssh(dyno["host"], f"systemctl restart deployer.dyno@hello.web.2.{dyno['release']}")
    said = ("--since", began, "--source", "heroku", "--ps", "web.2")
    until(lambda: "State changed from starting to up" in texts(logs, *said))
    assert texts(logs, *said) == [
        "Restarting",
        "State changed from up to starting",
        "Stopping all processes with SIGTERM",
        "Process exited with status 143",
        "Starting process with command `exec python app.py`",
        "State changed from starting to up",
    ]


def test_nothing_is_lost_while_logplex_hosts_are_away(logs: Shop) -> None:
    """One is killed, one cannot be reached; who follows is told, and reads on."""
    rate, last = 200, 200 * (AWAY + 4)
    with tail(logs, "-n", "1") as (process, lines, said):
        until(lambda: bool(lines), 20)
        ask(f"/count?name=steady&lines={last}&rate={rate}")
        time.sleep(2)
        with without_logplex(logs, *PLEXES):
            time.sleep(AWAY)
        whole = list(range(1, last + 1))
        for host in PLEXES:
            assert arrived(logs, host, "steady", last) == whole
        until(lambda: any(f"steady {last} " in line for _, line in lines), 30)
        shown = [int(found[1]) for _, line in lines if (found := re.search(r"]: steady (\d+) ", line))]
        assert sorted(shown) == whole
        assert process.poll() is None
    seen = [int(text.split()[1]) for text in texts(logs, "--since", "5m") if text.startswith("steady ")]
    assert seen == whole
    report(f"{last} lines with both logplex hosts away for {AWAY} s: 0 lost, in order, on each of them")


def test_tail_is_quick_and_outlives_a_host(logs: Shop) -> None:
    with tail(logs, "-n", "1", "--ps", "web") as (process, lines, said):
        until(lambda: bool(lines), 20)
        ask("/count?name=quick&lines=200&rate=50")
        time.sleep(1)
        logs.ssh("box-2", "pkill -KILL -f '[l]og-tail hello'")
        until(lambda: any("quick 200 " in line for _, line in lines), 20)
        until(lambda: any("box-2 is back" in words for words in said), 20)
        quick = [(at, line) for at, line in lines if "]: quick " in line]
        assert [line.split()[3] for _, line in quick] == [str(n) for n in range(1, 201)]
        delays = sorted(at - float(line.split()[5]) for at, line in quick)
        assert delays[int(len(delays) * 0.99)] < 1
        assert any(words.startswith("box-2 is gone") for words in said)
        assert "\033" not in "".join(line for _, line in lines)
        report(f"delay of logs --tail: p50 {delays[100]:.2f} s, p99 {delays[197]:.2f} s")


def test_slow_reader_is_told_what_it_missed(logs: Shop) -> None:
    """L11: every line is either there or counted."""
    last = 40_000
    with tail(logs, "-n", "1", "--ps", "web", read=False) as (process, _, _said):
        out = process.stdout
        assert out
        out.readline()
        ask(f"/count?name=flood&lines={last}")
        arrived(logs, "box-1", "flood", last)
        time.sleep(3)
        ask("/", b"end of flood\n")
        got, missed = 0, 0
        for line in out:
            got += "]: flood " in line
            if found := re.fullmatch(
                rf"{STAMP} heroku\[logplex\]: Error L11 \(Tail buffer overflow\) -> This tail session dropped (\d+) messages since [-0-9T:]+\+00:00\.\n",
                line,
            ):
                missed += int(found[1])
            if got + missed >= last:
                break
        assert got + missed == last
        assert missed > 0


def test_loss_past_the_bound_is_counted(logs: Shop) -> None:
    """L10 names all that was dropped, and since when."""
    last, host = 40_000, next(d["host"] for d in logs.ps() if d["dyno"] == "web.1")
    began = now(logs)[:19]
    logs.ssh(host, f'sed -i \'s/256m/1m/; s/"4m"/"200k"/\' {CONF}; systemctl restart deployer.log')
    with without_logplex(logs, *PLEXES):
        asked_of(logs, "web.1", f"/count?name=over&lines={last}")
        time.sleep(8)
    asked_of(logs, "web.1", "/count?name=after&lines=1")
    for plex in PLEXES:
        arrived(logs, plex, "after", 1)
    time.sleep(6)
    form = "heroku.logplex.: Error L10 (output buffer overflow): [0-9]* messages dropped since [-0-9T:]*+00:00\\.$"
    told = [logs.ssh(plex, f"grep -ao '{form}' {LOG}").splitlines() for plex in PLEXES]
    missing = sorted(last - len(numbers(logs, plex, "over")) for plex in PLEXES)
    assert min(missing) > last // 2
    for lines in told:
        counts = sorted(int(line.split()[6]) for line in lines[-2:])
        assert all(0 <= count - lost <= 5 for count, lost in zip(counts, missing, strict=True))
        assert all(line.split()[10][:19] >= began for line in lines[-2:])


def test_readers_flags_and_pipes(logs: Shop) -> None:
    ask("/", b"one\ntwo\nthree\n")
    until(lambda: "three" in texts(logs, "-n", "2", "--source", "app", "--ps", "web"))
    assert texts(logs, "-n", "2", "--source", "app", "--ps", "web") == ["two", "three"]
    assert {row["process"] for row in rows(logs, "--dyno", "router")} == {"router"}
    assert logs.deploy("logs", "--source", "nobody", code=1).stderr
    assert "is no time" in logs.deploy("logs", "--since", "tomorrow", code=1).stderr
    argv = " ".join(logs.argv("logs", "--tail", "-n", "100"))
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {argv} | head -1"],
        env=logs.environment,
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (0, 1, b"")
