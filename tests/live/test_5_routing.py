"""The mesh against the contract: every code that a router can tell, whole log lines, headers, balance, streams."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import Shop
from contract import NONE, UNTAKEN, Answer, Contract, at_once, deployed, error
from here import at, gateway

pytestmark = pytest.mark.live
DYNOS = 4
"""Over three hosts, so that one has more than the others."""
LIMIT = 40
EVENTS = {"headers": {"Accept": "text/event-stream"}}
H12, H13 = error("H12", "Request timeout"), error("H13", "Connection closed without response")
H15, H17 = error("H15", "Idle connection"), error("H17", "Poorly formatted HTTP response")
H10, H14 = error("H10", "App crashed"), error("H14", "No web processes running")
H18 = 'sock=backend at=error code=H18 desc="Server Request Interrupted"'
H19, H21 = error("H19", "Backend connection timeout"), error("H21", "Backend connection refused")
H20, H22 = error("H20", "App boot timeout"), error("H22", "Connection limit reached")
H25 = error("H25", "HTTP restriction: oversized header")
H26 = 'at=error code=H26 desc="Request Error" cause="{}"'
H27 = 'sock=client at=warning code=H27 desc="Client Request Interrupted"'
H28 = 'at=warning code=H28 desc="Client Connection Idle"'
H34 = error("H34", "All up dynos are quarantined")
H80 = 'at=info code=H80 desc="Maintenance mode"'


@pytest.fixture(scope="module")
def app(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contract]:
    folder = tmp_path_factory.mktemp("contract") / "contract"
    made = deployed(shop, folder, "contract", DYNOS, routing={"connections": LIMIT})
    yield made
    made.shop.deploy("destroy", "--confirm", "contract")


@pytest.fixture(scope="module")
def other(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contract]:
    """A second app on the same routers, for what takes all dynos away."""
    made = deployed(shop, tmp_path_factory.mktemp("other") / "other", "other", 2)
    yield made
    made.shop.deploy("destroy", "--confirm", "other")


@pytest.fixture(autouse=True)
def in_sync(app: Contract) -> Iterator[None]:
    """Each test ends with an empty plan."""
    yield
    if app.shop.plan()["changes"]:
        app.shop.settle()


def is_ours(answer: Answer, status: int = 503) -> bool:
    """A page of the router's own, that nobody may keep."""
    page = answer.headers.get("content-type", ""), answer.headers.get("cache-control")
    return answer.status == status and page == ("text/html; charset=utf-8", "no-store")


def test_an_answer_passes_and_is_told_with_all_keys(app: Contract) -> None:
    mark, answer = app.ask("/a?b=1&c=2")
    assert (answer.status, answer.body[:4]) == (200, b"web.")
    assert answer.headers["via"] == "1.1 dyno, 1.1 deployer"
    assert answer.headers["server"] == "deployer"
    assert answer.headers["x-accel-redirect"] == "/etc/passwd"
    app.check(mark, "at=info", "/a?b=1&c=2", 200, bytes="6")


def test_a_dyno_that_hangs_up_is_h13_and_is_asked_once(app: Contract) -> None:
    for method in ("GET", "POST"):
        name = f"hang-up-{method}"
        mark, answer = app.ask(f"/hit/{name}/now", method)
        assert is_ours(answer)
        app.check(mark, H13, f"/hit/{name}/now", 503, method, bytes="0")
        assert hits(app, name) == 1


def hits(app: Contract, name: str) -> int:
    """How often all dynos together were asked."""
    found: dict[str, int] = {}
    while len(found) < DYNOS:
        _, answer = app.ask(f"/counted/{name}")
        row = json.loads(answer.body)
        found[row["dyno"]] = row["hits"]
    return sum(found.values())


def test_what_breaks_off_or_is_no_http(app: Contract) -> None:
    mark, answer = app.ask("/break-off")
    assert (answer.status, len(answer.body)) == (200, 1000)
    app.check(mark, H18, "/break-off", 200, bytes="1000")
    mark, answer = app.ask("/hang-up-early", "POST", body=b"x" * (20 << 20))
    app.check(mark, H18, "/hang-up-early", 503, "POST", bytes="0")
    mark, answer = app.ask("/garbage")
    assert is_ours(answer)
    app.check(mark, H17, "/garbage", 503, bytes="0")
    mark, answer = app.ask("/big-header")
    assert is_ours(answer, 502)
    app.check(mark, H25, "/big-header", 502, bytes="0")


