"""Several routers as one: the address they share, what they share on disk, and load balancers before them."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from conftest import Shop
from here import LAB, ROUTERS, at, ground, routers, shared_address
from load import Load, steady
from test_1_serving import PIDS
from waiting import until

from deployer import lab

pytestmark = pytest.mark.live

MOVES = 3.0
"""Seconds in which another router has the address."""
UNKNOWN = "nobody.example.org"


@contextmanager
def fleet(shop: Shop, **keys: Any) -> Iterator[None]:
    """fleet.json with some keys, applied; at the end without them, applied again."""
    path = shop.folder / "fleet.json"
    before = path.read_text()
    try:
        shop.edit("fleet.json", **keys)
        shop.settle()
        yield
    finally:
        path.write_text(before)
        shop.settle()


def holders(shop: Shop, *hosts: str) -> list[str]:
    """The routers that have the address on an interface."""
    return [host for host in hosts or ROUTERS if shared_address() in shop.ssh(host, "ip -4 -o address")]


def one_holder(shop: Shop, *hosts: str) -> str:
    """Who has it, once exactly one router does."""
    found: list[str] = []

    def is_one() -> bool:
        found[:] = holders(shop, *hosts)
        return len(found) == 1

    until(is_one, problem=f"{shared_address()} is on no router, or on both")
    return found[0]


class Patient(Load):
    """Load on the one address; a request that nobody answers is given up after half a second."""

    def ask(self, router: str) -> str:
        link = http.client.HTTPConnection(router, timeout=0.5)
        try:
            link.request("GET", "/")
            answer = link.getresponse()
            body = answer.read().decode()
        finally:
            link.close()
        assert answer.status in (200, 503), f"{answer.status} {body[:60]}"
        return body


def gap(load: Load) -> float:
    """The longest time without an answer."""
    times = [at for at, _ in load.answers]
    return max(later - earlier for earlier, later in zip(times, times[1:], strict=False))


@pytest.fixture
def shared(shop: Shop) -> Iterator[Shop]:
    with fleet(shop, virtual_address=shared_address()):
        yield shop
    assert holders(shop) == []
    left = "ls /etc/deployer/keepalived; systemctl list-units --all --no-legend 'deployer.vip@*'; true"
    assert [shop.ssh(host, left).strip() for host in ROUTERS] == ["", ""]


def test_the_address_moves_when_nginx_or_the_router_dies(shared: Shop) -> None:
    first = one_holder(shared)
    second = next(host for host in ROUTERS if host != first)
    assert "web." in shared.get(shared_address())
    found = {}
    with watched() as load:
        shared.ssh(first, "kill -9 $(cat /run/nginx.pid) $(pgrep -P $(cat /run/nginx.pid))")
        assert one_holder(shared, second) == second
        answered(load)
    found["nginx killed"] = load
    shared.settle()
    assert one_holder(shared) == second, "the address stays where it is when the other router is back"
    with watched() as load:
        lab.stop_host(second, LAB)
        assert one_holder(shared, first) == first
        answered(load)
    found["power cut"] = load
    lab.start_host(second, LAB)
    shared.settle()
    assert one_holder(shared) == first
    for what, load in found.items():
        said = f"{what}: {len(load.failures)} of {len(load.answers) + len(load.failures)} requests failed"
        print(f"{said}, {gap(load):.1f} s without an answer")
        assert gap(load) < MOVES, (what, load.failures)


@contextmanager
def watched() -> Iterator[Load]:
    load = Patient((shared_address(),))
    with running(load):
        answered(load)
        yield load


def answered(load: Load) -> None:
    """Waits until ten more requests have an answer."""
    enough = len(load.answers) + 10
    until(lambda: len(load.answers) >= enough)


@contextmanager
def running(load: Load) -> Iterator[None]:
    import threading

    threads = [threading.Thread(target=load.run, args=(router,)) for router in load.routers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        load.ended.set()
        for thread in threads:
            thread.join()


def generations(shop: Shop) -> dict[str, int]:
    """How often each router's nginx was reloaded since its boot."""
    count = "journalctl -b -u nginx --no-pager | grep -c 'Reloaded nginx' || true"
    return {host: int(shop.ssh(host, count)) for host in ROUTERS}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda shop: shop.edit("fleet.json", domains=["shop.test"]), id="other domains"),
        pytest.param(
            lambda shop: shop.edit("fleet.json", formation={"web": {"quantity": 3}}), id="more dynos"
        ),
        pytest.param(
            lambda shop: [
                shop.ssh(
                    host,
                    "echo >>/etc/nginx/conf.d/deployer.conf; echo >>/etc/nginx/conf.d/deployer.hello.conf",
                )
                for host in ROUTERS
            ],
            id="shared file and own file",
        ),
    ],
)
def test_an_apply_reloads_each_router_once_and_one_in_sync_not_at_all(
    shop: Shop, change: Callable[[Shop], object]
) -> None:
    before = (shop.folder / "fleet.json").read_text()
    try:
        change(shop)
        start = generations(shop)
        with steady(strict=not json.loads((shop.folder / "fleet.json").read_text()).get("domains")) as load:
            shop.settle()
        assert {host: n - start[host] for host, n in generations(shop).items()} == {"box-1": 1, "box-2": 1}
        shop.settle()
        assert {host: n - start[host] for host, n in generations(shop).items()} == {"box-1": 1, "box-2": 1}
        assert load.answers
    finally:
        (shop.folder / "fleet.json").write_text(before)
        shop.settle()


