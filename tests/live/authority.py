"""A CA of one's own, Let's Encrypt's CA for tests (pebble), and what routers answer under their certificates."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from here import gateway

CA_PORT, DNS_PORT, DNS_TOLD = 14000, 8053, 8055
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")


@dataclass
class Authority:
    """A CA in a folder, made with openssl as an operator would."""

    folder: Path

    def run(self, *words: str) -> None:
        subprocess.run(("openssl", *words), check=True, cwd=self.folder, capture_output=True, timeout=60)

    def make(self) -> Authority:
        self.run(
            "req",
            "-x509",
            *CURVE,
            "-nodes",
            "-days",
            "3650",
            "-subj",
            "/CN=Test",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
        )
        return self

    def sign(self, name: str, alternatives: str, days: int = 90, password: str = "") -> tuple[str, str]:
        (self.folder / "names").write_text(f"subjectAltName={alternatives}")
        closed = ("-passout", f"pass:{password}") if password else ("-nodes",)
        self.run(
            "req",
            *CURVE,
            *closed,
            "-subj",
            "/CN=leaf",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
        )
        self.run(
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            str(days),
            "-extfile",
            "names",
            "-out",
            f"{name}.pem",
        )
        return str(self.folder / f"{name}.pem"), str(self.folder / f"{name}.key")


@dataclass(frozen=True)
class Answer:
    status: int
    version: str
    headers: dict[str, str]
    body: str


def ask(authority: Authority, url: str, router: str, *more: str) -> Answer:
    """What a router answers, under a certificate of the CA."""
    host = url.split("/")[2]
    place = [word for port in (80, 443) for word in ("--resolve", f"{host}:{port}:{router}")]
    argv = [
        "curl",
        "-sS",
        "-i",
        "--max-time",
        "10",
        "--cacert",
        str(authority.folder / "ca.pem"),
        *place,
        *more,
        url,
    ]
    text = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20).stdout
    head, _, body = text.partition("\n\n")
    first, *lines = head.replace("\r", "").splitlines()
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(first.split()[1]), first.split()[0], headers, body)


def served(router: str, name: str, roots: Path | None = None) -> dict[str, str]:
    """The certificate that a router shows for a name; empty where it refuses."""
    connect = ["openssl", "s_client", "-connect", f"{router}:443", "-servername", name]
    shown = subprocess.run(connect, input="", capture_output=True, text=True, check=False, timeout=20).stdout
    if "BEGIN CERTIFICATE" not in shown:
        return {}
    said = subprocess.run(
        ["openssl", "x509", "-noout", "-serial", "-issuer", "-enddate"],
        input=shown, capture_output=True, text=True, check=True, timeout=20,
    ).stdout  # fmt: skip
    return dict(line.partition("=")[::2] for line in said.splitlines())


@contextmanager
def started(*argv: str, **environment: str) -> Iterator[None]:
    running = subprocess.Popen(
        argv, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        running.terminate()
        running.wait(timeout=10)


def accepts(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def lead(name: str, router: str) -> None:
    """Have the CA find a name at this router, and there alone."""
    for verb, body in (
        ("clear-a", {"host": f"{name}."}),
        ("add-a", {"host": f"{name}.", "addresses": [router]}),
    ):
        argv = ["curl", "-sS", "-f", "-d", json.dumps(body), f"http://127.0.0.1:{DNS_TOLD}/{verb}"]
        subprocess.run(argv, check=True, timeout=10)


@contextmanager
def acme_ca(authority: Authority) -> Iterator[dict[str, str]]:
    """Pebble on this machine, and a name server that says what it is told; what fleet.json needs of it."""
    if not shutil.which("pebble"):
        subprocess.run(["apt-get", "-q", "update"], check=True, capture_output=True, timeout=300)
        install = ["apt-get", "-q", "-y", "install", "--no-install-recommends", "pebble"]
        subprocess.run(install, check=True, capture_output=True, timeout=300)
    certificate, key = authority.sign("pebble", f"IP:{gateway()}")
    config = authority.folder / "pebble.json"
    listen = {"listenAddress": f"{gateway()}:{CA_PORT}", "managementListenAddress": "127.0.0.1:15000"}
    settings = {**listen, "httpPort": 80, "tlsPort": 443, "certificate": certificate, "privateKey": key}
    config.write_text(json.dumps({"pebble": {**settings, "ocspResponderURL": ""}}))
    names = ("-dns01", f"127.0.0.1:{DNS_PORT}", "-management", f"127.0.0.1:{DNS_TOLD}")
    off = (
        word
        for flag in ("defaultIPv4", "defaultIPv6", "http01", "https01", "tlsalpn01")
        for word in (f"-{flag}", "")
    )
    ca = ("pebble", "-config", str(config), "-dnsserver", f"127.0.0.1:{DNS_PORT}")
    with (
        started("pebble-challtestsrv", *names, *off),
        started(*ca, PEBBLE_VA_NOSLEEP="1", PEBBLE_WFE_NONCEREJECT="0"),
    ):
        ends = time.monotonic() + 20
        while not (accepts(gateway(), CA_PORT) and accepts("127.0.0.1", DNS_TOLD)):
            if time.monotonic() > ends:
                raise TimeoutError("pebble does not come up")
            time.sleep(0.2)
        yield {
            "directory": f"https://{gateway()}:{CA_PORT}/dir",
            "ca": str(authority.folder / "ca.pem"),
            "email": "ada@example.com",
        }