def test_bad_requests_are_h26(app: Contract) -> None:
    mark, answer = app.ask("/", "POST", body=b"x", headers={"Expect": "a miracle"})
    assert answer.status == 417
    app.check(mark, H26.format("unsupported expect header value"), "/", 417, "POST", **NONE)
    mark, answer = app.ask("/", headers={"X-Long": "x" * 9000})
    assert answer.status == 400
    app.check(mark, H26.format("bad header"), "/", 400, **NONE)
    mark = "bad-chunk-" + "x" * 20
    head = f"POST /echo HTTP/1.1\r\nHost: {app.host}\r\nX-Request-Id: {mark}\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b" 400 " in app.raw(head.encode() + b"zz\r\n")
    app.check(mark, H26.format("bad chunk"), "/echo", 400, "POST", **NONE)


def test_a_hostile_request_cannot_forge_a_key(app: Contract) -> None:
    mark = "hostile-" + "x" * 20
    head = (
        f'GET /"\\status=200 HTTP/1.1\r\nHost: {app.host}\r\nX-Request-Id: {mark}\r\n'
        'X-Forwarded-For: 1.2.3.4" dyno=web.9, 5.6.7.8\r\nConnection: close\r\n\r\n'
    )
    assert b"400 Bad Request" in app.raw(head.replace("/", "/ ", 1).encode())
    assert b"200 OK" in app.raw(head.encode())
    line = app.line(mark)
    assert 'path="/\\"\\\\status=200" host=' in line
    assert 'fwd="1.2.3.4\\"dyno=web.9,5.6.7.8,' + gateway() + '" dyno=web.' in line


def test_clients_that_go_away_are_h27(app: Contract) -> None:
    for path, sent in (("/sleep/5", "0"), ("/stall/5", "1")):
        mark = "gone-" + path[1:6] + "x" * 20
        app.raw(f"GET {path} HTTP/1.1\r\nHost: {app.host}\r\nX-Request-Id: {mark}\r\n\r\n".encode(), wait=1)
        app.check(mark, H27, path, 499, bytes=sent)


def test_slow_ones(app: Contract) -> None:
    """All that takes half a minute or more, at the same time."""
    mark = "idle-client-" + "x" * 20
    head = f"POST /echo HTTP/1.1\r\nHost: {app.host}\r\nX-Request-Id: {mark}\r\nContent-Length: 10\r\n\r\nabc"
    with ThreadPoolExecutor(10) as pool:
        idle = pool.submit(app.raw, head.encode())
        socket_mark, socket_seconds = pool.submit(silent_websocket, app), None
        calls = {
            "/sleep/40": ("/sleep/40",),
            "/sleep/25": ("/sleep/25",),
            "/stall/70": ("/stall/70",),
            "/hit/late-get/sleep": ("/hit/late-get/sleep",),
            "/hit/late-post/sleep": ("/hit/late-post/sleep", "POST"),
        }
        asked = at_once(pool, calls, app)
        events = pool.submit(app.ask, "/silent-events/70", **EVENTS)  # type: ignore[arg-type]
        found = {path: future.result() for path, future in asked.items()}
        assert idle.result() == b""
        socket_mark, socket_seconds = socket_mark.result()
        events_mark, events_answer = events.result()
    assert found["/sleep/25"][1].status == 200
    for path in ("/sleep/40", "/hit/late-get/sleep", "/hit/late-post/sleep"):
        late, answer = found[path]
        assert is_ours(answer)
        assert 30 <= answer.seconds < 32
        method = "POST" if "post" in path else "GET"
        app.check(late, H12, path, 503, method, service=r"(29[5-9]|30[0-4])\d\dms", bytes="0")
    assert (hits(app, "late-get"), hits(app, "late-post")) == (1, 1)
    cut, answer = found["/stall/70"]
    assert (answer.status, answer.body) == (200, b"x")
    app.check(cut, H15, "/stall/70", 200, service=r"30\d\d\dms", bytes="1")
    assert 55 <= events_answer.seconds < 57
    app.check(events_mark, H15, "/silent-events/70", 200, service=r"55\d\d\dms")
    assert 55 <= socket_seconds < 57
    app.check(socket_mark, H15, "/websocket", 101, service=r"55\d\d\dms")
    app.check(mark, H28, "/echo", 499, "POST", bytes="0")


