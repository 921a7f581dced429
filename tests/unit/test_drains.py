"""Drains: which there may be, and what drain-send does with lines, queues and receivers."""

from __future__ import annotations

import datetime
import importlib
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from certs import pair
from fleets import fleet, spec
from shipped import script

from deployer.problems import InputError
from deployer.providers.drains.drain import SHARED, UNITS
from deployer.source import drains as given
from deployer.spec.drains import MOST, chosen, named, objection
from deployer.spec.platform import Platform

STAMP = b"2026-01-02T03:04:05.000006+00:00"
TOKEN = "d.00000001-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    "url",
    [
        "syslog://logs.example.com:514",
        "syslog+tls://user:pass@[2001:db8::1]:6514#insecure",
        "https://u:p@logs.example.com/in?key=x",
        "http://192.0.2.1",
    ],
)
def test_urls_that_may_be(url: str) -> None:
    assert objection(url) == ""


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://logs.example.com/hush", "cannot be reached by ftp"),
        ("logs.example.com/hush", "a URL without a scheme"),
        ("https:///hush", "no usable host"),
        ("https://[hush/", "no usable host"),
        ("syslog://logs:99999/hush", "no usable host"),
        ("syslog://logs:514#other", "#insecure"),
        ("https://logs/hush hush", "a blank"),
    ],
)
def test_urls_that_may_not_be(url: str, said: str) -> None:
    assert said in objection(url)
    assert "hush" not in objection(url), "what may be secret is not said"


def test_drains_of_files_and_of_commands_are_one_list() -> None:
    added = Platform(1, drains=("http://a", "http://b"))
    found = chosen(["http://b", "http://c"], added, "seal")
    assert sorted((d.url, d.declared) for d in found) == [
        ("http://a", False),
        ("http://b", True),
        ("http://c", True),
    ]
    assert named(found, "http://a") is named(found, next(d.token for d in found if d.url == "http://a"))
    assert named(found, "http://x") is None


