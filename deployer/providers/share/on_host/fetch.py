#!/usr/bin/env python3
"""Take over a stack image or a slug from the host that made it.

usage:  fetch ADDRESS PORT ITEM [UID [INTO]]        key (64 hex digits) on stdin
        ITEM: stacks/<name>.<digest>.run, or apps/<app>/slugs/<digest> with the UID that its files belong to here;
        INTO: its name here, if that is another one
result: /var/lib/deployer/ITEM, complete under this name or not there at all
exit:   0 there; 2 wrong usage; 30 the other host does not answer; 31 it refuses the key; 32 it has no such item;
        33 what came is not what was sent; 34 this host failed (disk full…)
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import hmac
import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

HOME = Path("/var/lib/deployer")
ITEM = re.compile(r"stacks/[a-z0-9][a-z0-9.-]*\.(run|build)|apps/[a-z0-9-]+/slugs/[0-9a-f]+")
PATIENCE = 30
"""Seconds without a byte from the other host, after which it counts as gone."""
REFUSALS = {403: (31, "refuses the key"), 404: (32, "has no such item"), 507: (32, "could not pack")}


class Failed(Exception):
    """The exit status and what to tell."""


def derived(key: str, use: str) -> str:
    """A key of its own for each use, 64 hex digits; the same as in `share`."""
    return hmac.new(bytes.fromhex(key), use.encode(), hashlib.sha256).hexdigest()


def mac(key: str, path: str, packed: BinaryIO | None = None) -> str:
    """The HMAC of a request, or of the bytes that answer it; the same as in `share`."""
    made = hmac.new(
        derived(key, "mac" if packed else "request").encode(), path.encode() + b"\n", hashlib.sha256
    )
    for part in iter(lambda: packed.read(1 << 20), b"") if packed else ():
        made.update(part)
    return made.hexdigest()


def attempt(server: tuple, path: str, key: str, file: BinaryIO, seal: str) -> tuple:
    """Go on downloading at the end of `file`: the MAC that was announced, and whether all of it is here."""
    connection = http.client.HTTPConnection(*server, timeout=PATIENCE)
    start = file.seek(0, os.SEEK_END)
    connection.request("GET", path, headers={"Authorization": mac(key, path), "Range": f"bytes={start}-"})
    answer = connection.getresponse()
    if answer.status in REFUSALS:
        raise Failed(REFUSALS[answer.status][0], f"{server[0]} {REFUSALS[answer.status][1]}: {path}")
    announced = answer.headers.get("X-Mac", "")
    if not announced:
        raise http.client.HTTPException(f"status {answer.status}")
    if seal not in ("", announced):
        file.truncate(0)
        return "", False
    length = int(answer.headers["Content-Length"])
    shutil.copyfileobj(answer, file, 1 << 20)
    return announced, file.tell() - start == length


def download(server: tuple, path: str, key: str, file: BinaryIO) -> str:
    """All of it, however often the line breaks; gives up when nothing has come for a while."""
    seal, done, size, heard, trouble = "", False, 0, time.monotonic(), ""
    while not done:
        try:
            seal, done = attempt(server, path, key, file, seal)
        except (OSError, http.client.HTTPException) as error:
            if getattr(error, "errno", 0) == errno.ENOSPC:
                raise
            trouble = str(error)
        if file.seek(0, os.SEEK_END) > size:
            size, heard = file.tell(), time.monotonic()
        elif not done and time.monotonic() - heard > PATIENCE:
            raise Failed(30, f"{server[0]} port {server[1]} does not answer: {trouble}")
        elif not done:
            time.sleep(0.2)
    return seal


def unpack(file: BinaryIO, key: str, partial: Path, user: int) -> None:
    """Lay the item out; a slug with the rights of its app alone, so that all of it belongs to the app."""
    os.chown(partial, user, user)
    secret, feed = os.pipe()
    os.write(feed, derived(key, "cipher").encode() + b"\n")
    os.close(feed)
    file.seek(0)
    cipher = ("openssl", "enc", "-d", "-aes-256-ctr", "-pbkdf2", "-iter", "1", "-pass", f"fd:{secret}")
    opened = subprocess.Popen(cipher, stdin=file, stdout=subprocess.PIPE, pass_fds=(secret,))
    os.close(secret)
    with opened.stdout:
        large = subprocess.Popen(("zstd", "-q", "-d", "-c"), stdin=opened.stdout, stdout=subprocess.PIPE)
    with large.stdout:
        complaint = lay_out(large.stdout, partial, user)
    if any([large.wait(), opened.wait(), complaint]):
        raise Failed(34, f"{partial.name} could not be unpacked: {complaint}")


def lay_out(archive: BinaryIO, partial: Path, user: int) -> str:
    """Unpack a tar into `partial` as `user`; what tar complained of first, if anything."""
    rights = ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--pdeathsig=KILL")
    layout = (*rights, "tar", "--warning=no-timestamp", "--numeric-owner", "-p", "-x")
    # it keeps the lock: should this run be killed, the next one waits until nobody writes here any more
    tar = subprocess.Popen(layout, cwd=partial, stdin=archive, stderr=subprocess.PIPE, close_fds=False)
    try:
        complaint = tar.stderr.readline().decode(errors="replace").strip()
        return complaint or (f"tar ended with {tar.wait()}" if tar.wait() else "")
    finally:
        # on a full disk tar would go on, with a line for every file
        tar.kill()
        tar.wait()


def settle(partial: Path, final: Path) -> None:
    """Give the item its name, once it is on the disk; what is not the app's own belongs to root."""
    for path in (partial, partial / ".slug.json", partial / ".build.log"):
        if path.exists():
            os.chown(path, 0, 0)
    partial.chmod(0o755)
    os.sync()
    partial.rename(final)


def fetch(server: tuple, item: str, into: str, user: int, key: str) -> None:
    """Download to a file without a name, prove it, lay it out, rename."""
    final = HOME / into
    partial = final.with_name(final.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    if final.exists():
        return print(f"       {into} is there")
    partial.mkdir(parents=True)
    try:
        with tempfile.TemporaryFile(dir=HOME) as file:
            seal = download(server, f"/{item}", key, file)
            file.seek(0)
            if not hmac.compare_digest(seal, mac(key, f"/{item}", file)):
                raise Failed(33, f"what came from {server[0]} is not what was sent: {item}")
            print(f"       {item}: {file.tell() / (1 << 20):.1f} MB")
            unpack(file, key, partial, user)
        settle(partial, final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def stopped(number: int, frame: object) -> None:
    """A signal ends the run in order: what is not whole is removed."""
    raise SystemExit(128 + number)


def main(address: str, port: str, item: str, user: str = "0", into: str = "") -> None:
    """One item at a time on this host."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stopped)
    os.umask(0o022)
    if not all(map(ITEM.fullmatch, (item, into or item))):
        raise ValueError(item)
    key = sys.stdin.read().strip()
    HOME.mkdir(parents=True, exist_ok=True)
    with open(HOME / ".fetch.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.set_inheritable(lock.fileno(), True)
        fetch((address, int(port)), item, into or item, int(user), key)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (TypeError, ValueError):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    except Failed as failed:
        print(f" !     {failed.args[1]}", file=sys.stderr)
        sys.exit(failed.args[0])
    except (OSError, subprocess.SubprocessError) as error:
        print(f" !     {error}", file=sys.stderr)
        sys.exit(34)