def test_old_workers_have_an_end(shop: Shop) -> None:
    for host in ROUTERS:
        assert "worker_shutdown_timeout 1h;" in shop.ssh(host, "nginx -T 2>/dev/null")


def test_an_unknown_host_is_no_app_and_in_no_log(shop: Shop) -> None:
    for router in routers():
        link = http.client.HTTPConnection(router, timeout=10)
        link.request("GET", "/secret-of-nobody", headers={"Host": UNKNOWN})
        answer = link.getresponse()
        assert (answer.status, b"No such app" in answer.read()) == (404, True)
        link.close()
    for host in ROUTERS:
        shop.get(at(host), f"/somebody-through-{host}")
        until(lambda: f"/somebody-through-{host}" in shop.deploy("logs", "-n", "1500").stdout)  # noqa: B023
    assert "/secret-of-nobody" not in shop.deploy("logs", "-n", "1500").stdout


def test_the_users_own_default_site_stays_and_is_named(shop: Shop) -> None:
    site = "/etc/nginx/sites-enabled/blog"
    blog = 'server {\\n listen 80 default_server;\\n location / { return 200 "my blog"; }\\n}\\n'
    try:
        shop.ssh(
            "box-1", f"printf '{blog}' >{site}; rm /etc/nginx/conf.d/deployer.conf; systemctl reload nginx"
        )
        plan = shop.plan()
        assert [note for note in plan["notes"] if site in note and note.startswith("box-1")]
        shop.settle()
        assert shop.get(host=UNKNOWN) == "my blog"
        assert "web." in shop.get()
    finally:
        shop.ssh("box-1", f"rm -f {site}")
        shop.settle()


def test_apps_answer_under_the_domain_of_the_fleet_and_a_taken_one_is_refused(shop: Shop) -> None:
    with fleet(shop, domain="apps.test", domains=["*.shop.test"]):
        for name in ("hello.apps.test", "any.shop.test"):
            assert "web." in shop.get(host=name)
        told = PIDS + "cat $(printf '/proc/%s/environ ' $pids) | tr '\\0' '\\n'"
        assert "HEROKU_APP_DEFAULT_DOMAIN_NAME=hello.apps.test" in shop.ssh("box-1", told)
        rows = json.loads(shop.deploy("domains", "list", "--json").stdout)
        assert [(row["domain"], row["routers"]) for row in rows] == [
            ("*.shop.test", ["box-1", "box-2"]),
            ("hello.apps.test", ["box-1", "box-2"]),
        ]
        shop.edit("fleet.json", app="other-app")
        said = shop.deploy("plan", code=1).stderr
        assert "*.shop.test is a domain of the app hello already" in said


def test_behind_a_load_balancer_the_clients_address_counts(shop: Shop) -> None:
    with fleet(shop, routing={"proxy_protocol": [ground().subnet]}):
        header = f"PROXY TCP4 203.0.113.9 {at('box-1')} 4711 80\r\n"
        answer = asked(header.encode(), "/behind-a-balancer")
        assert answer.startswith(b"HTTP/1.1 200")
        assert not asked(b"", "/without-a-header").startswith(b"HTTP/1.1 200")
        until(lambda: "/behind-a-balancer" in shop.deploy("logs", "-n", "1500").stdout)
        said = shop.deploy("logs", "-n", "1500").stdout
        line = next(line for line in said.splitlines() if "/behind-a-balancer" in line and "router" in line)
        assert 'fwd="203.0.113.9"' in line
        assert "/without-a-header" not in said
    assert asked(b"", "/again").startswith(b"HTTP/1.1 200")


def asked(header: bytes, path: str) -> bytes:
    with socket.create_connection((at("box-1"), 80), 5) as link:
        link.sendall(
            header + f"GET {path} HTTP/1.1\r\nHost: {at('box-1')}\r\nConnection: close\r\n\r\n".encode()
        )
        said = b""
        while piece := link.recv(65536):
            said += piece
        return said
