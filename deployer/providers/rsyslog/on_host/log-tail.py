#!/usr/bin/env python3
"""log-tail APP COUNT SOURCE PROCESS SINCE FROM: the latest lines of an app, then new ones as they come.

COUNT    how many at most, or "all"
SOURCE   app or heroku; PROCESS: a name (web.1) or a type (web); both may be empty
SINCE    a time as the lines have it, or -SECONDS from now, or empty
FROM     "end": that is all; "now": go on with new lines; "INODE:OFFSET": only go on, from that place
Whoever goes on gets lines that begin with NUL as well: the place that was read to, after each batch and every 3 s.
"""

import collections
import os
import re
import sys
import time

BLOCK = 1 << 18
PAUSE, ALIVE = 0.1, 3.0
"""Seconds between two looks, and after which silence is broken."""
LINE = re.compile(rb"^(\S+) (app|heroku)\[([^\]]+)\]:")
Wanted = collections.namedtuple("Wanted", "source process since")


def stamp(since):
    """The first moment that counts, as bytes that sort like the stamps of the lines."""
    if since.startswith("-"):
        seconds, micros = divmod(int((time.time() + float(since)) * 1000000), 1000000)
        since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ".%06d+00:00" % micros
    return since.encode()


def is_wanted(line, want):
    found = LINE.match(line)
    if not found:
        return want == (b"", b"", b"")
    at, source, process = found.groups()
    right = at >= want.since and want.source in (b"", source)
    return right and (want.process in (b"", process) or process.startswith(want.process + b"."))


def backwards(f, end):
    """The whole lines of a file before `end`, the last one first."""
    rest = b""
    while end:
        start = max(0, end - BLOCK)
        f.seek(start)
        first, *lines = (f.read(end - start) + rest).split(b"\n")
        yield from reversed([line for line in lines if line])
        rest, end = first + b"\n", start
    if rest.strip():
        yield rest[:-1]


def whole(f):
    """Where the last whole line of a file ends."""
    end = f.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - BLOCK)
        f.seek(start)
        found = f.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def latest(parts, count, want):
    """From the newest part to the oldest; lines come as late as a host was cut off, so all of them are looked at."""
    limit = None if count == "all" else int(count)
    kept = []
    for f, end in parts:
        for line in backwards(f, end):
            if limit is not None and len(kept) >= limit:
                return kept[::-1]
            if is_wanted(line, want):
                kept.append(line)
    return kept[::-1]


def opened(path):
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return None


def inode(f):
    return os.fstat(f.fileno()).st_ino


def both(path):
    """The current file and the older one; right after a rotation they would be the same."""
    files = [f for f in (opened(path), opened(path + ".1")) if f]
    return files[:1] if len(files) == 2 and inode(files[0]) == inode(files[1]) else files


def start(path, place):
    """The file to go on with, at its place. Where that is gone, from the beginning of what there is."""
    number, _, offset = place.partition(":")
    files = both(path)
    f = next((f for f in files if str(inode(f)) == number), files[-1] if files else None)
    if f and str(inode(f)) == number:
        f.seek(int(offset))
    return f


def follow(path, f, want):
    """New lines for ever; a rotated file is read to its end before the next one is opened."""
    half, told = b"", 0.0
    while True:
        is_old = f is not None and has_moved(f, path)
        block = f.read(BLOCK) if f else b""
        *lines, half = (half + block).split(b"\n")
        found = [line for line in lines if is_wanted(line, want)]
        if found or time.monotonic() > told + ALIVE:
            place = "%d:%d" % (inode(f), f.tell() - len(half)) if f else "0:0"
            show([*found, b"\0" + place.encode()])
            told = time.monotonic()
        if not block:
            if f is None or is_old:
                f, half = after(path, f), b""
            time.sleep(PAUSE)


def has_moved(f, path):
    try:
        return inode(f) != os.stat(path).st_ino
    except FileNotFoundError:
        return False


def after(path, f):
    """The file that came after this one: the older one of the two, where both are new."""
    files = both(path)
    older = [other for other in files[1:] if f and inode(other) != inode(f)]
    return next(iter([*older, *files]), f)


def show(lines):
    sys.stdout.buffer.write(b"".join(line + b"\n" for line in lines))
    sys.stdout.buffer.flush()


def main():
    app, count, source, process, since, place = sys.argv[1:7]
    path = "/var/lib/deployer/logs/%s.log" % app
    want = Wanted(source.encode(), process.encode(), stamp(since))
    if ":" in place:
        return follow(path, start(path, place), want)
    parts = [(f, whole(f)) for f in both(path)]
    show(latest(parts, count, want))
    if place == "now":
        f, end = parts[0] if parts else (None, 0)
        if f:
            f.seek(end)
        follow(path, f, want)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
