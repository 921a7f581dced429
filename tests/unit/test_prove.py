"""The script that does a host's part of the proof, as a process of its own on files, a pipe and a router of ours."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from shipped import script

SCRIPT = script("prove.py")
MARK = "0123456789abcdef0123456789abcdef"
ROUTER = f"heroku[router] {MARK}-0-{{}}"


def start(request: dict[str, Any]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, str(SCRIPT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if process.stdin:
        process.stdin.write(json.dumps(request).encode())
        process.stdin.close()
    return process


def end(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    said = process.stdout.read() if process.stdout else b""
    assert process.wait(20) == 0
    report: dict[str, Any] = json.loads(said)
    return report


def prove(**request: Any) -> dict[str, Any]:
    return end(start(request))


def awaiting(path: Path, *awaited: str, seconds: float = 5) -> dict[str, Any]:
    return {"path": str(path), "mark": MARK, "awaited": awaited, "seconds": seconds}


def router_line(i: int, dyno: str = "web.1") -> str:
    return f'2026 heroku[router]: at=info path="/" request_id={MARK}-0-{i} dyno={dyno} status=200'


@pytest.fixture
def asked() -> list[tuple[str, dict[str, str]]]:
    return []


@pytest.fixture
def port(asked: list[tuple[str, dict[str, str]]]) -> Iterator[int]:
    class Router(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, dict(self.headers)))
            self.send_response(404 if self.path == "/none" else 200)
            self.end_headers()
            while self.path == "/ever":
                self.wfile.write(b"more\n" * 1000)
                time.sleep(0.05)

        def log_message(self, *_: object) -> None:
            """Nothing on the screen of the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Router)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def requests(port: int, path: str, *marks: str, proxy: bool = False) -> dict[str, Any]:
    headers = {"Host": "hello", "User-Agent": "deployer-proof"}
    return {"port": port, "proxy": proxy, "path": path, "headers": headers, "marks": marks}


def test_a_router_behind_a_balancer_is_asked_as_one_would() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        asked = []

        def serve() -> None:
            link, _ = listening.accept()
            with link, link.makefile("rb") as lines:
                asked.extend([lines.readline(), lines.readline()])
                link.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        report = prove(requests=requests(listening.getsockname()[1], "/", MARK, proxy=True))
        thread.join()
    assert report["answers"] == {MARK: 204}
    assert asked == [b"PROXY TCP4 127.0.0.1 127.0.0.1 1 80\r\n", b"GET / HTTP/1.1\r\n"]


def test_marked_requests_one_after_another(port: int, asked: list[tuple[str, dict[str, str]]]) -> None:
    report = prove(requests=requests(port, "/up?now", f"{MARK}-0-0", f"{MARK}-0-1"))
    assert report["answers"] == {f"{MARK}-0-0": 200, f"{MARK}-0-1": 200}
    assert [(path, headers["X-Request-Id"]) for path, headers in asked] == [
        ("/up?now", f"{MARK}-0-0"),
        ("/up?now", f"{MARK}-0-1"),
    ]
    assert {headers["Host"] for _, headers in asked} == {"hello"}
    assert {headers["User-Agent"] for _, headers in asked} == {"deployer-proof"}


def test_any_status_is_an_answer_and_an_endless_one_is_left(port: int) -> None:
    assert prove(requests=requests(port, "/none", MARK))["answers"] == {MARK: 404}
    began = time.monotonic()
    assert prove(requests=requests(port, "/ever", MARK))["answers"] == {MARK: 200}
    assert time.monotonic() - began < 5


def test_a_router_that_is_down_is_said_in_words(port: int) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        said = prove(requests=requests(closed.getsockname()[1], "/", MARK))["answers"][MARK]
    assert "refused" in said


def test_a_line_goes_into_a_dynos_own_output(tmp_path: Path) -> None:
    pipe = tmp_path / "output"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    lines = {
        "web.1": {"pipe": str(pipe), "text": f"deployer: proof of v3 {MARK}"},
        "worker.1": {"pipe": str(tmp_path / "none"), "text": "x"},
    }
    report = prove(lines=lines)
    assert os.read(reader, 1000).decode() == f"deployer: proof of v3 {MARK}\n"
    os.close(reader)
    assert report["refused"].keys() == {"worker.1"}
    assert prove(lines=lines)["refused"].keys() == {"web.1", "worker.1"}, "nobody reads the pipe"