def websocket(app: Contract, mark: str) -> socket.socket:
    link = socket.create_connection((at("box-1"), 80), timeout=70)
    key = base64.b64encode(b"x" * 16).decode()
    head = f"GET /websocket HTTP/1.1\r\nHost: {app.host}\r\nX-Request-Id: {mark}\r\nUpgrade: websocket\r\n"
    link.sendall(f"{head}Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += link.recv(1)
    assert answer.startswith(b"HTTP/1.1 101 "), answer
    return link


def silent_websocket(app: Contract) -> tuple[str, float]:
    mark = "silent-websocket-" + "x" * 20
    with websocket(app, mark) as link:
        began = time.monotonic()
        assert link.recv(1) == b""
        return mark, time.monotonic() - began


def test_a_websocket_passes_both_ways(app: Contract) -> None:
    mark = "websocket-" + "x" * 20
    with websocket(app, mark) as link:
        for text in (b"\x81\x02hi", b"\x82\x7e\x80\x00" + bytes(32768)):
            link.sendall(text)
            found = b""
            while len(found) < len(text):
                found += link.recv(65536)
            assert found == text
    app.check(mark, "at=info", "/websocket", 101)


def test_streams_are_not_held_back(app: Contract) -> None:
    for path in ("/events/3", "/trickle/3"):
        times = arrivals(app, path)
        assert len(times) >= 3, times
        assert times[0] < 0.4 < times[-1] - times[0]


def arrivals(app: Contract, path: str) -> list[float]:
    """Seconds to each piece of a stream."""
    began, found = time.monotonic(), []
    with socket.create_connection((at("box-1"), 80), timeout=20) as link:
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: {app.host}\r\nConnection: close\r\n\r\n".encode())
        while link.recv(65536):
            found.append(time.monotonic() - began)
    return found


def test_an_upload_of_50_mb_is_streamed(app: Contract) -> None:
    def pieces() -> Iterator[bytes]:
        for i in range(50):
            yield bytes(1 << 20)
            if i == 0:
                time.sleep(2)

    mark, answer = app.ask("/upload", "POST", body=pieces(), headers={"Content-Length": str(50 << 20)})
    found = json.loads(answer.body)
    assert found["first"] < 1 < 2 <= found["last"]
    app.check(mark, "at=info", "/upload", 200, "POST")


def test_headers_as_the_contract_has_them(app: Contract) -> None:
    """Golden tests 8 and 9."""
    forged = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"}
    hops = {
        "TE": "trailers",
        "Proxy-Authorization": "Basic eDp5",
        "Keep-Alive": "timeout=5",
        "X-Request-Start": "1",
    }
    before = time.time() * 1000 - 1000
    mark, answer = app.ask("/echo", headers=forged | hops | {"Via": "1.0 old"})
    headers = {name.lower(): value for name, value in json.loads(answer.body)["headers"]}
    assert headers["x-forwarded-for"] == f"1.2.3.4, {gateway()}"
    assert (headers["x-forwarded-proto"], headers["x-forwarded-port"]) == ("http", "80")
    assert before < int(headers["x-request-start"]) < time.time() * 1000 + 1000
    assert headers["x-request-id"] == mark
    assert headers["via"] == "1.0 old, 1.1 deployer"
    assert headers["host"] == app.host
    assert not headers.keys() & {"te", "proxy-authorization", "keep-alive"}
    app.check(mark, "at=info", "/echo", 200, fwd=re.escape(f"1.2.3.4,{gateway()}"))


@pytest.mark.parametrize(("length", "is_kept"), [(19, False), (20, True), (200, True), (201, False)])
def test_request_ids(app: Contract, length: int, is_kept: bool) -> None:
    given = ("aZ09+/=-" * 30)[:length]
    _, answer = app.ask("/echo", headers={"X-Request-Id": given})
    found = dict(json.loads(answer.body)["headers"])["X-Request-Id"]
    uuid4 = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert (found == given) if is_kept else re.fullmatch(uuid4, found)


def test_old_clients_heads_and_promises(app: Contract) -> None:
    old = app.raw(f"GET / HTTP/1.0\r\nHost: {app.host}\r\n\r\n".encode())
    assert old.startswith(b"HTTP/1.1 200 OK") and b"\r\nConnection: close\r\n" in old
    old = app.raw(f"GET /trickle/2 HTTP/1.0\r\nHost: {app.host}\r\n\r\n".encode())
    assert b"chunked" not in old and old.endswith(b"\r\n\r\n0\n1\n")
    mark, answer = app.ask("/", "HEAD")
    assert (answer.status, answer.body) == (200, b"")
    app.check(mark, "at=info", "/", 200, "HEAD", bytes="0")
    head = f"POST /echo HTTP/1.1\r\nHost: {app.host}\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\n"
    with socket.create_connection((at("box-1"), 80), timeout=10) as link:
        link.sendall(head.encode())
        assert link.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        link.sendall(b"ok")
        assert b'"body": 2' in link.recv(65536)


def test_turns_are_even_over_unequal_hosts(app: Contract) -> None:
    hosts = Counter(host for host, _, _ in app.dynos().values())
    assert sorted(hosts.values()) == [1, 1, 2]
    each = 1000

    def many() -> Counter[str]:
        link = http.client.HTTPConnection(at("box-1"), timeout=20)
        found: Counter[str] = Counter()
        for _ in range(each):
            link.request("GET", "/", headers={"Host": app.host})
            found[link.getresponse().read().decode().strip()] += 1
        return found

    with ThreadPoolExecutor(4) as pool:
        shares = sum((future.result() for future in [pool.submit(many) for _ in range(4)]), Counter())
    even = 4 * each / DYNOS
    assert all(abs(share - even) <= even * 0.02 for share in shares.values()) and len(shares) == DYNOS, shares


def test_every_line_comes_while_rsyslogd_and_nginx_start_again(app: Contract) -> None:
    """By whole ids: each once. Lines wait in the router's worker processes, and old ones tell theirs before they end."""
    mark, goes = uuid.uuid4().hex, threading.Event()
    goes.set()

    def many(which: int) -> list[str]:
        asked = []
        while goes.is_set():
            asked.append(f"{mark}-{which}-{len(asked)}")
            assert app.ask("/", headers={"X-Request-Id": asked[-1]})[1].status == 200
        return asked

    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(many, which) for which in range(4)]
        for again in ("restart", "kill -s STOP", "reload", "kill -s CONT"):
            time.sleep(0.5)
            app.shop.ssh("box-1", f"systemctl {again} {'nginx' if again == 'reload' else 'deployer.log'}")
        goes.clear()
    asked = sorted(name for client in clients for name in client.result())
    logs = f"/var/lib/deployer/logs/{app.name}.log"
    told = f"cat {logs}.1 {logs} 2>/dev/null | grep -o 'request_id={mark}[^ ]*' | cut -d= -f2 | sort"
    end = time.monotonic() + 20
    while (found := sorted(app.shop.ssh("box-1", told).split())) != asked and time.monotonic() < end:
        time.sleep(0.5)
    assert found == asked


