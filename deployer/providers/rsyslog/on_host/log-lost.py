#!/usr/bin/env python3
"""log-lost [STATE]: reads "COUNT SIZE QUEUE" lines of rsyslog's statistics and says each loss in the log of every app
that it may be of: those with drains where the queue is that of drain-send.

Each target has a queue in memory and, named "…[DA]", one on disk. COUNT lines of a queue were dropped since rsyslogd
began, SIZE wait in it. A loss is told once both are empty again: before, the line that tells it would be lost
as well (Heroku contract 4.3, L10). What is not told yet is kept in STATE. An rsyslogd that ends while the disk is full
drops what it has in memory: that is counted by what was there at the last look.
"""

import glob
import json
import os
import subprocess
import sys
import time

STATE = "/var/lib/deployer/spool/lost.json"
APPS, DRAINED = "/var/lib/deployer/apps/*/app.json", "/etc/deployer/rsyslog/drains/*.conf"
EMPTY = 100
"""Lines that wait in any case while lines come."""


def apps(target):
    if target == "drains":
        return [os.path.basename(path)[: -len(".conf")] for path in sorted(glob.glob(DRAINED))]
    return [path.split("/")[-2] for path in sorted(glob.glob(APPS))]


def tell(target, text):
    if target == "drains":
        text += " drain=all"
    for app in apps(target):
        tag = "%s/heroku/logplex" % app
        subprocess.run(
            ["logger", "-u", "/run/deployer/log", "-p", "local5.warning", "-t", tag, "--", text], check=False
        )


def read(path):
    try:
        with open(path) as f:
            return json.load(f)
    except (FileNotFoundError, ValueError):
        return {}


def write(path, targets):
    with open(path + ".new", "w") as f:
        json.dump(targets, f)
    os.replace(path + ".new", path)


def fresh():
    return {"memory": [0, 0], "disk": [0, 0], "full": False, "lost": 0, "since": "", "seen": now()}


def taken_over(targets):
    """What an rsyslogd that ended left: its counts are over, and so is what its full disk took no more."""
    for target in targets.values():
        if target["full"]:
            lose(target, target["memory"][1])
        target.update(memory=[0, 0], disk=[0, 0], full=False)
    return targets


def lose(target, lines):
    if lines and not target["lost"]:
        target["since"] = target["seen"]
    target["lost"] += lines


def look(target, queue, count, size):
    """Counts what was dropped since the last look; the text to tell, once there is room for it."""
    before, waited = target[queue]
    target[queue] = [count, size]
    lose(target, count - before)
    if queue == "disk":
        target["full"] = count > before or (target["full"] and size >= waited > 0)
    target["seen"] = now()
    if not target["lost"] or max(target["memory"][1], target["disk"][1]) > EMPTY:
        return ""
    lost, target["lost"] = target["lost"], 0
    return "Error L10 (output buffer overflow): %d messages dropped since %s." % (lost, target["since"])


def main(path=STATE):
    targets = taken_over(read(path))
    for line in sys.stdin:
        count, size, name = line.strip().split(" ", 2)
        whose = name.split(" ")[0]
        target = targets.setdefault(whose, fresh())
        queue = "disk" if name.endswith("[DA]") else "memory"
        was_calm = not target["lost"] and not target["full"]
        text = look(target, queue, int(count), int(size))
        if text:
            tell(whose, text)
        if target["lost"] or target["full"] or not was_calm:
            write(path, targets)


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


if __name__ == "__main__":
    main(*sys.argv[1:])
