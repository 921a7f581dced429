"""The main job: an app on three hosts, answering through two routers, its logs in one place."""

from __future__ import annotations

import json
import time

import pytest
from conftest import SECRET, Shop

ROUTERS = ("10.77.0.11", "10.77.0.12")


def test_the_plan_after_an_apply_is_empty(shop: Shop) -> None:
    done = shop.deploy("plan", "--detailed-exitcode")
    assert done.stdout.startswith("No changes.")


@pytest.mark.parametrize("router", ROUTERS)
def test_every_router_serves_each_web_dyno_in_turn(shop: Shop, router: str) -> None:
    answers = [shop.get(router).split(" on ")[0] for _ in range(4)]
    assert sorted(set(answers)) == ["Hello from web.1", "Hello from web.2"]
    assert answers[0] != answers[1]


def test_logs_of_dynos_and_routers_come_together(shop: Shop) -> None:
    shop.get(path="/for-the-log")
    time.sleep(2)
    lines = shop.deploy("logs", "-n", "1500").stdout
    assert "app[worker.1]: tick" in lines
    assert 'heroku[router]: at=info method=GET path="/for-the-log"' in lines
    only = shop.deploy("logs", "-n", "5", "--ps", "worker", "--source", "app", "--json").stdout.splitlines()
    assert {json.loads(line)["process"] for line in only} == {"worker.1"}


def test_forwarded_ports_are_for_routers_only(shop: Shop) -> None:
    port = next(d["host_port"] for d in shop.ps() if d["dyno"] == "web.1")
    ask = "python3 -c 'import socket; socket.create_connection((\"10.77.0.11\", {}), 2)'".replace(
        "{}", str(port)
    )
    shop.ssh("box-2", ask)
    assert shop.ssh("box-3", f"{ask} 2>/dev/null || echo refused").strip() == "refused"


def test_a_dyno_is_nobody_and_reaches_no_host(shop: Shop) -> None:
    find = (
        "for p in $(pgrep -f gunicorn); do grep -E '^(Uid|CapEff|NoNewPrivs)' /proc/$p/status; done | sort -u"
    )
    seen = shop.ssh("box-1", find)
    assert "CapEff:\t0000000000000000" in seen
    assert "NoNewPrivs:\t1" in seen
    assert "Uid:\t0" not in seen


def test_a_crashed_dyno_comes_back_by_itself(shop: Shop) -> None:
    shop.ssh("box-3", "kill -9 $(pgrep -f worker.py | head -1)")
    time.sleep(4)
    assert {d["dyno"]: d["state"] for d in shop.ps()}["worker.1"] == "up"


def test_files_are_ephemeral_and_the_memory_limit_holds(shop: Shop) -> None:
    assert "upperdir" in shop.ssh(
        "box-3", "for p in $(pgrep -f worker.py); do grep overlay /proc/$p/mountinfo; done"
    )


def test_everything_is_back_after_a_reboot(shop: Shop) -> None:
    shop.ssh("box-2", "systemctl reboot", check=False)
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        time.sleep(2)
        if shop.deploy("plan", "--detailed-exitcode", code=None).returncode == 0:
            break
    assert shop.changes() == []


def test_no_trace_of_a_secret_outside_its_files(shop: Shop) -> None:
    looked = (
        shop.deploy("plan", "-v").stdout
        + shop.deploy("plan", "--json").stdout
        + shop.deploy("logs", "-n", "1500").stdout
    )
    assert "planted" not in looked
    hosts = ("box-1", "box-2", "box-3")
    for host in hosts:
        assert "planted" not in shop.ssh(
            host, "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; journalctl --no-pager"
        )
        found = shop.ssh(
            host, "grep -rl planted /var/lib/deployer /etc /run/deployer /tmp 2>/dev/null || true"
        ).split()
        kept = [f for f in found if not f.endswith("/env")]
        assert kept == [], f"{host} keeps the secret in {kept}"
    control = shop.ssh("box-1", "cat /var/lib/deployer/apps/hello/releases/*/env")
    assert "7741" in control, "the search itself must be able to find it"
    assert SECRET