def test_there_are_five_at_most() -> None:
    with pytest.raises(InputError, match="6 drains, 5 are the most"):
        chosen([f"http://{n}" for n in range(MOST + 1)], Platform(), "seal")


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The parts of drain-send under the names that they import each other by."""
    names = [f"drain_{part}" for part in ("one", "queue", "relp", "send", "wire")]
    for name in names:
        (tmp_path / f"{name}.py").write_text(
            script("drain-send.py" if name == "drain_send" else f"{name}.py").read_text()
        )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    for name in names:
        sys.modules.pop(name, None)


@pytest.fixture
def module(scripts: Path) -> Callable[[str], ModuleType]:
    return importlib.import_module


def lines(first: int, last: int) -> list[bytes]:
    return [b"%s app web.1 line %d" % (STAMP, n) for n in range(first, last + 1)]


def drained(queue: Any, step: int = 7) -> list[bytes]:
    found: list[bytes] = []
    while batch := queue.take(step, 1 << 20):
        found += batch
        queue.done(len(batch))
    return found


def test_frames_are_those_of_the_contract(module: Callable[[str], ModuleType]) -> None:
    frame = module("drain_wire").frame
    told = {
        b"app web.1 hello": b"<190>1 T d.x app web.1 - - hello\n",
        b"app web.1   two  ": b"<190>1 T d.x app web.1 - -   two  \n",
        b"app web.1": b"<190>1 T d.x app web.1 - -\n",
        b"heroku router at=info": b"<158>1 T d.x heroku router - - at=info\n",
        b"heroku web.1 State changed": b"<134>1 T d.x heroku web.1 - - State changed\n",
        b"app api Release v9": b"<134>1 T d.x app api - - Release v9\n",
        b"heroku logplex Error L10": b"<172>1 T d.x heroku logplex - - Error L10\n",
    }
    for line, message in told.items():
        found = frame(b"T " + line, b"d.x", b"- -")
        assert found == b"%d %s" % (len(message), message)
    text = b"2025-06-12T10:11:12.345678+00:00 heroku web.1 State changed from starting to up"
    expected = (
        b"<134>1 2025-06-12T10:11:12.345678+00:00 host heroku web.1 - State changed from starting to up\n"
    )
    assert frame(text, b"host", b"-") == b"94 " + expected


def test_a_queue_keeps_the_order_over_disk_and_restarts(
    module: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    q = module("drain_queue")
    monkeypatch.setattr(q, "MEMORY", 400)
    monkeypatch.setattr(q, "PART", 500)
    folder = str(tmp_path / "queue")
    queue, sent = q.Queue(folder), lines(1, 40)
    for line in sent[:30]:
        queue.put(line)
    assert len(list(Path(folder).iterdir())) > 1
    first = queue.take(12, 1 << 20)
    queue.done(len(first))
    queue.put(sent[30])
    assert queue.take(3, 1) == [sent[len(first)]], "one at least, however long"
    queue.leave(keeps=True)
    queue.done(1)
    again = q.Queue(folder)
    for line in sent[31:]:
        again.put(line)
    assert len(again) == 40 - len(first)
    assert [*first, *drained(again)] == sent
    assert (len(again), again.lost, list(Path(folder).iterdir())) == (0, 0, [])


def test_a_full_queue_drops_the_oldest_and_counts_them(
    module: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    q = module("drain_queue")
    monkeypatch.setattr(q, "MEMORY", 100)
    monkeypatch.setattr(q, "PART", 500)
    queue = q.Queue(str(tmp_path / "queue"), disk=1500)
    for line in lines(1, 200):
        queue.put(line)
    found = drained(queue)
    assert queue.lost > 100
    assert len(found) + queue.lost == 200
    assert found[-1] == lines(200, 200)[0]


def test_a_queue_survives_a_crash_and_repeats_one_part_at_most(
    module: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    q = module("drain_queue")
    monkeypatch.setattr(q, "MEMORY", 100)
    monkeypatch.setattr(q, "PART", 500)
    queue = q.Queue(str(tmp_path / "queue"))
    for line in lines(1, 60):
        queue.put(line)
    queue.close()
    done = queue.take(4, 1 << 20)
    queue.done(len(done))
    rest = drained(q.Queue(str(tmp_path / "queue")))
    assert rest == lines(len(done) + 60 - len(done) - len(rest) + 1, 60)


def test_relp_is_understood_in_any_pieces(module: Callable[[str], ModuleType]) -> None:
    relp = module("drain_relp")
    said = b"1 open 14 relp_version=0\n2 syslog 5 hello\n3 syslog 0\n4 syslog 7 wo\nrl d\n5 close 0\n"
    for size in (1, 7, len(said)):
        peer, found = relp.Peer(), []
        for at in range(0, len(said), size):
            found += peer.feed(said[at : at + size])
        assert found == [b"hello", b"", b"wo\nrl d"]
        assert peer.is_done
        heads = [b"2 rsp 6 200 OK\n", b"3 rsp 6 200 OK\n", b"4 rsp 6 200 OK\n", b"5 rsp 0\n"]
        assert peer.answer.startswith(b"1 rsp %d 200 OK\n" % len(relp.OFFER))
        assert all(head in peer.answer for head in heads)
    for nonsense in (b"x" * 100, b"1 syslog nan x\n", b"1 syslog 999999999 x"):
        with pytest.raises(ValueError, match=r"."):
            relp.Peer().feed(nonsense)


class Receiver:
    """A TCP receiver that can go away: what it read, and its port."""

    def __init__(self) -> None:
        self.got, self.links = b"", list[socket.socket]()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.more = threading.Condition()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            self.links.append(link)
            threading.Thread(target=self.read, args=(link,), daemon=True).start()

    def read(self, link: socket.socket) -> None:
        while data := link.recv(65536):
            with self.more:
                self.got += data
                self.more.notify_all()

    def has(self, expected: bytes) -> bool:
        with self.more:
            return self.more.wait_for(lambda: self.got == expected, 10)


def test_a_receiver_that_ended_in_order_gets_nothing_twice(module: Callable[[str], ModuleType]) -> None:
    wire, receiver = module("drain_wire"), Receiver()
    syslog = wire.wire(f"syslog://127.0.0.1:{receiver.port}", TOKEN, "")
    expected = b""
    for n in (1, 2, 3):
        syslog.send(lines(n, n))
        expected += wire.frame(lines(n, n)[0], TOKEN.encode(), b"- -")
        assert receiver.has(expected)
        receiver.links[-1].shutdown(socket.SHUT_RDWR)
        receiver.links[-1].close()
    assert len(receiver.links) == 3
    receiver.listener.close()


def test_a_receiver_that_is_away_is_an_error(module: Callable[[str], ModuleType]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(OSError, match="refused"):
        module("drain_wire").wire(f"syslog://127.0.0.1:{port}", TOKEN, "").send(lines(1, 1))


@pytest.fixture
def posts() -> Iterator[tuple[int, list[tuple[str, dict[str, str], bytes]], list[int]]]:
    """An HTTP receiver: its port, what it was sent, and the statuses that it answers, 200 after the last."""
    got: list[tuple[str, dict[str, str], bytes]] = []
    statuses: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.append((self.path, dict(self.headers), body))
            self.send_response(statuses.pop(0) if statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port, got, statuses
    server.shutdown()
    server.server_close()


def test_posts_are_those_of_the_contract(module: Callable[[str], ModuleType], posts: Any) -> None:
    port, got, statuses = posts
    statuses += [200, 500, 200, 429, 200, 400]
    wire = module("drain_wire")
    http = wire.wire(f"http://user:p%40ss@127.0.0.1:{port}/in?key=x", TOKEN, "")
    http.send(lines(1, 2))
    path, headers, body = got[0]
    assert path == "/in?key=x"
    assert body == b"".join(wire.frame(line, b"host", b"-") for line in lines(1, 2))
    assert {k: v for k, v in headers.items() if k.startswith(("Logplex", "Content-T", "User", "Auth"))} == {
        "Content-Type": "application/logplex-1",
        "Logplex-Msg-Count": "2",
        "Logplex-Frame-Id": headers["Logplex-Frame-Id"],
        "Logplex-Drain-Token": TOKEN,
        "User-Agent": "Logplex/v1",
        "Authorization": "Basic dXNlcjpwQHNz",
    }
    for status in ("500", "429"):
        with pytest.raises(OSError, match=status):
            http.send(lines(3, 3))
        http.send(lines(3, 3))
    ids = [h["Logplex-Frame-Id"] for _, h, _ in got]
    assert len(set(ids[1:])) == 1, "a frame that is tried again is the same frame"
    assert ids[0] != ids[1]
    with pytest.raises(wire.Refused, match="400"):
        http.send(lines(4, 4))


@pytest.fixture
def one(module: Callable[[str], ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    found = module("drain_one")
    monkeypatch.setattr(found, "SPOOL", str(tmp_path / "spool"))
    monkeypatch.setattr(found, "STATES", str(tmp_path))
    monkeypatch.setattr(found, "LOG", str(tmp_path / "log"))
    monkeypatch.setattr(found, "PAUSES", (0.01,))
    return found


def drain(one: ModuleType, url: str) -> Any:
    return one.Drain("hello", {"token": TOKEN, "url": url, "plain": url, "ca": ""})


def until(done: Callable[[], bool]) -> bool:
    event = threading.Event()
    return any(done() or event.wait(0.02) for _ in range(500))


def test_a_refused_batch_is_dropped_and_told_of(one: ModuleType, posts: Any, tmp_path: Path) -> None:
    port, got, statuses = posts
    statuses += [500, 400]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        found = drain(one, f"http://127.0.0.1:{port}/")
        for line in lines(1, 3):
            found.take_in(line)
        found.thread.start()
        assert until(lambda: len(got) == 2)
        found.take_in(lines(4, 4)[0])
        assert until(lambda: found.state["sent"] == 1)
        log.settimeout(10)
        said = log.recv(4096).decode()
    found.end()
    found.thread.join(5)
    _, headers, body = got[2]
    assert headers["Logplex-Msg-Count"] == "2"
    first, second = body.split(b"\n")[:2]
    assert b" <172>1 " in first
    assert b" host heroku logplex - Error L10 (output buffer overflow): 3 messages dropped since " in first
    assert second.endswith(b"app web.1 - line 4")
    assert said.startswith("<172>")
    assert "hello/heroku/logplex: Error L10 (output buffer overflow): 3 messages dropped since " in said
    assert (found.state["lost"], found.state["state"]) == (3, "up")


def test_a_drain_waits_for_a_receiver_that_is_away(one: ModuleType) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"syslog://127.0.0.1:{taken.getsockname()[1]}"
    found = drain(one, url)
    found.thread.start()
    found.take_in(lines(1, 1)[0])
    assert until(lambda: found.state["state"] == "down")
    found.end()
    found.thread.join(5)
    found.queue.leave(keeps=True)
    again = drain(one, url)
    assert again.queue.take(9, 1 << 20) == lines(1, 1)


def test_a_batch_that_is_tried_again_is_the_same_whatever_has_come_since(
    one: ModuleType, posts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, got, statuses = posts
    statuses += [500]
    monkeypatch.setattr(one, "PAUSES", (0.5,))
    found = drain(one, f"http://127.0.0.1:{port}/")
    found.take_in(lines(1, 1)[0])
    found.thread.start()
    assert until(lambda: len(got) == 1)
    found.take_in(lines(2, 2)[0])
    assert until(lambda: len(got) == 3)
    ids = [headers["Logplex-Frame-Id"] for _, headers, _ in got]
    assert (ids[0] == ids[1], ids[1] == ids[2], got[0][2] == got[1][2]) == (True, False, True)
    found.end()
    found.thread.join(5)


def test_a_drain_that_was_taken_away_ends_with_lines_left(one: ModuleType, posts: Any) -> None:
    port, got, _ = posts
    found = drain(one, f"http://127.0.0.1:{port}/")
    for line in lines(1, 3):
        found.take_in(line)
    found.end()
    found.queue.leave(keeps=False)
    found.thread.start()
    found.thread.join(5)
    assert (found.thread.is_alive(), got) == (False, [])


CUT = "-----BEGIN CERTIFICATE-----\nMIIB"


@pytest.mark.parametrize("before", ["", pair("a.example").chain], ids=["alone", "behind a whole one"])
def test_a_certificate_that_is_cut_off_is_not_taken(tmp_path: Path, before: str) -> None:
    (tmp_path / "ca.pem").write_text(before + CUT)
    wanted = spec(drains=["https://logs.example.com/"], drain_ca="ca.pem").fleet
    _, ca, problems = given.read(wanted, tmp_path, lambda at: at)
    assert (ca, [p.where for p in problems]) == ("", ["/drain_ca"])
    assert "damaged or cut off" in problems[0].summary
    (tmp_path / "ca.pem").write_text(pair("a.example").chain)
    assert given.read(wanted, tmp_path, lambda at: at)[1:] == (pair("a.example").chain, ())


@pytest.mark.parametrize("path", [SHARED, *sorted(UNITS)])
def test_what_runs_of_other_files_is_started_again_by_one_apply(path: str) -> None:
    wanted, seen = spec(drains=["https://logs.example.com/"]), fleet()
    seen.apply(wanted)
    machine = seen.machines["one"]
    machine.write(path, machine.text(path).replace("20518", "20515") + "# older\n")
    for daemon in ("deployer.drains.service", "deployer.log.service"):
        machine.start(daemon)
    assert not seen.plan(wanted).empty
    seen.apply(wanted)
    assert seen.plan(wanted).empty


@pytest.fixture
def send(
    module: Callable[[str], ModuleType], one: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ModuleType:
    found = module("drain_send")
    monkeypatch.setattr(found, "SETTINGS", str(tmp_path / "*.json"))
    monkeypatch.setattr(found, "LOADED", str(tmp_path / "loaded"))
    (tmp_path / "states").mkdir()
    monkeypatch.setattr(one, "STATES", str(tmp_path / "states"))
    return found


def settle(place: Path, *drains: tuple[str, str, str]) -> None:
    """The settings file of an app: token, URL and certificates of each drain."""
    rows = [{"token": token, "url": url, "plain": url, "ca": ca} for token, url, ca in drains]
    (place / "hello.json").write_text(json.dumps({"drains": rows}))


def test_a_broken_certificate_stops_one_drain_until_it_is_mended(
    send: ModuleType, posts: Any, tmp_path: Path
) -> None:
    port, got, _ = posts
    bad, good = f"https://127.0.0.1:{port}/", f"http://127.0.0.1:{port}/"
    settle(tmp_path, ("d.1", bad, CUT), ("d.2", good, ""))
    house = send.House()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        log.settimeout(10)
        house.read()
        assert 'Error L14 (certificate validation): error="bad certificate"' in log.recv(4096).decode()
    assert until((tmp_path / "loaded").exists)
    house.hand_out(b"hello " + lines(1, 1)[0])
    assert until(lambda: [h["Logplex-Drain-Token"] for _, h, _ in got] == ["d.2"])
    broken = house.drains["hello", "d.1"]
    assert (broken.state["state"], len(broken.queue)) == ("down", 1)
    assert broken.state["error"].startswith("drain_ca cannot be used")
    settle(tmp_path, ("d.1", good, ""), ("d.2", good, ""))
    house.read()
    assert until(lambda: sorted(h["Logplex-Drain-Token"] for _, h, _ in got) == ["d.1", "d.2"])
    assert house.drains["hello", "d.1"] is broken, "two would send its lines side by side"
    house.end()


def test_lines_come_on_while_a_drain_ends(
    send: ModuleType, posts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, got, _ = posts
    monkeypatch.setattr(send, "GRACE", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        stuck = ("d.1", f"http://127.0.0.1:{silent.getsockname()[1]}/", "")
        other = ("d.2", f"http://127.0.0.1:{port}/", "")
        settle(tmp_path, stuck, other)
        house = send.House()
        house.read()
        assert until((tmp_path / "loaded").exists)
        (tmp_path / "loaded").unlink()
        house.hand_out(b"hello " + lines(1, 1)[0])
        link, _ = silent.accept()
        gone = house.drains["hello", "d.1"]
        settle(tmp_path, other)
        began = time.monotonic()
        house.read()
        house.hand_out(b"hello " + lines(2, 2)[0])
        assert until(lambda: b"line 2" in b"".join(body for _, _, body in got))
        assert time.monotonic() - began < 1
        assert not (tmp_path / "loaded").exists(), "a reload is done when the drain has ended"
        assert until((tmp_path / "loaded").exists)
        assert gone.queue.is_left
        shown = tmp_path / "states" / "hello.d.1.json"
        shown.unlink(missing_ok=True)
        link.close()
        gone.thread.join(5)
        assert not (gone.thread.is_alive() or shown.exists())
        house.end()


def test_the_strictness_of_newer_pythons_is_not_asked_for(
    module: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    make = ssl.create_default_context

    def strict() -> ssl.SSLContext:
        made = make()
        made.verify_flags |= ssl.VERIFY_X509_STRICT
        return made

    monkeypatch.setattr(ssl, "create_default_context", strict)
    assert not module("drain_wire").context("https://a/", "").verify_flags & ssl.VERIFY_X509_STRICT


def test_times_are_told_without_names_that_older_pythons_lack(
    one: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(datetime, "UTC")
    assert one.now("microseconds").endswith("+00:00")
