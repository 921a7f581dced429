#!/usr/bin/env python3
"""Get the automatic certificates of an app from its CA, share them with its other routers, renew them in time.

usage:  certify APP [--timer]       with --timer it asks the CA less and less often while that refuses
reads:  acme.json and keys.json of the app; RENEW_DAYS in the environment is a threshold in place of the usual one
result: certificates/automatic/DOMAIN.pem (chain and key), .conf (has nginx serve it), .json (how it went), and for the
        other routers /run/deployer/acme/APP/certificates/DOMAIN, encrypted
exit:   0, also where the CA refuses: that is written down; 2 wrong usage; 50 nginx refused one; 51 this host failed
"""

from __future__ import annotations

import base64
import email.utils
import fcntl
import hashlib
import hmac
import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import time
from pathlib import Path

DAY, HOUR = 86400, 3600
PATIENCE, IDLE = 360, 60
"""Seconds to wait for a router that comes first: while it asks the CA, and for it to begin with that."""
MOST_AN_HOUR = 4
"""Failures: Let's Encrypt takes five for each name in an hour."""
ORDER = "/var/lib/deployer/bin/certify-order"


def run(*argv: str, stdin: bytes = b"", **more: object) -> bytes:
    return subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, check=True, **more).stdout


def write(path: Path, content: bytes, mode: int = 0o600) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
    new.rename(path)


class App:
    """What the deployer has written down about an app, and where things are."""

    def __init__(self, name: str) -> None:
        home = Path("/var/lib/deployer/apps") / name
        settings = json.loads((home / "acme.json").read_text())
        self.name, self.seal = name, json.loads((home / "keys.json").read_text())["seal"]
        self.me, self.routers, self.port = settings["self"], settings["routers"], settings["port"]
        self.directory, self.domains = settings["directory"], settings["domains"]
        self.made = home / "certificates/automatic"
        self.shown = Path("/run/deployer/acme") / name
        self.rank = list(self.routers).index(self.me)

    def file(self, domain: str, kind: str) -> Path:
        return self.made / f"{domain}.{kind}"


def held(app: App, domain: str) -> dict:
    """A certificate of this router and how the last tries went."""
    log, pem = app.file(domain, "json"), app.file(domain, "pem")
    state = json.loads(log.read_text()) if log.exists() else {"failures": [], "said": ""}
    return {**state, "pem": pem.read_text() if pem.exists() else ""}


def dates(pem: str) -> tuple:
    """When it begins and ends, in seconds since 1970; nothing is over."""
    if not pem:
        return 0, 0
    said = run("openssl", "x509", "-noout", "-dates", stdin=pem.encode()).decode()
    return tuple(ssl.cert_time_to_seconds(line.partition("=")[2]) for line in said.splitlines())


def is_due(app: App, pem: str, later: int = 0) -> bool:
    """Whether to renew: 30 days before the end, or a third of its life; `later` is in seconds."""
    (begins, ends), days = dates(pem), os.environ.get("RENEW_DAYS")
    margin = int(days) * DAY if days else min(30 * DAY, (ends - begins) / 3)
    return ends - time.time() < margin - later


def derived(app: App, use: str) -> bytes:
    """A key of its own for each use."""
    return hmac.new(app.seal.encode(), f"certificates {use}".encode(), hashlib.sha256).hexdigest().encode()


def cipher(app: App, content: bytes, *way: str) -> bytes:
    """AES, with a key that is in no argument."""
    secret, feed = os.pipe()
    os.write(feed, derived(app, "cipher") + b"\n")
    os.close(feed)
    argv = ("openssl", "enc", *way, "-aes-256-ctr", "-pbkdf2", "-iter", "1", "-pass", f"fd:{secret}")
    opened = run(*argv, stdin=content, pass_fds=(secret,))
    os.close(secret)
    return opened


def mac(app: App, domain: str, closed: bytes) -> str:
    return hmac.new(derived(app, "mac"), f"{domain}\n".encode() + closed, hashlib.sha256).hexdigest()


def show(app: App, domain: str, state: dict) -> None:
    """What is held, for routers that know the seal; its age tells them when this one ran last."""
    closed = cipher(app, json.dumps(state).encode())
    seal = mac(app, domain, closed).encode()
    write(app.shown / "certificates" / domain, seal + b"\n" + base64.b64encode(closed), 0o644)


def ask(app: App, router: str, domain: str) -> tuple:
    """What another router holds and how many seconds ago it ran; raises OSError if it does not answer."""
    link = http.client.HTTPConnection(app.routers[router], app.port, timeout=5)
    try:
        link.request("GET", f"/certificates/{domain}", headers={"Host": f"deployer.{app.name}"})
        answer = link.getresponse()
        text = answer.read(1 << 20)
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    seal, _, coded = text.partition(b"\n")
    closed = base64.b64decode(coded) if answer.status == 200 else b""
    if not closed or not hmac.compare_digest(seal.decode(), mac(app, domain, closed)):
        return {}, float("inf")
    now, then = (email.utils.parsedate_to_datetime(answer.headers[h]) for h in ("Date", "Last-Modified"))
    return json.loads(cipher(app, closed, "-d")), (now - then).total_seconds()


