#!/usr/bin/env python3
"""Watch dynos after the routers were switched to them: that they stay up, accept, and answer their health path.

usage:  dyno-watch SECONDS KEY...    with 0 it looks once
exit:   0 all did; 1 at once when one did not: standard error says which and why
A dyno looked at once a second may miss one look, not two in a row. Its end counts at once.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

BIN, DYNOS, RUN = Path("/var/lib/deployer/bin"), Path("/var/lib/deployer/dynos"), Path("/run/deployer/dynos")
SHOW = ("systemctl", "show", "--property=ActiveState,MainPID,InvocationID")
# the same questions as of a dyno that starts
ASK = '. "$0/dyno.sh"; accepts || exit 3; is_healthy || { echo "$said"; exit 4; }'
DEAF, UNWELL = 3, 4


def unit(key: str) -> str:
    """What stays the same as long as a dyno lives."""
    return subprocess.check_output((*SHOW, f"deployer.dyno@{key}"), text=True)


def settings(key: str) -> dict[str, str]:
    """The lines of its dyno.env."""
    lines = (DYNOS / key / "dyno.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def trouble(given: dict[str, str]) -> str:
    """Why a web dyno does not serve, or nothing."""
    if given["PORT"] == "0":
        return ""
    asked = subprocess.run(
        ("sh", "-c", ASK, BIN), env={**os.environ, **given}, stdout=subprocess.PIPE, text=True
    )
    if asked.returncode == DEAF:
        return f"no longer accepts on port {given['PORT']}"
    if asked.returncode == UNWELL:
        right = f"GET {given['HEALTH']} with {given.get('HEALTH_STATUS', '200')}"
        return f"no longer answers {right}: {asked.stdout.strip()}"
    return f"could not be asked: status {asked.returncode}" if asked.returncode else ""


def ending(key: str, began: float) -> str:
    """How it ended. dyno-end writes that down, once the last lines have reached the logplex."""
    record = RUN / f"{key}.crashes"
    for _ in range(20):
        seen = json.loads(record.read_text()) if record.exists() else {"last": 0}
        if seen["last"] >= int(began):
            return f"ended with status {seen['status']}"
        time.sleep(0.1)
    return "ended"


def watch(key: str, seconds: float) -> str:
    """Why this dyno did not stand the time, or nothing."""
    began, alive, failures = time.time(), unit(key), 0
    given = {**settings(key), "KEY": key}
    name, end = f"{given['TYPE']}.{given['N']}", time.monotonic() + seconds
    if (RUN / f"{key}.crashes").exists():
        return f"{name} {ending(key, 0)} before it was watched"
    while True:
        if "ActiveState=active\n" not in alive or unit(key) != alive:
            after = time.time() - began
            return f"{name} {ending(key, began)} {after:.0f} s after the switch"
        why = trouble(given)
        failures = failures + 1 if why else 0
        if failures == 2:
            return f"{name} {why}"
        if not why and time.monotonic() >= end:
            return ""
        time.sleep(1 if why else min(1.0, max(0.0, end - time.monotonic())))


def report(answers: queue.Queue[str], key: str, seconds: float) -> None:
    """Watch one dyno; what goes wrong with that is trouble as well."""
    try:
        answers.put(watch(key, seconds))
    except (OSError, KeyError, ValueError, subprocess.CalledProcessError) as error:
        answers.put(f"{key} could not be watched: {error!r}")


def main(seconds: str, *keys: str) -> int:
    """Watch all at once; the first trouble ends it."""
    answers: queue.Queue[str] = queue.Queue()
    for key in keys:
        threading.Thread(target=report, args=(answers, key, float(seconds)), daemon=True).start()
    for _ in keys:
        why = answers.get()
        if why:
            print(why, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
