#!/usr/bin/env python3
"""log-tail APP LINES SOURCE PROCESS FOLLOW: the latest lines of an app, then new ones as they come.

SOURCE and PROCESS may be empty; PROCESS is a name (web.1) or a type (web). FOLLOW is 0 or 1.
"""

import collections
import os
import re
import sys
import time

LINE = re.compile(r"^\S+ (app|heroku)\[([^\]]+)\]:")


def wanted(line, source, process):
    found = LINE.match(line)
    if not found:
        return not source and not process
    right = not source or found.group(1) == source
    return right and (not process or found.group(2) == process or found.group(2).startswith(process + "."))


def lines_of(path):
    try:
        with open(path, encoding="utf-8", errors="replace", newline="\n") as f:
            yield from f
    except FileNotFoundError:
        return


def latest(path, count, source, process):
    kept = collections.deque(maxlen=count)
    for part in (path + ".1", path):
        kept.extend(line for line in lines_of(part) if wanted(line, source, process))
    return kept


def follow(path, source, process):
    """New lines for ever; a rotated file is read to its end before the new one is opened."""
    f, place = None, 0
    while True:
        if f is None and os.path.exists(path):
            f = open(path, encoding="utf-8", errors="replace", newline="\n")  # noqa: SIM115
            f.seek(0, os.SEEK_END if place == 0 else os.SEEK_SET)
        place = 1
        line = f.readline() if f else ""
        if line:
            if wanted(line, source, process):
                show([line])
        elif f and not same(f, path):
            f.close()
            f = None
        else:
            time.sleep(0.2)


def same(f, path):
    try:
        return os.fstat(f.fileno()).st_ino == os.stat(path).st_ino
    except FileNotFoundError:
        return False


def show(lines):
    sys.stdout.buffer.write("".join(lines).encode("utf-8", "replace"))
    sys.stdout.flush()


def main():
    app, count, source, process, following = sys.argv[1:6]
    path = "/var/lib/deployer/logs/%s.log" % app
    show(latest(path, int(count), source, process))
    if following == "1":
        follow(path, source, process)


if __name__ == "__main__":
    main()
