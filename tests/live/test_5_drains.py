"""Drains against real receivers: what arrives to the byte, and that a receiver that is away costs no line."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from conftest import Shop
from here import HOSTS, at, gateway
from receivers import Tcp, frames, https
from waiting import until

from deployer.spec.platform import plainly

pytestmark = pytest.mark.live

TOKEN = re.compile(r"d\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TLS_PORT = 16514
MAKE_CERTIFICATES = """
set -e; umask 077; rm -rf /root/drain-tls; mkdir /root/drain-tls; cd /root/drain-tls
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=drain-test-ca -keyout ca.key -out ca.pem 2>/dev/null
openssl req -newkey rsa:2048 -nodes -subj /CN=drain-test -keyout key.pem -out request.pem 2>/dev/null
printf 'subjectAltName=NAMES' >names
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem 2>/dev/null
"""
RECEIVER = f"""
global(workDirectory="/root/drain-tls" maxMessageSize="16k"
       defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="/root/drain-tls/ca.pem"
       defaultNetstreamDriverCertFile="/root/drain-tls/cert.pem" defaultNetstreamDriverKeyFile="/root/drain-tls/key.pem")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")
template(name="shape" type="string" string="%HOSTNAME% %APP-NAME% %PROCID% %msg%\\n")
input(type="imtcp" port="{TLS_PORT}")
action(type="omfile" file="/root/drain-tls/got" template="shape")
"""


def write(shop: Shop, host: str, first: int, last: int, mark: str, pause: float = 0.02) -> None:
    """Lines as a dyno of this host would write them, at a steady pace."""
    feed = f"for i in $(seq {first} {last}); do echo {mark} $i; sleep {pause}; done"
    shop.ssh(host, f"{feed} | logger -u /run/deployer/log -t hello/app/web.1 -p local7.info")


def numbered(mark: str, first: int, last: int) -> list[str]:
    return [f"{mark} {n}" for n in range(first, last + 1)]


def steadily(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def listed(shop: Shop) -> dict[str, dict[str, Any]]:
    """What `deploy drains list` says, by token."""
    return {row["token"]: row for row in json.loads(shop.deploy("drains", "list", "--json").stdout)}


def add(shop: Shop, url: str) -> str:
    """Its token. The URL goes through standard input, as one with a password should."""
    argv = shop.argv("drains", "add", "-")
    done = subprocess.run(
        argv, input=url, env=shop.environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return next(token for token, row in listed(shop).items() if row["url"] == plainly(url))


def in_log(shop: Shop, mark: str) -> list[str]:
    """Lines of the app's log with these words, less the time."""
    said = shop.deploy("logs", "-n", "1500").stdout.splitlines()
    return [line.partition(" ")[2] for line in said if mark in line]


@pytest.fixture(autouse=True)
def undrained(shop: Shop) -> Iterator[None]:
    """Each test ends without drains and with an empty plan, and then nothing is left of them on the hosts."""
    yield
    path = shop.folder / "fleet.json"
    fleet = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in fleet.items() if k not in ("drains", "drain_ca")}))
    for token, row in listed(shop).items():
        if row["from"] == "command":
            shop.deploy("drains", "remove", token)
    if "drains" in fleet:
        shop.settle()
    left = "ls -d /etc/deployer/drains/* /etc/deployer/rsyslog/drains/* /var/lib/deployer/spool/drains/*"
    for host in HOSTS:
        assert shop.ssh(host, f"{left} 2>/dev/null", check=False) == ""
    assert shop.plan()["changes"] == []