def gather(app: App, domain: str, mine: dict, dead: set) -> tuple:
    """The best that any router holds, and for each that answers whether it is busy and how long ago it ran."""
    best, seen = mine, {}
    for router in app.routers:
        if router == app.me or router in dead:
            continue
        try:
            theirs, age = ask(app, router, domain)
        except OSError:
            dead.add(router)
            continue
        seen[router] = (theirs.pop("busy", False), age)
        if theirs and (dates(theirs["pem"])[1], theirs["pem"]) > (dates(best["pem"])[1], best["pem"]):
            best = {**theirs, "failures": [], "said": ""}
        elif theirs and theirs["failures"] and theirs["failures"][-1] > max(best["failures"], default=0):
            best = {**best, "failures": theirs["failures"], "said": theirs["said"]}
    return best, seen


def settle(app: App, domain: str, by_timer: bool, dead: set) -> dict:
    """What this router is to hold now, ordered by itself only if those before it do not see to it."""
    began, first = time.monotonic(), list(app.routers)[: app.rank]
    while True:
        state, seen = gather(app, domain, held(app, domain), dead)
        leaders, elapsed = [seen[router] for router in first if router in seen], time.monotonic() - began
        if not is_due(app, state["pem"], DAY * app.rank if leaders else 0):
            return state
        if not leaders or (by_timer and state["pem"]):
            break
        has_run = any(age < elapsed and not busy for busy, age in leaders)
        if by_timer or has_run or elapsed > (PATIENCE if any(busy for busy, _ in leaders) else IDLE):
            return state
        time.sleep(2)
    if not may_ask(state["failures"], by_timer):
        return state
    show(app, domain, {**state, "busy": True})
    return ordered(app, domain, state)


def may_ask(failures: list, by_timer: bool) -> bool:
    """No storm: a timer waits twice as long after each failure; a person may try a few times an hour."""
    now = time.time()
    if by_timer:
        return not failures or now - failures[-1] >= min(DAY, HOUR * 2 ** (len(failures) - 1))
    return sum(now - failure < HOUR for failure in failures) < MOST_AN_HOUR


def ordered(app: App, domain: str, state: dict) -> dict:
    """A new certificate, or why there is none."""
    print(f"       asking {app.directory} for a certificate for {domain}", flush=True)
    done = subprocess.run((ORDER, app.name, domain), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode == 0:
        return {"pem": done.stdout.decode(), "failures": [], "said": ""}
    said = done.stderr.decode(errors="replace").strip() or f"{ORDER} ended with status {done.returncode}"
    return {**state, "failures": [*state["failures"], int(time.time())][-10:], "said": said}


def keep(app: App, domain: str, state: dict) -> bool:
    """Lay down what is held; whether nginx has anything to take in."""
    log = {"failures": state["failures"], "said": state["said"]}
    write(app.file(domain, "json"), json.dumps(log).encode())
    show(app, domain, state)
    files = {"pem": state["pem"], "conf": app.domains[domain]} if state["pem"] else {}
    rows = [(app.file(domain, kind), text) for kind, text in files.items()]
    changed = [(path, text) for path, text in rows if not path.exists() or path.read_text() != text]
    for path, text in changed:
        write(path, text.encode())
    return bool(changed)


def take(app: App, domains: list) -> None:
    """Have nginx serve them; what it refuses is taken away again, so that it starts at the next boot."""
    if not domains:
        return
    checked = subprocess.run(("nginx", "-t", "-q"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if checked.returncode:
        for domain in domains:
            app.file(domain, "conf").unlink()
        print(f" !     nginx refuses {', '.join(domains)}:\n{checked.stdout.decode()}", file=sys.stderr)
        sys.exit(50)
    run("systemctl", "reload-or-restart", "nginx")


def tell(domain: str, state: dict, changed: bool) -> None:
    ends = time.strftime("%Y-%m-%d", time.gmtime(dates(state["pem"])[1])) if state["pem"] else ""
    if changed:
        print(f"       {domain} has a certificate until {ends}")
    if state["said"]:
        left = f"the one that is there lasts until {ends}" if ends else "it is served without TLS until then"
        print(f" !     no certificate for {domain}: {state['said']}")
        print(
            f" !     {left}; see that http://{domain}/ leads to these routers from everywhere: deploy apply"
        )


def certify(name: str, *flags: str) -> None:
    """One run at a time for each app."""
    os.umask(0o022)
    app, dead, changed = App(name), set(), []
    app.shown.mkdir(parents=True, exist_ok=True)
    with open(app.shown / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for domain in app.domains:
            state = settle(app, domain, bool(flags), dead)
            changed += [domain] if keep(app, domain, state) else []
            tell(domain, state, domain in changed)
        take(app, changed)


if __name__ == "__main__":
    if not re.fullmatch("[a-z][a-z0-9-]*( --timer)?", " ".join(sys.argv[1:])):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    try:
        certify(*sys.argv[1:])
    except (OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        print(f" !     {error}", file=sys.stderr)
        sys.exit(51)
