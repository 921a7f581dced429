"""The main job: an app on three hosts, answering through two routers, its logs in one place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import SECRET, Shop
from here import HOSTS, ROUTERS, at
from waiting import until

pytestmark = pytest.mark.live


def test_the_plan_after_an_apply_is_empty(shop: Shop) -> None:
    done = shop.deploy("plan", "--detailed-exitcode")
    assert done.stdout.startswith("No changes.")


@pytest.mark.parametrize("router", ROUTERS)
def test_every_router_serves_each_web_dyno_in_turn(shop: Shop, router: str) -> None:
    answers = [shop.get(at(router)).split(" on ")[0] for _ in range(4)]
    assert sorted(set(answers)) == ["Hello from web.1", "Hello from web.2"]
    assert answers[0] != answers[1]


def test_logs_of_dynos_and_routers_come_together(shop: Shop) -> None:
    shop.get(path="/for-the-log")
    told = ("app[worker.1]: tick", 'heroku[router]: at=info method=GET path="/for-the-log"')
    until(lambda: all(line in shop.deploy("logs", "-n", "1500").stdout for line in told))
    only = shop.deploy("logs", "-n", "5", "--ps", "worker", "--source", "app", "--json").stdout.splitlines()
    assert {json.loads(line)["process"] for line in only} == {"worker.1"}


def test_forwarded_ports_are_for_routers_only(shop: Shop) -> None:
    port = next(d["host_port"] for d in shop.ps() if d["dyno"] == "web.1")
    ask = f"python3 -c 'import socket; socket.create_connection((\"{at('box-1')}\", {port}), 2)'"
    shop.ssh("box-2", ask)
    assert shop.ssh("box-3", f"{ask} 2>/dev/null || echo refused").strip() == "refused"


PIDS = (
    'uid=$(python3 -c \'import json; print(json.load(open("/var/lib/deployer/apps/hello/app.json"))["base"] + 1000)\');'
    " pids=$(pgrep -U $uid); "
)


def test_a_dyno_is_nobody_on_its_host(shop: Shop) -> None:
    script = (
        PIDS
        + "for p in $pids; do grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/$p/status; done | sort -u"
    )
    rows = dict(line.split(":\t") for line in shop.ssh("box-1", script).splitlines())
    assert rows == {"CapBnd": "0" * 16, "CapEff": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2"}


def test_a_crashed_dyno_comes_back_by_itself(shop: Shop) -> None:
    worker = "pgrep -f worker.py | head -1"
    before = shop.ssh("box-3", worker)
    shop.ssh("box-3", f"kill -9 {before}")
    until(lambda: shop.ssh("box-3", worker) not in ("", before))
    until(lambda: {d["dyno"]: d["state"] for d in shop.ps()}["worker.1"] == "up")


def test_what_a_dyno_writes_goes_with_it(shop: Shop) -> None:
    shop.ssh("box-3", PIDS + "touch /proc/$(echo $pids | cut -d' ' -f1)/root/app/written")
    assert "written" in shop.ssh("box-3", PIDS + "ls /proc/$(echo $pids | cut -d' ' -f1)/root/app")
    shop.ssh("box-3", "systemctl restart 'deployer.dyno@hello.worker.1.*'")
    assert "written" not in shop.ssh("box-3", PIDS + "ls /proc/$(echo $pids | cut -d' ' -f1)/root/app")


def test_the_kernel_holds_the_memory_and_pids_limits(shop: Shop) -> None:
    find = PIDS + "cat /proc/$(echo $pids | cut -d' ' -f1)/root/sys/fs/cgroup/memory/memory.limit_in_bytes"
    assert shop.ssh("box-3", find).strip() == str(1536 << 20)
    held = "find /sys/fs/cgroup -path '*hello.worker.1*' -name {} | xargs cat | sort -u"
    limits = shop.ssh(
        "box-3", "; ".join(held.replace("{}", n) for n in ("memory.limit_in_bytes", "memory.max", "pids.max"))
    )
    assert {str(2048 << 20), "512"} <= set(limits.split()), (
        "the hard limit, above the quota that the app reads"
    )


def test_everything_is_back_after_a_reboot(shop: Shop) -> None:
    shop.ssh("box-2", "systemctl reboot", check=False)
    until(lambda: shop.deploy("plan", "--detailed-exitcode", code=None).returncode == 0, 90)
    assert shop.changes() == []


def test_no_trace_of_a_secret_outside_its_files(shop: Shop) -> None:
    looked = (
        shop.deploy("plan", "-v").stdout
        + shop.deploy("plan", "--json").stdout
        + shop.deploy("logs", "-n", "1500").stdout
    )
    assert "zq7x" not in looked
    journals = [*Path(shop.environment["XDG_STATE_HOME"]).glob("deployer/logs/*/*.log")]
    assert journals, "each apply leaves one"
    assert [journal for journal in journals if "zq7x" in journal.read_text("utf-8")] == []
    for host in HOSTS:
        assert "zq7x" not in shop.ssh(
            host, "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '; journalctl --no-pager"
        )
        found = shop.ssh(
            host, "grep -rlI zq7x /var/lib/deployer /etc /run/deployer /tmp 2>/dev/null || true"
        ).split()
        kept = [f for f in found if not f.endswith("/env")]
        assert kept == [], f"{host} keeps the secret in {kept}"
    control = shop.ssh("box-1", "cat /var/lib/deployer/apps/hello/releases/*/env")
    assert "zq7x" in control, "the search itself must be able to find it"
    assert SECRET
