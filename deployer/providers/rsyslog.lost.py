#!/usr/bin/env python3
"""log-lost [STATE]: reads "COUNT SIZE QUEUE" lines of rsyslog's statistics and says each loss in every app's log.

COUNT lines of a queue were dropped since rsyslogd began, SIZE wait in its memory. A loss is told once its queue has
room again: before, the line that tells it would be lost as well (Heroku contract 4.3, L10). What is not told yet
is kept in STATE. When rsyslogd ends while the disk part of a queue is full, what waits in memory is lost with it.
"""

import glob
import json
import os
import subprocess
import sys
import time

STATE = "/var/lib/deployer/spool/lost.json"
ROOM = 5000
"""Of the 10,000 lines that a queue holds in memory."""
FULL = 7000


def tell(text):
    for folder in sorted(glob.glob("/var/lib/deployer/apps/*/app.json")):
        tag = "%s/heroku/logplex" % folder.split("/")[-2]
        subprocess.run(
            ["logger", "-u", "/run/deployer/log", "-p", "local5.warning", "-t", tag, "--", text], check=False
        )


def read(path):
    try:
        with open(path) as f:
            return json.load(f)
    except (FileNotFoundError, ValueError):
        return {}


def write(path, queues):
    with open(path + ".new", "w") as f:
        json.dump(queues, f)
    os.replace(path + ".new", path)


def taken_over(queues, process):
    """What an rsyslogd that ended left: its counts are over, and so are lines that its full disk part took no more."""
    for queue in queues.values():
        if queue["process"] != process:
            if queue["grows"] and queue["size"] >= FULL:
                queue["since"] = queue["since"] if queue["lost"] else queue["seen"]
                queue["lost"] += queue["size"]
            queue.update(process=process, count=0, size=0, grows=False)
    return queues


def look(queue, count, size):
    """Counts what was dropped since the last look; the text to tell, once there is room for it."""
    new = count - queue["count"]
    if new and not queue["lost"]:
        queue["since"] = queue["seen"]
    queue.update(count=count, size=size, grows=new > 0 or (queue["grows"] and size >= FULL), seen=now())
    queue["lost"] += new
    if not queue["lost"] or size > ROOM:
        return ""
    lost, queue["lost"] = queue["lost"], 0
    return "Error L10 (output buffer overflow): %d messages dropped since %s." % (lost, queue["since"])


def main(path=STATE):
    process = os.getppid()
    queues = taken_over(read(path), process)
    for line in sys.stdin:
        count, size, name = line.strip().split(" ", 2)
        fresh = {
            "process": process,
            "count": 0,
            "size": 0,
            "grows": False,
            "lost": 0,
            "since": "",
            "seen": now(),
        }
        queue = queues.setdefault(name, fresh)
        before = dict(queue)
        text = look(queue, int(count), int(size))
        if text:
            tell(text)
        if any(queue[key] != before[key] for key in ("count", "lost", "grows")) or queue["size"] >= FULL:
            write(path, queues)


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


if __name__ == "__main__":
    main(*sys.argv[1:])
