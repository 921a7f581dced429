"""An edit made by hand on a host shows as exactly that, and apply mends only that."""

from __future__ import annotations

import pytest
from conftest import Shop

pytestmark = pytest.mark.live

KEY = "$(ls /var/lib/deployer/dynos | grep hello.{} | head -1)"
WEB2 = f"deployer.dyno@{KEY.format('web.2')}.service"
WORKER = f"deployer.dyno@{KEY.format('worker.1')}.service"
SITE = "/etc/nginx/conf.d/deployer.hello.conf"

CASES = {
    "a changed nginx file": ("box-1", f"echo '# by hand' >>{SITE}", ["update nginx/box-1/hello: config"]),
    "a deleted nginx file": ("box-1", f"rm {SITE}", ["create nginx/box-1/hello: config loaded*upstreams["]),
    "a lost reload": (
        "box-1",
        "sed -i s/^../zz/ /run/deployer/nginx.loaded",
        ["update nginx/box-1/hello: loaded"],
    ),
    "a stopped dyno": ("box-2", f"systemctl stop {WEB2}", ["update lxc/box-2/hello.web.2.*: running"]),
    "a dyno that will not start at boot": (
        "box-2",
        f"systemctl -q disable {WEB2}",
        ["update lxc/box-2/hello.web.2.*: enabled"],
    ),
    "a deleted dyno": (
        "box-3",
        f"systemctl -q disable --now {WORKER}; rm -rf /var/lib/deployer/dynos/{KEY.format('worker.1')}",
        ["create lxc/box-3/hello.worker.1.*"],
    ),
    "a removed package": (
        "box-3",
        "dpkg -r --force-depends rsyslog-relp >/dev/null 2>&1",
        ["create host/box-3/package:rsyslog-relp"],
    ),
    "a deleted port": (
        "box-1",
        "nft flush map ip deployer.hello ports",
        ["update nftables/box-1/deployer.hello: intact ports[*"],
    ),
    "a deleted rule": (
        "box-1",
        "nft flush chain ip deployer dynos",
        ["update nftables/box-1/deployer: intact"],
    ),
    "a stopped logplex": (
        "box-1",
        "systemctl stop deployer.logplex",
        ["update rsyslog/box-1/logplex: active loaded"],
    ),
    "a changed log rule": (
        "box-2",
        "echo '# by hand' >>/etc/deployer/rsyslog/log.conf; systemctl restart deployer.log",
        ["update rsyslog/box-2/log: loaded rules"],
    ),
    "a lost slug": (
        "box-3",
        "rm -rf /var/lib/deployer/apps/hello/slugs/*",
        ["create slug/box-3/*: app present"],
    ),
    "a changed script": ("box-2", "echo >>/var/lib/deployer/bin/dyno-run", ["update host/box-2/file"]),
}


@pytest.mark.parametrize("name", CASES)
def test_drift(shop: Shop, name: str) -> None:
    host, script, expected = CASES[name]
    shop.ssh(host, script)
    seen = shop.changes()
    for prefix in expected:
        start, _, rest = prefix.partition("*")
        assert any(line.startswith(start) and rest in line for line in seen), (prefix, seen)
    touched = {prefix.split("/")[0] for prefix in expected}
    assert {line.split("/")[0] for line in seen} == touched, seen
    shop.settle()


def test_what_is_not_ours_stays(shop: Shop) -> None:
    shop.ssh(
        "box-1",
        "echo 'map $host $foreign { default 1; }' >/etc/nginx/conf.d/foreign.conf; nft add table ip foreign",
    )
    assert shop.changes() == []
    shop.ssh("box-1", "echo >>/etc/nginx/conf.d/deployer.hello.conf")
    shop.settle()
    assert (
        shop.ssh("box-1", "ls /etc/nginx/conf.d/foreign.conf; nft list tables ip | grep foreign").count(
            "foreign"
        )
        == 2
    )
    shop.ssh("box-1", "rm /etc/nginx/conf.d/foreign.conf; nft delete table ip foreign")


def test_a_diff_shows_what_was_written_by_hand_and_no_secret(shop: Shop) -> None:
    env = "$(ls /var/lib/deployer/apps/hello/releases/v*/env | head -1)"
    secret = shop.ssh("box-1", f'. {env}; echo "# by hand $SECRET_KEY" | tee -a {SITE}').split()[-1]
    shop.ssh("box-2", "echo '# by hand' >>/etc/deployer/rsyslog/log.conf")
    said = shop.deploy("plan", "--diff").stdout
    assert "      -# by hand (secret)\n" in said
    assert "      -# by hand\n" in said
    assert secret not in said
    shop.settle()