def test_too_many_at_once_are_h22(app: Contract) -> None:
    with ThreadPoolExecutor(LIMIT) as pool:
        waiting = [pool.submit(app.ask, "/sleep/4") for _ in range(LIMIT)]
        time.sleep(2)
        mark, answer = app.ask("/")
        assert is_ours(answer)
        app.check(mark, H22, "/", 503, **NONE)
        assert {future.result()[1].status for future in waiting} == {200}
    assert app.ask("/")[1].status == 200


def refuse_all(app: Contract, seconds: int, dynos: int) -> None:
    """Each request finds one that still listens, since a refused one goes on to the next."""
    for _ in range(dynos):
        assert app.ask(f"/refuse/{seconds}")[1].body == b"refusing\n"


def test_dynos_that_refuse_are_h21_then_h34_and_come_back(app: Contract) -> None:
    refuse_all(app, 8, DYNOS)
    began = time.monotonic()
    mark, answer = app.ask("/")
    assert is_ours(answer)
    app.check(mark, H21, "/", 503, **UNTAKEN)
    mark, answer = app.ask("/", "POST", body=b"x")
    assert is_ours(answer)
    app.check(mark, H34, "/", 503, "POST", **NONE)
    mark, answer = app.ask("/")
    assert answer.status == 200, "what has no body waits until a dyno is back"
    app.check(mark, "at=info", "/", 200, connect=r"\d{4}ms", service=r"\d{1,3}ms")
    assert 3 < time.monotonic() - began < 15


def test_one_dyno_that_refuses_is_left_out_and_comes_back(app: Contract) -> None:
    refuse_all(app, 4, 1)
    answers = [app.ask("/")[1] for _ in range(3 * DYNOS)]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == DYNOS - 1
    time.sleep(10)
    assert len({app.ask("/")[1].body for _ in range(2 * DYNOS)}) == DYNOS


def test_dynos_that_take_no_connection_are_h19(app: Contract) -> None:
    hosts = app.dynos().values()
    drop = (
        "nft add table ip drop_test; nft 'add chain ip drop_test out {{ type filter hook postrouting priority 0; }}';"
        " nft add rule ip drop_test out ip daddr {{ {} }} 'tcp flags & (syn | ack) == syn' drop"
    )
    try:
        for host in {host for host, _, _ in hosts}:
            app.shop.ssh(host, drop.format(", ".join(address for h, _, address in hosts if h == host)))
        time.sleep(2)
        mark, answer = app.ask("/")
        assert is_ours(answer)
        assert 19 < answer.seconds < 23
        app.check(mark, H19, "/", 503, connect=r"2[0-2]\d\d\dms", **UNTAKEN)
    finally:
        for host in {host for host, _, _ in hosts}:
            app.shop.ssh(host, "nft delete table ip drop_test", check=False)
    assert app.ask("/")[1].status == 200


