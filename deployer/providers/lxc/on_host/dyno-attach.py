#!/usr/bin/env python3
"""Run a command in a one-off dyno of an app's current release, attached to whoever calls (Heroku contract 3.11).

usage:  dyno-attach APP MEMORY PIDS                     whether it could: 0; 66 the app has no release here;
                                                        75 this host has no room for it: try another
        dyno-attach APP MEMORY PIDS [tty] [LIMIT] -- COMMAND
                                                        with tty, standard input is a terminal; exits as the command
        memory, and the limit past which it is ended (or memory is that), are in MB
A first word that is a process type stands for the command of that type.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import random
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

HOME, DYNOS = Path("/var/lib/deployer"), Path("/var/lib/deployer/dynos")
RUN, ONCE = Path("/run/deployer/once"), "/var/lib/deployer/bin/dyno-once"
NO_RELEASE, NO_ROOM = 66, 75
KEPT_BACK = 4
"""Addresses at the end of the network for builds and tasks."""
AT_ONCE = 200


def current(app: str) -> dict:
    """The highest release that succeeded and whose slug is here."""
    records = (json.loads(path.read_text()) for path in (HOME / "apps" / app).glob("releases/*/release.json"))
    done = [r for r in records if r["outcome"] == "succeeded" and slug(app, r).is_dir()]
    return max(done, key=lambda r: r["number"], default={})


def slug(app: str, release: dict) -> Path:
    """Where the code of a release lies."""
    return HOME / "apps" / app / "slugs" / release["slug"]


def has_room(memory: int) -> bool:
    """Whether so many MB are nobody's yet; one-off dynos that run count too."""
    total = next(int(row.split()[1]) for row in Path("/proc/meminfo").open() if row.startswith("MemTotal:"))
    dynos = [json.loads(path.read_text())["memory"] for path in DYNOS.glob("*/dyno.json")]
    rows = [path.read_text().splitlines() for path in RUN.glob("*/dyno.env")]
    once = [int(row.partition("=")[2]) for lines in rows for row in lines if row.startswith("MEMORY=")]
    return total // 1024 - sum(dynos) - sum(once) >= memory


def address(network: ipaddress.IPv4Network) -> str:
    """One that no other one-off dyno has: its lock is held by this process, and by what it becomes."""
    RUN.mkdir(parents=True, exist_ok=True)
    for n in random.sample(range(AT_ONCE), AT_ONCE):
        found = str(network[-KEPT_BACK - n])
        lock = os.open(str(RUN / f"{found}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        os.set_inheritable(lock, True)
        return found
    raise SystemExit(NO_ROOM)


def network() -> ipaddress.IPv4Network:
    """The dynos' own, as the host's bridge has it."""
    shown = subprocess.check_output(("ip", "-j", "-4", "address", "show", "dev", "deployer0"))
    found = json.loads(shown)[0]["addr_info"][0]
    return ipaddress.ip_network(f"{found['local']}/{found['prefixlen']}", strict=False)


def command(words: list, processes: dict, is_tty: bool) -> str:
    """Of one word and of several, as a shell takes them; under a terminal of the dyno's own where there is one."""
    text = words[0] if len(words) == 1 else shlex.join(words)
    first, _, rest = text.partition(" ")
    text = f"{processes[first]} {rest}".strip() if first in processes else text
    return f"exec script -qefc {shlex.quote(text)} /dev/null" if is_tty else text


def spec(app: str, release: dict, size: dict, words: list, is_tty: bool) -> dict:
    """What dyno-once reads; `size` has memory, limit and pids."""
    folder = HOME / "apps" / app
    number = random.randrange(1000, 10000)
    return {
        "name": f"{app}.run.{number}",
        "base": json.loads((folder / "app.json").read_text())["base"],
        "lower": [str(slug(app, release)), str(HOME / "stacks" / f"{release['stack']}.run")],
        "address": address(network()),
        **size,
        "command": command(words, release["processes"], is_tty),
        "env": {"HEROKU_DYNO_ID": f"{app}.run.{number}", "TERM": os.environ.get("TERM", "dumb")},
        "env_file": str(folder / f"releases/v{release['number']}/env"),
        "log": "events",
        "attached": True,
        "tty": is_tty,
    }


def main(app: str, memory: str, pids: str, *rest: str) -> int:
    release = current(app)
    if not release:
        print(f"{app} has no release on this host", file=sys.stderr)
        return NO_RELEASE
    if not has_room(int(memory)):
        print(f"no room for {memory} MB", file=sys.stderr)
        return NO_ROOM
    if not rest:
        return 0
    flags, words = rest[: rest.index("--")], list(rest[rest.index("--") + 1 :])
    limit = next((int(flag) for flag in flags if flag.isdigit()), int(memory))
    size = {"memory": int(memory), "limit": limit, "pids": int(pids)}
    wanted = spec(app, release, size, words, "tty" in flags)
    with tempfile.NamedTemporaryFile("w", dir=str(RUN), suffix=".json", delete=False) as file:
        json.dump(wanted, file)
    os.execv(ONCE, (ONCE, file.name))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
