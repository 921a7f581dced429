"""Bad days: a clear message with where and what next, the documented exit code, nothing half done."""

from __future__ import annotations

import json
import subprocess
import time

import left
import pytest
from conftest import Shop
from here import LAB, at, gateway
from waiting import until

from deployer import lab

pytestmark = pytest.mark.live


def test_an_unreachable_host_is_named_and_nothing_is_changed(shop: Shop) -> None:
    lab.stop_host("box-3", LAB)
    try:
        done = shop.apply(code=4)
        assert "box-3 cannot be reached" in done.stderr
        assert "--without" in done.stderr
    finally:
        lab.start_host("box-3", LAB)
        until(lambda: shop.deploy("plan", "--detailed-exitcode", code=None).returncode == 0, 60)


def test_a_changed_host_key_is_refused(shop: Shop) -> None:
    path = shop.folder / "known_hosts"
    good = path.read_text()
    rows, third = good.splitlines(), at("box-3")
    other = next(row.split(" ", 1)[1] for row in rows if row.startswith(at("box-2")))
    path.write_text("\n".join(f"{third} {other}" if row.startswith(third) else row for row in rows) + "\n")
    done = shop.deploy("plan", code=4)
    path.write_text(good)
    assert "box-3: the host key has changed" in done.stderr


def test_an_unknown_host_key_is_not_trusted_by_itself(shop: Shop) -> None:
    path = shop.folder / "known_hosts"
    good = path.read_text()
    path.write_text("")
    try:
        assert "--accept-new" in shop.deploy("plan", code=4).stderr
        assert "pinned box-1" in shop.deploy("plan", "--accept-new").stderr
    finally:
        path.write_text(good)


def _through(shop: Shop, jump: str) -> dict[str, object]:
    fleet = json.loads((shop.folder / "fleet.json").read_text())
    behind = {name: fleet["hosts"][name] | {"jump": jump} for name in ("box-2", "box-3")}
    shop.edit("fleet.json", hosts=fleet["hosts"] | behind)
    return dict(fleet["hosts"])


def test_hosts_behind_a_jump_host_are_reached_through_it_only(shop: Shop) -> None:
    now = shop.ssh("box-2", "date +%s").strip()
    hosts = _through(shop, at("box-1"))
    try:
        shop.edit("fleet.json", formation={"web": {"quantity": 3}})
        shop.settle()
        assert len(shop.ps()) == 4
        assert shop.deploy("logs", "-n", "1").stdout
    finally:
        shop.edit("fleet.json", hosts=hosts, formation={})
    let_in = f"journalctl -u ssh --since @{now} -o cat | grep -o 'Accepted publickey for root from [^ ]*'"
    ways = set(shop.ssh("box-3", let_in).split("\n")) - {""}
    assert ways - {f"Accepted publickey for root from {gateway()}"} == {
        f"Accepted publickey for root from {at('box-1')}"
    }


@pytest.mark.parametrize(
    ("jump", "words"),
    [
        ("{}:2222", "{}:2222 cannot be reached"),
        ("stranger@{}", "stranger@{}:22: it refused the key"),
    ],
)
def test_a_jump_host_that_is_shut_is_named(shop: Shop, jump: str, words: str) -> None:
    hosts = _through(shop, jump.format(at("box-1")))
    try:
        said = shop.deploy("plan", code=4).stderr
    finally:
        shop.edit("fleet.json", hosts=hosts)
    assert "box-2 cannot be reached through its jump host" in said
    assert words.format(at("box-1")) in said
    assert "box-1" not in said


def test_a_sudo_that_asks_is_said_so(shop: Shop) -> None:
    fleet = json.loads((shop.folder / "fleet.json").read_text())
    shop.edit("fleet.json", ssh={**fleet["ssh"], "user": lab.ASKER})
    done = shop.deploy("plan", code=4)
    assert f"sudo asks {lab.ASKER} for a password on box-1" in done.stderr
    shop.edit("fleet.json", ssh={**fleet["ssh"], "user": lab.ADMIN})
    assert shop.deploy("plan").stdout
    shop.edit("fleet.json", ssh=fleet["ssh"])


def test_two_applies_at_once(shop: Shop) -> None:
    take = (
        "mkdir -p /run/deployer; python3 -c 'import json, time; t = time.clock_gettime(time.CLOCK_BOOTTIME);"
        ' json.dump({"id": "x", "who": "anna@desk", "doing": "apply", "since": t, "until": t + 99},'
        ' open("/run/deployer/lock", "w"))\''
    )
    shop.ssh("box-2", take)
    shop.ssh("box-1", "echo '#' >>/etc/nginx/conf.d/deployer.hello.conf")
    done = shop.apply(code=6)
    assert "anna@desk holds the lock of box-2" in done.stderr
    assert "deploy unlock" in done.stderr
    shop.deploy("unlock")
    shop.settle()


def test_a_killed_apply_leaves_the_remainder_as_the_next_plan(shop: Shop) -> None:
    source = shop.folder / "app.py"
    for seconds in (1.5, 3, 5):
        source.write_text(source.read_text() + f"\n# killed after {seconds}\n")
        running = subprocess.Popen(
            shop.argv("apply", "--yes"),
            env=shop.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(seconds)
        running.kill()
        running.wait()
        shop.deploy("unlock")
        shop.settle()
        assert shop.get().startswith("Hello from web.")


def test_a_saved_plan_goes_stale(shop: Shop) -> None:
    saved = str(shop.folder.parent / "plan.json")
    shop.ssh("box-1", "echo '#' >>/etc/nginx/conf.d/deployer.hello.conf")
    shop.deploy("plan", "--out", saved)
    shop.ssh("box-2", "echo '#' >>/etc/nginx/conf.d/deployer.hello.conf")
    assert "stale" in shop.deploy("apply", saved, code=5).stderr
    shop.deploy("plan", "--out", saved)
    shop.deploy("apply", saved)
    assert shop.changes() == []


def test_a_port_that_is_taken_is_said_before_anything_is_done(shop: Shop) -> None:
    stranger = "systemd-run -q -u stranger python3 -m http.server 80"
    shop.ssh("box-2", f"systemctl stop nginx && {stranger} && sleep 1")
    try:
        done = shop.apply(code=1)
    finally:
        shop.ssh("box-2", "systemctl stop stranger; systemctl start nginx")
    assert "port 80 of box-2, which a router needs, is taken by python3" in done.stderr


def test_a_full_disk_is_said_and_mended_later(shop: Shop) -> None:
    shop.ssh(
        "box-2",
        "mkdir -p /etc/deployer/nftables && mount -t tmpfs -o size=4k,nr_inodes=2 none /etc/deployer/nftables",
    )
    done = shop.apply(code=3)
    assert "No space left on device" in done.stderr
    assert "box-2" in done.stderr
    shop.ssh("box-2", "umount /etc/deployer/nftables")
    shop.settle()


def test_destroy_leaves_nothing_of_the_app(shop: Shop) -> None:
    assert "cancelled" in shop.deploy("destroy", "--confirm", "other", code=1).stderr
    shop.deploy("destroy", "--confirm", "hello")
    assert left.of_an_app("hello") == {}
    shop.settle()