@pytest.fixture(scope="module")
def chain(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a CA of our own (ca.pem), and a certificate of it with its key (chain.pem)."""
    names = f"IP:{at('box-3')},IP:{gateway()}"
    shop.ssh("box-3", MAKE_CERTIFICATES.replace("NAMES", names))
    folder = tmp_path_factory.mktemp("tls")
    for name, words in {"ca.pem": "ca.pem", "chain.pem": "cert.pem key.pem"}.items():
        (folder / name).write_text(shop.ssh("box-3", f"cd /root/drain-tls; cat {words}"))
    return folder


@pytest.fixture
def tcp() -> Iterator[Tcp]:
    receiver = Tcp()
    yield receiver
    receiver.stop()


def test_frames_are_those_of_the_contract(shop: Shop, tcp: Tcp) -> None:
    token = add(shop, tcp.url)
    assert TOKEN.fullmatch(token)
    shop.get(path="/drained")
    long = "x" * 9990
    words = f"printf '%s\\n' 'golden one' '  golden two' 'golden ünï 🙂' 'golden {long}'"
    shop.ssh("box-2", f"{words} | logger -u /run/deployer/log -t hello/app/web.7 -p local7.info -S 10000")
    until(lambda: len(tcp.texts("golden")) == 4)
    until(lambda: tcp.texts("/drained") != [])
    assert tcp.texts("golden") == ["golden one", "  golden two", "golden ünï 🙂", f"golden {long}"]
    found = [frame for frame in tcp.frames() if b"golden one" in frame[0]][0]
    expected = b"<190>1 %s %s app web.7 - - golden one\n" % (found[2], token.encode())
    assert b"%d %s" % (len(expected), expected) in b"".join(bytes(s) for s in tcp.streams)
    kinds = {(frame[4], frame[5], frame[1], frame[6]) for frame in tcp.frames()}
    assert kinds >= {(b"app", b"web.7", b"190", b"- -"), (b"heroku", b"router", b"158", b"- -")}
    assert {frame[3] for frame in tcp.frames()} == {token.encode()}


def test_nothing_is_lost_while_a_receiver_is_away(shop: Shop, tcp: Tcp) -> None:
    add(shop, tcp.url)
    hosts = ("box-1", "box-2")
    works = [steadily(partial(write, shop, host, 1, 400, f"load of {host}")) for host in hosts]
    until(lambda: len(tcp.texts("load of")) > 50)
    tcp.stop()
    until(lambda: any("refused" in row["state"] for row in listed(shop).values()))
    tcp.start()
    for work in works:
        work.join()
    for host in hosts:
        expected = numbered(f"load of {host}", 1, 400)
        until(lambda: len(tcp.texts(f"load of {host}")) >= 400, problem=host)  # noqa: B023
        assert tcp.texts(f"load of {host}") == expected
    assert shop.plan()["changes"] == []


def test_a_drain_that_reads_nothing_holds_nobody_up(shop: Shop, tcp: Tcp) -> None:
    deaf = Tcp(deaf=True)
    try:
        add(shop, deaf.url)
        add(shop, tcp.url)
        shop.ssh("box-2", "seq 1 60000 | sed 's/^/flood /' | logger -u /run/deployer/log -t hello/app/web.1")
        until(lambda: len(tcp.texts("flood")) >= 60000, 60)
        assert tcp.texts("flood") == numbered("flood", 1, 60000)
        until(lambda: in_log(shop, "flood 60000") != [])
        write(shop, "box-2", 1, 1, "after the flood")
        until(lambda: tcp.texts("after the flood") == ["after the flood 1"], 5)
    finally:
        deaf.stop()


def test_drains_need_no_logplex(shop: Shop, tcp: Tcp) -> None:
    add(shop, tcp.url)
    shop.ssh("box-1", "systemctl stop deployer.logplex")
    write(shop, "box-2", 1, 5, "alone")
    until(lambda: tcp.texts("alone") == numbered("alone", 1, 5), 10)
    shop.ssh("box-1", "systemctl start deployer.logplex")


def test_no_line_is_lost_when_the_first_drain_is_added(shop: Shop, tcp: Tcp) -> None:
    """Then the log takes new rules in; its senders wait for it."""
    mark = f"around {uuid4().hex[:6]}"
    work = steadily(lambda: write(shop, "box-2", 1, 700, mark))
    until(lambda: len(in_log(shop, mark)) > 10)
    add(shop, tcp.url)
    work.join()
    expected = numbered(mark, 1, 700)
    until(lambda: len(in_log(shop, mark)) >= 700)
    assert in_log(shop, mark) == [f"app[web.1]: {text}" for text in expected]
    until(lambda: tcp.texts(mark) != [] and tcp.texts(mark)[-1] == expected[-1])
    assert tcp.texts(mark) == expected[-len(tcp.texts(mark)) :], "from its beginning, without a gap"


def test_a_second_rsyslog_over_tls_and_a_certificate_nobody_vouches_for(shop: Shop, chain: Path) -> None:
    shop.ssh("box-3", "apt-get -q -y install --no-install-recommends rsyslog-openssl >/dev/null")
    start = "systemd-run --quiet --unit=drain-tls --setenv=TZ=UTC0 rsyslogd -n -iNONE -f /root/drain-tls/conf"
    put = f"cat >/root/drain-tls/conf <<'END'\n{RECEIVER}\nEND"
    shop.ssh("box-3", f"systemctl stop drain-tls 2>/dev/null; {put}\n{start}")
    url = f"syslog+tls://{at('box-3')}:{TLS_PORT}"
    try:
        shop.edit("fleet.json", drains=[url])
        shop.settle()
        write(shop, "box-2", 1, 3, "vouched")
        l14 = f'heroku[logplex]: Error L14 (certificate validation): error="unknown ca" uri="{url}"'
        until(lambda: l14 in in_log(shop, "L14"))
        assert shop.ssh("box-3", "grep -c vouched /root/drain-tls/got", check=False).strip() in ("", "0")
        shop.edit("fleet.json", drain_ca=str(chain / "ca.pem"))
        shop.settle()
        (token,) = listed(shop)
        expected = [f"{token} app web.1 {text}" for text in numbered("vouched", 1, 3)]
        got = "grep vouched /root/drain-tls/got"
        until(lambda: shop.ssh("box-3", got, check=False).splitlines() == expected)
        write(shop, "box-2", 4, 5, "vouched")
        expected = [f"{token} app web.1 {text}" for text in numbered("vouched", 1, 5)]
        until(lambda: shop.ssh("box-3", got, check=False).splitlines() == expected)
    finally:
        shop.ssh("box-3", "systemctl stop drain-tls", check=False)


def test_frames_over_https_are_tried_again_or_dropped(shop: Shop, chain: Path) -> None:
    with https(str(chain / "chain.pem")) as server:
        server.statuses += [500]
        secret = "s3cr3t-77"
        url = f"https://user:{secret}@{gateway()}:{server.server_port}/in?key={secret}#insecure"
        token = add(shop, url)
        assert secret not in shop.deploy("drains", "list").stdout
        write(shop, "box-2", 1, 200, "posted")
        until(lambda: server.accepted("posted") == numbered("posted", 1, 200))
        failed = next(post for post in server.posts if post[2] == 500)
        again = [h["Logplex-Frame-Id"] for h, body, status in server.posts if body == failed[1]]
        assert len(again) == 2
        assert len(set(again)) == 1
        for headers, body, _ in server.posts:
            assert headers["Logplex-Msg-Count"] == str(len(frames(body)))
            assert headers["Logplex-Drain-Token"] == token
            assert headers["Content-Type"] == "application/logplex-1"
            assert headers["User-Agent"].startswith("Logplex/v")
            assert (headers["Authorization"], headers["path"]) == (basic("user", secret), f"/in?key={secret}")
            assert {(f[3], f[6]) for f in frames(body)} == {(b"host", b"-")}
        server.statuses += [400]
        write(shop, "box-2", 1, 3, "unwanted", 0)
        until(lambda: any(status == 400 for _, _, status in server.posts))
        write(shop, "box-2", 1, 1, "wanted")
        told = re.compile(r"Error L10 \(output buffer overflow\): (\d+) messages dropped since \S+\.")
        until(lambda: any(told.fullmatch(text) for text in server.accepted("L10")))
        until(lambda: any(told.search(t) and token in t for t in in_log(shop, "L10")))
        assert secret not in shop.ssh("box-2", "ps -ww -eo args; journalctl --no-pager -u deployer.drains")
    assert shop.plan()["changes"] == []
