"""TLS: certificates of one's own, and automatic ones that any router can get and all routers serve."""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Iterator

import pytest
from authority import Authority, accepts, acme_ca, ask, lead, served
from conftest import Shop
from here import ROUTERS, at, routers

pytestmark = pytest.mark.live

DOMAINS = ["secure.test", "www.secure.test", "a.wide.test", "plain.test"]
ECHO = """import http.server, json, os
class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({k.lower(): v for k, v in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        if self.path == "/own":
            self.send_header("Strict-Transport-Security", "max-age=1")
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("", int(os.environ["PORT"])), Echo).serve_forever()
"""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority")).make()


@pytest.fixture(scope="module")
def secure(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """An app of its own that says which headers it was sent."""
    folder = tmp_path_factory.mktemp("secure")
    (folder / "Procfile").write_text("web: exec python3 echo.py\n")
    (folder / "echo.py").write_text(ECHO)
    (folder / "requirements.txt").write_text("")
    fleet = json.loads((shop.folder / "fleet.json").read_text())
    own = {"app": "secure", "domains": DOMAINS, "config": {}, "formation": {"web": {"quantity": 2}}}
    (folder / "fleet.json").write_text(json.dumps(fleet | own))
    app = Shop(folder)
    app.settle()
    yield app
    app.deploy("destroy", "--confirm", "secure")
    for host in ROUTERS:
        left = "ls -d /var/lib/deployer/apps/secure/certificates /run/deployer/acme/secure /etc/systemd/system/timers.target.wants/deployer.certificates@secure.timer"
        assert app.ssh(host, left, check=False) == ""


def router_lines(app: Shop, path: str) -> list[str]:
    """Lines of the routers about a path, once they are there."""
    for _ in range(20):
        lines = [
            line for line in app.deploy("logs", "-n", "200").stdout.splitlines() if f'path="{path}"' in line
        ]
        if len(lines) >= len(ROUTERS):
            return lines
        time.sleep(0.5)
    raise AssertionError(f"the routers say nothing of {path}: {lines}")


def test_a_certificate_of_ones_own_from_end_to_end(secure: Shop, authority: Authority) -> None:
    wide, mark = authority.sign("wide", "DNS:*.wide.test"), secrets.token_hex(4)
    secure.edit(
        "fleet.json",
        tls={"redirect": True, "hsts": 3600},
        certificates=[{"certificate": wide[0], "key": {"file": wide[1]}}],
    )
    secure.settle()
    secure.deploy("certs", "add", *authority.sign("one", "DNS:secure.test,DNS:www.secure.test"))
    assert secure.plan()["changes"] == []
    rows = {row["name"]: row for row in json.loads(secure.deploy("certs", "--json").stdout)}
    assert (rows["secure.test"]["from"], rows["any.wide.test"]["from"]) == ("command", "fleet.json")
    for router in routers():
        for host in ("secure.test", "www.secure.test", "a.wide.test"):
            got = ask(authority, f"https://{host}/{host}-{mark}", router)
            sent = json.loads(got.body)
            assert (got.status, got.version) == (200, "HTTP/2")
            assert got.headers["strict-transport-security"] == "max-age=3600"
            assert (sent["x-forwarded-proto"], sent["x-forwarded-port"]) == ("https", "443")
        assert (
            ask(authority, "https://secure.test/own", router).headers["strict-transport-security"]
            == "max-age=1"
        )
        there = ask(authority, "http://secure.test/x?y=1", router)
        assert (there.status, there.headers["location"]) == (301, "https://secure.test/x?y=1")
        assert ask(authority, "http://secure.test/x", router, "-X", "POST").status == 308
        plain = ask(authority, "http://plain.test/", router)
        assert json.loads(plain.body)["x-forwarded-proto"] == "http"
        assert "strict-transport-security" not in plain.headers
        wrong = ask(authority, f"https://secure.test/misdirected-{mark}", router, "-H", "Host: a.wide.test")
        assert wrong.status == 495
        assert served(router, "plain.test") == served(router, "nobody.test") == {}
    for line in router_lines(secure, f"/secure.test-{mark}"):
        assert "protocol=http2.0 tls=true tls_version=tls1." in line
    assert all(
        'code=H32 desc="TLS Certificate Mismatch"' in line
        for line in router_lines(secure, f"/misdirected-{mark}")
    )


def test_only_sane_protocols_are_spoken(secure: Shop, authority: Authority) -> None:
    for version, works in (("1.1", False), ("1.2", True), ("1.3", True)):
        argv = [
            "curl",
            "-sS",
            "-o",
            "/dev/null",
            "--ciphers",
            "DEFAULT@SECLEVEL=0",
            f"--tlsv{version}",
            "--tls-max",
            version,
        ]
        place = [
            "--resolve",
            f"a.wide.test:443:{at('box-1')}",
            "--cacert",
            str(authority.folder / "ca.pem"),
        ]
        whole = [*argv, *place, "--max-time", "10", "https://a.wide.test/"]
        done = subprocess.run(whole, capture_output=True, text=True, check=False, timeout=20)
        assert (done.returncode == 0) is works, f"TLS {version}: {done.stderr}"


def test_one_is_replaced_and_removed(secure: Shop, authority: Authority) -> None:
    before = served(at("box-1"), "secure.test")
    pair = authority.sign("two", "DNS:secure.test")
    added = secure.deploy("certs", "add", *pair, "--name", "secure.test", "--verbose")
    assert "have nginx serve secure" in added.stderr
    now = [served(router, "secure.test") for router in routers()]
    assert now[0] == now[1]
    assert now[0]["serial"] != before["serial"]
    assert "PRIVATE KEY" not in added.stdout + added.stderr
    secure.deploy("certs", "remove", "secure.test")
    assert [served(router, "secure.test") for router in routers()] == [{}, {}]
    assert "secure.test" in secure.get(host="secure.test")
    assert secure.plan()["changes"] == []
    assert secure.ssh("box-1", "ls /var/lib/deployer/apps/secure/certificates") == "any.wide.test.pem\n"


def test_a_bad_one_is_refused_before_anything_is_done(secure: Shop, authority: Authority) -> None:
    good, other = authority.sign("good", "DNS:secure.test"), authority.sign("other", "DNS:secure.test")
    cases = {
        "is not that of the certificate": (good[0], other[1]),
        "covers none of the app's domains": authority.sign("else", "DNS:else.test"),
        "the private key is encrypted": authority.sign("closed", "DNS:secure.test", password="secret"),
        "there is no certificate in the file": (good[1], good[1]),
        "cannot be read": (good[0] + ".not", good[1]),
    }
    for words, (chain, key) in cases.items():
        done = secure.deploy("certs", "add", chain, key, code=1)
        assert words in done.stderr, done.stderr
    secure.edit("fleet.json", certificates=[{"certificate": good[0], "key": {"file": other[1]}}])
    assert "/certificates/0" in secure.deploy("plan", code=1).stderr
    secure.edit("fleet.json", certificates=[])
    secure.settle()


@pytest.fixture(scope="module")
def pebble(shop: Shop, authority: Authority) -> Iterator[dict[str, str]]:
    with acme_ca(authority) as settings:
        yield settings


UNIT = "deployer.certificates@secure.service"


def renew(app: Shop, host: str, days: int | None = None) -> None:
    """Start the timer's service, as if certificates had to last so many days."""
    folder = f"/run/systemd/system/{UNIT}.d"
    early = f"mkdir -p {folder}; printf '[Service]\\nEnvironment=RENEW_DAYS={days}\\n' >{folder}/early.conf; systemctl daemon-reload;"
    app.ssh(host, f"{early if days else ''} systemctl start {UNIT}; rm -rf {folder}; systemctl daemon-reload")


def test_routers_get_one_certificate_and_renew_it_alone(
    secure: Shop, authority: Authority, pebble: dict[str, str]
) -> None:
    lead("secure.test", at("box-2"))  # the first router asks, and the other one is asked for the answer
    secure.edit("fleet.json", domains=["secure.test", "lost.test"], tls={"redirect": True, "acme": pebble})
    failed = secure.apply(code=7)
    assert "secure.test has a certificate until" in failed.stderr
    assert "no certificate for lost.test: connection: " in failed.stderr
    assert "lost.test" in secure.get(host="lost.test")
    assert {c["address"] for c in secure.plan()["changes"]} == {
        f"certificates/{h}/automatic:lost.test" for h in ROUTERS
    }
    lead("lost.test", at("box-1"))
    secure.settle()
    first = {name: [served(router, name) for router in routers()] for name in ("secure.test", "lost.test")}
    for here, there in first.values():
        assert here == there
        assert "Pebble" in here["issuer"]
    assert ask(authority, "http://secure.test/", at("box-2")).status == 301
    assert {row["from"] for row in json.loads(secure.deploy("certs", "--json").stdout)} == {"ACME"}

    renew(secure, "box-1", 9999)
    assert secure.plan()["changes"] == []
    renew(secure, "box-2")
    second = [served(router, "secure.test") for router in routers()]
    assert second[0] == second[1]
    assert second[0]["serial"] != first["secure.test"][0]["serial"]

    renew(secure, "box-2")
    assert served(at("box-2"), "secure.test") == second[0]
    assert secure.plan()["changes"] == []


def test_the_second_router_renews_when_the_first_is_dead(secure: Shop, pebble: dict[str, str]) -> None:
    before = served(at("box-2"), "secure.test")
    for name in ("secure.test", "lost.test"):
        lead(name, at("box-2"))
    secure.ssh("box-1", "systemctl stop nginx")
    try:
        renew(secure, "box-2", 9999)
    finally:
        secure.ssh("box-1", "systemctl start nginx")
    after = served(at("box-2"), "secure.test")
    assert after["serial"] != before["serial"]
    renew(secure, "box-1")
    assert served(at("box-1"), "secure.test") == after
    assert secure.plan()["changes"] == []


def test_keys_are_for_root_alone_and_closed_on_the_way(secure: Shop, pebble: dict[str, str]) -> None:
    made = "/var/lib/deployer/apps/secure/certificates/automatic"
    modes = secure.ssh(
        "box-1", f"stat -c '%a %n' {made}/*.pem {made}/account.key /var/lib/deployer/apps/secure/acme.json"
    )
    assert {line.split()[0] for line in modes.splitlines()} == {"600"}
    url = f"http://{at('box-1')}:20517/certificates/secure.test"
    shown = secure.ssh(
        "box-2",
        f'python3 -c \'import urllib.request as u; print(u.urlopen(u.Request("{url}", headers={{"Host": "deployer.secure"}})).read().decode())\'',
    )
    assert len(shown) > 1000
    assert "PRIVATE" not in shown
    assert not accepts(at("box-1"), 20517)


def test_what_was_made_goes_when_it_is_no_longer_wanted(secure: Shop, pebble: dict[str, str]) -> None:
    secure.edit("fleet.json", tls={})
    secure.settle()
    assert served(at("box-1"), "secure.test") == {}
    assert secure.ssh("box-1", "ls /var/lib/deployer/apps/secure/certificates/automatic", check=False) == ""
