"""What a host's meter tells: states from the marks of a dyno's scripts, memory, warnings, and Prometheus' format."""

from __future__ import annotations

import importlib
import re
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from shipped import script

from deployer.providers.meter import SCRIPTS

KEY, SERVICES = "hello.web.1.v3", "/system.slice"
GROUP = f"{SERVICES}/system-deployer.dyno.slice/deployer.dyno@{KEY}.service"
MB = 1 << 20
SETTINGS = {"APP": "hello", "TYPE": "web", "N": "1", "MEMORY": "512", "LIMIT": "1024"}
V1 = {
    "total_rss": 600 * MB,
    "total_cache": 50 * MB,
    "total_swap": MB,
    "total_active_file": 10 * MB,
    "total_inactive_file": 30 * MB,
    "total_pgpgin": 7,
    "total_pgpgout": 5,
}
V2 = {"anon": 600 * MB, "file": 50 * MB, "active_file": 10 * MB, "inactive_file": 30 * MB}
SAMPLE = re.compile(
    r'([a-z_][a-z0-9_]*)(?:\{[a-z_]+="(?:[^"\\]|\\.)*"(?:,[a-z_]+="(?:[^"\\]|\\.)*")*\})? -?[0-9]+(?:\.[0-9]+)?'
)


class Meter:
    """The scripts as modules, on a host that is a folder."""

    def __init__(self, place: Path, unified: bool = False) -> None:
        self.place = place
        for name in SCRIPTS:
            setattr(self, name, importlib.import_module(name))
        self.homes, self.once, self.run = place / "homes", place / "once", place / "run"
        self.groups = place / "groups"
        for folder in (self.homes / KEY, self.once, self.run, self.groups):
            folder.mkdir(parents=True)
        if unified:
            (self.groups / "cgroup.controllers").touch()
        self.settle(self.homes / KEY, SETTINGS)

    def settle(self, home: Path, settings: dict[str, str]) -> None:
        home.mkdir(exist_ok=True)
        (home / "dyno.env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def marks(self, *names: str) -> None:
        for name in names:
            path = Path(f"{self.run}/{KEY}{name}") if name.startswith(".") else self.run / KEY / name
            path.parent.mkdir(exist_ok=True)
            path.touch()

    def group(self, tree: str, *names: str) -> Path:
        folder = Path(f"{self.groups}/{tree}{GROUP}", *names)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def live(self, *pids: int) -> None:
        """Processes in the dyno, under version 1 of cgroups."""
        (self.group("systemd", "dyno", "payload") / "cgroup.procs").write_text(
            "".join(f"{p}\n" for p in pids)
        )

    @property
    def dyno(self) -> Any:
        return self.dynos.all_dynos(SERVICES)[0]  # type: ignore[attr-defined]


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Under the names that they have on a host."""
    folder = tmp_path / "meter"
    folder.mkdir()
    for name in SCRIPTS:
        shutil.copy(script(f"{name}.py"), folder / f"{name}.py")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield
    for name in SCRIPTS:
        sys.modules.pop(name, None)


@pytest.fixture
def meter(modules: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Meter:
    return on(Meter(tmp_path / "host"), monkeypatch)


@pytest.fixture
def unified(modules: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Meter:
    return on(Meter(tmp_path / "host", unified=True), monkeypatch)


def on(meter: Any, monkeypatch: pytest.MonkeyPatch) -> Meter:
    places = {"HOMES": meter.homes, "ONCE": meter.once, "RUN": meter.run, "GROUPS": meter.groups}
    for name, path in places.items():
        monkeypatch.setattr(meter.dynos, name, str(path))
    monkeypatch.setattr(meter.collect, "SITES", f"{meter.place}/deployer.*.conf")
    monkeypatch.setattr(meter.collect, "COMMON", f"{meter.place}/deployer_common_*.conf")
    monkeypatch.setattr(meter.collect, "ROUTER", f"{meter.place}/metrics.sock")
    monkeypatch.setattr(meter.collect, "DISK", str(meter.place))
    monkeypatch.setattr(meter.say, "CHOICES", str(meter.place))
    monkeypatch.setattr(meter.say, "LOG", f"{meter.place}/log")
    monkeypatch.setattr(meter.serve, "SERVICES", SERVICES)
    return meter  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("marks", "processes", "state"),
    [
        ([], [], "stopped"),
        ([".crashes"], [], "crashed"),
        (["began"], [7], "starting"),
        (["began", ".crashes"], [7], "starting"),
        (["began", "up"], [7], "up"),
        (["began", "up", ".crashes"], [7], "up"),
        (["began", "up"], [], "crashed"),
        (["began", "up", "status"], [7], "crashed"),
        (["began", "status"], [], "crashed"),
        (["began", "up", "stopping"], [7], "stopped"),
        (["began", "up", "stopping", "status"], [], "stopped"),
    ],
)
def test_state_follows_the_marks_and_the_kernel(
    meter: Any, marks: list[str], processes: list[int], state: str
) -> None:
    meter.marks(*marks)
    if processes or marks:
        meter.live(*processes)
    assert meter.dynos.states(SERVICES) == {KEY: state}


def test_a_unit_that_makes_ready_is_starting(meter: Any) -> None:
    meter.group("systemd")
    assert meter.dynos.states(SERVICES) == {KEY: "starting"}


def test_a_one_off_that_ended_is_no_crash(meter: Any) -> None:
    meter.settle(meter.once / "hello.run.4711", {**SETTINGS, "TYPE": "run", "N": "4711"})
    (meter.run / "hello.run.4711").mkdir()
    for mark in ("began", "up", "status"):
        (meter.run / "hello.run.4711" / mark).touch()
    (meter.once / "10.213.255.200.lock").touch()
    assert meter.dynos.states(SERVICES) == {KEY: "stopped", "hello.run.4711": "stopped"}


def stat(folder: Path, figures: dict[str, int]) -> None:
    (folder / "memory.stat").write_text("".join(f"{name} {value}\n" for name, value in figures.items()))


def test_memory_under_version_1(meter: Any) -> None:
    stat(meter.group("memory", "dyno"), V1)
    used = meter.dynos.memory(meter.dyno)
    assert (used.total, used.needed, used.pages_in, used.pages_out) == (651 * MB, 611 * MB, 7, 5)


def test_memory_under_version_2(unified: Any) -> None:
    folder = unified.group("", "payload")
    stat(folder, V2)
    (folder / "memory.swap.current").write_text(f"{MB}\n")
    used = unified.dynos.memory(unified.dyno)
    assert (used.total, used.needed, used.pages_in) == (651 * MB, 611 * MB, None)


def test_a_dyno_that_does_not_run_has_no_memory(meter: Any) -> None:
    assert meter.dynos.memory(meter.dyno) is None


def test_quota_is_passed_without_what_the_kernel_can_drop(meter: Any) -> None:
    memory = meter.dynos.Memory
    full = memory(rss=500 * MB, cache=300 * MB, swap=0, droppable=290 * MB)
    assert meter.say.warning(meter.dyno, full) == []
    over = memory(rss=870 * MB, cache=2 * MB, swap=0, droppable=MB)
    assert meter.say.warning(meter.dyno, over) == [
        "Process running mem=871M(170.1%)",
        "Error R14 (Memory quota exceeded)",
    ]


def test_runtime_metrics_are_herokus_lines(meter: Any) -> None:
    (meter.place / "hello.json").write_text('{"id": "b1dd"}')
    used = meter.dynos.Memory(3 * MB, MB, 0, 0, 9, 8)
    who = f"source=web.1 dyno=heroku.b1dd.{KEY}"
    assert list(meter.say.metrics(meter.dyno, used, {1: 2.456, 5: 1.0, 15: 0.0})) == [
        f"{who} sample#load_avg_1m=2.46 sample#load_avg_5m=1.00 sample#load_avg_15m=0.00",
        f"{who} sample#memory_total=4.00MB sample#memory_rss=3.00MB sample#memory_cache=1.00MB "
        "sample#memory_swap=0.00MB sample#memory_pgpgin=9pages sample#memory_pgpgout=8pages "
        "sample#memory_quota=512.00MB",
    ]


def test_runtime_metrics_are_a_choice(meter: Any) -> None:
    assert not meter.say.is_chosen(meter.dyno)
    (meter.place / "hello.json").write_text('{"id": "b1dd"}')
    assert meter.say.is_chosen(meter.dyno)


def test_load_is_averaged_over_minutes(meter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter.say, "threads", lambda group: ["1", "2", "3"])
    stats = {"1": "1 (a) b) R 0", "2": "2 (x) S 0", "3": "3 (y) D 0"}
    monkeypatch.setattr(meter.say, "read", lambda path: stats[path.split("/")[2]])
    load: dict[int, float] = {}
    for _ in range(12):
        load = meter.say.load(meter.dyno, load)
    assert load[1] == pytest.approx(2 * (1 - 2.718281828**-1))
    assert load[1] > load[5] > load[15] > 0


def test_lines_go_to_the_logplex_as_those_of_the_platform(meter: Any) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(f"{meter.place}/log")
        log.settimeout(5)
        meter.say.say(meter.dyno, ["one", "two"])
        lines = [log.recv(1000).decode() for _ in range(2)]
    assert [re.sub(r"^<134>[A-Z][a-z]{2} [ \d]\d [\d:]{8} ", "", line) for line in lines] == [
        "hello/heroku/web.1: one",
        "hello/heroku/web.1: two",
    ]


def test_a_log_that_is_away_stops_nothing(meter: Any, capsys: pytest.CaptureFixture[str]) -> None:
    meter.say.say(meter.dyno, ["one"])
    assert "takes no line" in capsys.readouterr().err


def test_who_is_over_its_quota_is_the_first_to_go(meter: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that the app itself ranked, and that is not the first, keeps its place."""
    scores = {"/proc/1/oom_score_adj": "500\n", "/proc/2/oom_score_adj": "700\n"}
    monkeypatch.setattr(meter.say, "processes", lambda group: ["1", "2"])
    monkeypatch.setattr(meter.say, "read", scores.__getitem__)
    monkeypatch.setattr(meter.say, "write", scores.__setitem__)
    folder, seen = meter.group("memory", "dyno"), []
    for rss in (100, 600, 100):
        stat(folder, {**V1, "total_rss": rss * MB})
        meter.say.report(meter.dyno, {}, is_due=False)
        seen.append([score.strip() for score in scores.values()])
    assert seen == [["500", "700"], ["1000", "1000"], ["500", "500"]]


def test_labels_are_escaped(meter: Any) -> None:
    made = meter.prometheus.family("a", "gauge", "A.", [({"x": 'q"\\\n'}, 1)])
    assert meter.prometheus.text(made) == '# HELP a A.\n# TYPE a gauge\na{x="q\\"\\\\\\n"} 1\n'
    assert meter.prometheus.parsed(meter.prometheus.text(made)) == made


HISTOGRAM = """\
# HELP t Time.
# TYPE t histogram
t_bucket{app="%s",le="0.1"} 1
t_bucket{app="%s",le="+Inf"} 2
t_sum{app="%s"} 3.5
t_count{app="%s"} 2
"""


def test_sources_are_put_together_by_metric(meter: Any) -> None:
    texts = [HISTOGRAM.replace("%s", app) + f'n{{app="{app}"}} 1\n' for app in ("a", "b")]
    whole = meter.prometheus.text(meter.prometheus.merged(map(meter.prometheus.parsed, texts)))
    assert whole.count("# TYPE t histogram") == whole.count("# HELP t Time.") == 1
    names = [re.split(r"[{ ]", line)[0] for line in whole.splitlines() if line[0] != "#"]
    assert names == ["t_bucket", "t_bucket", "t_sum", "t_count"] * 2 + ["n", "n"]


@pytest.mark.parametrize("line", ["<html>", 'a{b="c} 1', "a", 'a{b="c"} x', 'a{b="\\q"} 1', "1a 2"])
def test_what_is_no_prometheus_is_refused(meter: Any, line: str) -> None:
    with pytest.raises(ValueError, match="no line of Prometheus"):
        meter.prometheus.parsed(f"a 1\n{line}\n")


def test_counters_of_rsyslogd(meter: Any, capsys: pytest.CaptureFixture[str]) -> None:
    counters: Any = {}
    for told in (
        b'log { "name": "imuxsock", "origin": "imuxsock", "submitted": 9 }',
        b'log { "name": "to one", "origin": "core.action", "processed": 8, "failed": 1 }',
        b'log { "name": "to one queue", "origin": "core.queue", "size": 3, "discarded.full": 2, "discarded.nf": 5 }',
        b"log nonsense",
    ):
        meter.logplex.take(told, counters, 100.0)
    assert "nonsense" in capsys.readouterr().err
    lines = meter.prometheus.text(meter.logplex.families(counters)).splitlines()
    assert [line for line in lines if line[0] != "#"] == [
        'deployer_logplex_lines_in_total{daemon="log",input="imuxsock"} 9',
        'deployer_logplex_lines_out_total{daemon="log",output="to one"} 8',
        'deployer_logplex_lines_failed_total{daemon="log",output="to one"} 1',
        'deployer_logplex_lines_lost_total{daemon="log",queue="to one queue"} 7',
        'deployer_logplex_queue_lines{daemon="log",queue="to one queue"} 3',
    ]
    meter.logplex.take(b'log {"name": "x"}', counters, 500.0)
    assert set(counters) == {("log", "x")}


@contextmanager
def router(meter: Any, answer: bytes) -> Iterator[None]:
    """A router with a site, that answers once."""

    def serve() -> None:
        client, _ = server.accept()
        with client:
            assert client.recv(1000) == b"GET /metrics HTTP/1.0\r\nHost: deployer_1f\r\n\r\n"
            client.sendall(answer)

    for name in ("deployer.a.conf", "deployer_common_1f.conf"):
        (meter.place / name).touch()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(meter.collect.ROUTER)
        server.listen()
        threading.Thread(target=serve, daemon=True).start()
        yield


def test_the_router_is_asked(meter: Any) -> None:
    assert not meter.collect.of_routers()
    with router(meter, b'HTTP/1.1 200 OK\r\nX: y\r\n\r\nrouter_requests_total{app="a"} 4\n'):
        found = meter.prometheus.text(meter.collect.of_routers())
    assert 'router_requests_total{app="a"} 4\n' in found
    assert "deployer_router_up 1\n" in found


def test_a_router_that_tells_nothing_is_down(meter: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with router(meter, b"HTTP/1.1 502 Bad\r\n\r\nno"):
        assert "deployer_router_up 0\n" in meter.prometheus.text(meter.collect.of_routers())
    assert "metrics.sock: it answered" in capsys.readouterr().err


@contextmanager
def serving(meter: Any) -> Iterator[socket.socket]:
    with meter.serve.Server(("127.0.0.1", 0), meter.serve.Connection) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with socket.create_connection(server.server_address, timeout=5) as client:
                yield client
        finally:
            server.shutdown()


def asked(client: socket.socket, request: str) -> tuple[str, str]:
    """The head and the body of one answer."""
    client.sendall(request.encode())
    file = client.makefile("rb")
    head = b"".join(iter(file.readline, b"\r\n")).decode()
    found = re.search(r"Content-Length: (\d+)", head)
    assert found
    return head, "" if request.startswith("HEAD") else file.read(int(found[1])).decode()


def test_one_connection_serves_several_requests(meter: Any) -> None:
    meter.marks("began", "up")
    meter.live(7)
    with serving(meter) as client:
        head, body = asked(client, "GET /dynos HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (head.split("\r\n")[0], body) == ("HTTP/1.1 200 OK", f"{KEY} up\n")
        assert asked(client, "HEAD /dynos HTTP/1.1\r\nHost: x\r\n\r\n")[0] == head
        assert "404 Not Found" in asked(client, "GET /else HTTP/1.1\r\n\r\n")[0]
        head, body = asked(client, "GET /metrics?x=y HTTP/1.1\r\nConnection: Close\r\n\r\n")
        assert "version=0.0.4" in head
        assert 'deployer_dyno_state{app="hello",type="web",number="1",release="3",state="up"} 1\n' in body
        assert client.recv(1) == b""


@pytest.mark.parametrize("request_line", ["POST /dynos HTTP/1.1", "GET /dynos HTTP/1.0", "nonsense"])
def test_other_requests_end_the_connection(meter: Any, request_line: str) -> None:
    with serving(meter) as client:
        client.sendall(f"{request_line}\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(1000), b"")).decode()
    status = {"P": "HTTP/1.1 405 Method Not Allowed", "G": "HTTP/1.1 200 OK", "n": ""}[request_line[0]]
    assert answer.partition("\r\n")[0] == status


def test_everything_is_in_prometheus_format(meter: Any) -> None:
    stat(meter.group("memory", "dyno"), V1)
    meter.marks("began", "up")
    meter.live(7)
    (meter.run / f"{KEY}.crashes").write_text(
        '{"count": 1, "last": 2, "restarts": 4, "status": 1, "until": 2}'
    )
    page = meter.collect.everything(SERVICES, {})
    seen: list[str] = []
    for line in page.splitlines():
        found = re.match(r"# (?:HELP|TYPE) (\S+) \S", line) or SAMPLE.fullmatch(line)
        assert found, line
        if not seen or seen[-1] != found[1]:
            seen.append(found[1])
    assert len(seen) == len(set(seen)) > 15
    who = 'app="hello",type="web",number="1",release="3"'
    assert f"deployer_dyno_restarts_total{{{who}}} 4\n" in page
    assert f"deployer_dyno_memory_limit_bytes{{{who}}} {1024 * MB}\n" in page
    assert f"deployer_dyno_memory_rss_bytes{{{who}}} {600 * MB}\n" in page


def test_scripts_are_for_old_pythons(modules: None) -> None:
    """What they import must be there in 3.8 already, and none of it costs every host megabytes."""
    found: list[ModuleType] = [importlib.import_module(name) for name in SCRIPTS]
    assert len(found) == 6
    assert not {"http.server", "asyncio", "subprocess"} & {
        name for module in found for name in vars(module) if isinstance(vars(module)[name], ModuleType)
    }
