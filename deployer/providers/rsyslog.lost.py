#!/usr/bin/env python3
"""log-lost: reads "COUNT QUEUE" lines of rsyslog's statistics and says each new loss in every app's log.

The counts only grow; what is told is the difference (Heroku contract 4.3, L10).
"""

import datetime
import glob
import subprocess
import sys


def tell(app, lost, since):
    text = "Error L10 (output buffer overflow): %d messages dropped since %s." % (lost, since)
    tag = "%s/heroku/logplex" % app
    subprocess.run(
        ["logger", "-u", "/run/deployer/log", "-p", "local5.warning", "-t", tag, "--", text], check=False
    )


def main():
    known, since = {}, now()
    for line in sys.stdin:
        count, _, queue = line.strip().partition(" ")
        lost = int(count) - known.get(queue, 0)
        known[queue] = int(count)
        if lost > 0:
            for folder in sorted(glob.glob("/var/lib/deployer/apps/*/app.json")):
                tell(folder.split("/")[-2], lost, since)
            since = now()


def now():
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    main()
