#!/usr/bin/env python3
"""Ask the CA of an app for one certificate, with a new private key; any router of the app may answer its challenge.

usage:  certify-order APP DOMAIN
reads:  acme.json of the app
result: the chain and the key on stdout; why there is none on stderr, in the CA's words
exit:   0; 1 the CA gave none; 2 wrong usage; 51 this host failed
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

APPS, SHOWN = Path("/var/lib/deployer/apps"), Path("/run/deployer/acme")
USUAL_ROOTS = Path("/etc/ssl/certs/ca-certificates.crt")
PATIENCE = 300
"""Seconds for the CA to make up its mind."""


def openssl(*words: str) -> None:
    subprocess.run(("openssl", *words), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def request(domain: str, folder: Path) -> None:
    """A key and what is to be signed."""
    key, csr = str(folder / "key.pem"), str(folder / "csr.pem")
    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
    openssl("req", "-new", "-key", key, "-subj", "/", "-addext", f"subjectAltName=DNS:{domain}", "-out", csr)


def account(app: str) -> Path:
    """The key that the CA knows this router by; made once."""
    key = APPS / app / "certificates" / "automatic" / "account.key"
    if not key.exists():
        key.parent.mkdir(parents=True, exist_ok=True)
        new = key.with_name(".account.new")
        openssl("genrsa", "-out", str(new), "2048")
        new.rename(key)
    return key


def client(app: str, settings: dict, folder: Path) -> subprocess.CompletedProcess:
    """Have acme-tiny go through the order; challenges are for nginx to read."""
    challenges, key = SHOWN / app / ".well-known" / "acme-challenge", account(app)
    os.umask(0o022)
    challenges.mkdir(parents=True, exist_ok=True)
    usual = USUAL_ROOTS.read_text() if USUAL_ROOTS.exists() else ""
    (folder / "roots.pem").write_text(usual + settings["roots"])
    contact = ("--contact", f"mailto:{settings['email']}") if settings["email"] else ()
    argv = ("acme-tiny", "--quiet", "--disable-check", "--account-key", str(key))
    order = ("--csr", str(folder / "csr.pem"), "--acme-dir", str(challenges))
    where = ("--directory-url", settings["directory"], *contact)
    environment = {**os.environ, "SSL_CERT_FILE": str(folder / "roots.pem")}
    return subprocess.run(
        (*argv, *order, *where), capture_output=True, text=True, env=environment, timeout=PATIENCE
    )


def reason(complaint: str) -> str:
    """The CA's own words in what acme-tiny printed, else its last line."""
    kinds = re.findall(r"urn:ietf:params:acme:error:(\w+)", complaint)
    details = re.findall(r"""['"]detail['"]: (?:'([^']*)'|"([^"]*)")""", complaint)
    if kinds and details:
        return f"{kinds[-1]}: {details[-1][0] or details[-1][1]}"
    return (complaint.strip().splitlines() or ["acme-tiny said nothing"])[-1]


def main(app: str, domain: str) -> str:
    """Why there is no certificate; empty when it is printed."""
    settings = json.loads((APPS / app / "acme.json").read_text())
    os.umask(0o077)
    with tempfile.TemporaryDirectory(dir="/run/deployer") as scratch:
        request(domain, Path(scratch))
        try:
            done = client(app, settings, Path(scratch))
        except subprocess.TimeoutExpired:
            return f"{settings['directory']} has not decided for {PATIENCE} s"
        if done.returncode or not done.stdout.strip():
            return reason(done.stderr)
        print(done.stdout.strip())
        print((Path(scratch) / "key.pem").read_text().strip())
    return ""


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    try:
        sys.exit(main(*sys.argv[1:]) or 0)
    except subprocess.CalledProcessError as error:
        print(f"{error}: {error.stderr.decode(errors='replace').strip()}", file=sys.stderr)
    except (OSError, ValueError, KeyError) as error:
        print(error, file=sys.stderr)
    sys.exit(51)