def test_a_pipe_that_is_full_holds_nothing_up_for_long(tmp_path: Path) -> None:
    pipe = tmp_path / "output"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
    os.write(reader, b"x" * 4096)
    began = time.monotonic()
    assert "web.1" in prove(lines={"web.1": {"pipe": str(pipe), "text": MARK}})["refused"]
    assert time.monotonic() - began < 6
    os.close(reader)


def test_lines_that_are_there_end_the_waiting_at_once(tmp_path: Path) -> None:
    log = tmp_path / "hello.log"
    log.write_text(f"{router_line(0)}\n2026 app[web.1]: half a line deployer: proof of v3 {MARK}\n")
    names = (ROUTER.format(0), f"app[web.1] {MARK}")
    began = time.monotonic()
    found = prove(log=awaiting(log, *names))["found"]
    assert (found.keys(), found[names[0]]) == (set(names), router_line(0))
    assert time.monotonic() - began < 3


def test_only_the_routers_own_word_counts(tmp_path: Path) -> None:
    log = tmp_path / "hello.log"
    log.write_text(
        f"2026 app[web.1]: heroku[router]: request_id={MARK}-0-1 dyno=web.1\n"
        f"2026 app[web.2]: deployer: proof of v3 {MARK}-0-1\n{router_line(10)}\n"
    )
    names = (ROUTER.format(1), f"app[web.2] {MARK}")
    assert prove(log=awaiting(log, *names, seconds=0.2))["found"] == {}


def test_lines_that_come_later_also_past_a_rotation(tmp_path: Path) -> None:
    log = tmp_path / "hello.log"
    process = start({"log": awaiting(log, *(ROUTER.format(i) for i in range(3)))})
    time.sleep(0.3)
    log.write_text(router_line(0) + "\n" + router_line(1)[:40])
    time.sleep(0.2)
    with log.open("a") as f:
        f.write(router_line(1)[40:] + "\n")
    log.rename(tmp_path / "hello.log.1")
    time.sleep(0.2)
    log.write_text(router_line(2) + "\n")
    assert end(process)["found"] == {ROUTER.format(i): router_line(i) for i in range(3)}


def test_what_was_just_rotated_away_is_looked_through(tmp_path: Path) -> None:
    (tmp_path / "hello.log.1").write_text(router_line(0) + "\n")
    assert prove(log=awaiting(tmp_path / "hello.log", ROUTER.format(0)))["found"].keys() == {ROUTER.format(0)}


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "hello.log"
    log.write_text(router_line(0) + "\n" + "x" * (2 << 20) + "\n" + router_line(1) + "\n")
    names = (ROUTER.format(0), ROUTER.format(1))
    assert prove(log=awaiting(log, *names, seconds=0.2))["found"].keys() == {ROUTER.format(1)}


def test_the_wait_ends_when_nothing_comes_for_long(tmp_path: Path) -> None:
    began = time.monotonic()
    assert prove(log=awaiting(tmp_path / "none.log", ROUTER.format(0), seconds=0.3))["found"] == {}
    assert 0.3 <= time.monotonic() - began < 3


def test_the_proof_is_kept_where_the_release_is(tmp_path: Path) -> None:
    prove(record={"path": str(tmp_path / "v3" / "proof.json"), "text": "{}\n"})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "v3").mkdir()
    for text in ("{}\n", '{"ok": true}\n'):
        prove(record={"path": str(tmp_path / "v3" / "proof.json"), "text": text})
    kept = tmp_path / "v3" / "proof.json"
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ('{"ok": true}\n', 0o644)
    assert list(kept.parent.iterdir()) == [kept]


def test_it_is_python_3_8() -> None:
    ast.parse(SCRIPT.read_text("utf-8"), feature_version=(3, 8))