def test_no_dynos_are_h14_with_a_page_of_the_apps_own(app: Contract) -> None:
    page = "https://pages.example.com/sorry.html?a=1&b='$x"
    app.shop.edit("fleet.json", formation={"web": {"quantity": 0}}, config={"ERROR_PAGE_URL": page})
    app.shop.settle()
    mark, answer = app.ask("/")
    assert is_ours(answer)
    assert b"<iframe src='https://pages.example.com/sorry.html?a=1&amp;b=%27%24x'>" in answer.body
    app.check(mark, H14, "/", 503, **NONE)
    app.shop.edit("fleet.json", formation={"web": {"quantity": DYNOS}}, config={})
    app.shop.settle()
    assert app.ask("/")[1].status == 200


def test_maintenance_is_h80(app: Contract) -> None:
    app.shop.deploy("maintenance", "on")
    mark, answer = app.ask("/")
    assert is_ours(answer) and b"Offline for maintenance" in answer.body
    app.check(mark, H80, "/", 503, **NONE)
    assert app.shop.plan()["changes"] == []
    app.shop.deploy("maintenance", "off")
    assert app.ask("/")[1].status == 200


def test_requests_wait_while_dynos_boot_then_h20_and_crashed_ones_are_h10(other: Contract) -> None:
    dynos = other.dynos()
    hang, unhang = (
        f"for slug in /var/lib/deployer/apps/other/slugs/*/app; do {what} $slug/hang; done"
        for what in ("touch", "rm -f")
    )
    everywhere(other, hang)
    try:
        for host, key, _ in dynos.values():
            other.shop.ssh(host, f"systemctl restart --no-block deployer.dyno@{key}")
            time.sleep(10)
        mark, answer = other.ask("/", "POST", body=b"x")
        assert is_ours(answer)
        other.check(mark, H20, "/", 503, "POST", **NONE)
        mark, answer = other.ask("/")
        assert is_ours(answer)
        assert 75 <= answer.seconds < 80
        other.check(mark, H20, "/", 503, **NONE)
        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(other.ask, "/")
            time.sleep(2)
            everywhere(other, unhang)
            for host, key, _ in dynos.values():
                other.shop.ssh(host, f"systemctl restart --no-block deployer.dyno@{key}")
            mark, answer = held.result()
        assert answer.status == 200
        other.check(mark, "at=info", "/", 200, connect=r"\d{4,5}ms")
    finally:
        everywhere(other, unhang)
    crash(other)
    mark, answer = other.ask("/")
    assert is_ours(answer)
    other.check(mark, H10, "/", 503, **NONE)
    other.shop.settle()
    assert other.ask("/")[1].status == 200


def everywhere(app: Contract, script: str) -> None:
    for host in sorted({host for host, _, _ in app.dynos().values()}):
        app.shop.ssh(host, script)


def crash(app: Contract) -> None:
    """Until both dynos have crashed so often that they are not started again at once."""
    found = []
    for _ in range(12):
        mark, _ = app.ask("/exit")
        found.append(app.line(mark))
        if "code=H10" in found[-1]:
            return
        time.sleep(1)
    raise AssertionError("they do not stay down:\n" + "\n".join(found))


def test_counters_are_served_on_the_host(app: Contract) -> None:
    time.sleep(1.5)
    ask = (
        "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/deployer/metrics._.sock');"
        " s.sendall(b'GET /metrics HTTP/1.0\\r\\n\\r\\n'); print(s.makefile().read())"
    )
    text = app.shop.ssh("box-1", f'python3 -c "{ask}"')
    assert re.search(r'^deployer_router_requests_total\{app="contract",status="200"\} [1-9]', text, re.M)
    assert re.search(r'^deployer_router_seconds_bucket\{app="contract",le="\+Inf"\} [1-9]', text, re.M)
    assert re.search(r'^deployer_router_seconds_count\{app="contract"\} [1-9]', text, re.M)


def test_both_apps_plans_stay_empty(shop: Shop, app: Contract, other: Contract) -> None:
    assert [each.plan()["changes"] for each in (shop, app.shop, other.shop)] == [[], [], []]
