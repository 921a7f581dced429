#!/usr/bin/env python3
"""Give the other hosts of the fleet, for a while, the stack images and slugs that were made on this one.

usage:  share start ADDRESS PORT SECONDS    key (64 hex digits) on stdin; returns when the server is ready
        share stop
        share serve ADDRESS PORT            what the transient unit `deployer.share` runs
GET /stacks/NAME or /apps/APP/slugs/DIGEST, `Authorization: <HMAC of the path>`; `Range: bytes=N-` goes on at N.
The answer is tar | zstd | AES, made once for all receivers, with its HMAC in the header `X-Mac`.
exit:   0; 2 wrong usage; 34 the server could not be started
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.server
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import BinaryIO

HOME, KEY = Path("/var/lib/deployer"), Path("/run/deployer/share.key")
UNIT = "deployer.share.service"
SHARED = re.compile(r"/(stacks/[a-z0-9.-]+\.(run|build)|apps/[a-z0-9-]+/slugs/[0-9a-f]+)")


def derived(key: str, use: str) -> str:
    """A key of its own for each use, 64 hex digits."""
    return hmac.new(bytes.fromhex(key), use.encode(), hashlib.sha256).hexdigest()


def mac(key: str, path: str, packed: BinaryIO | None = None) -> str:
    """The HMAC of a request, or of the bytes that answer it."""
    made = hmac.new(
        derived(key, "mac" if packed else "request").encode(), path.encode() + b"\n", hashlib.sha256
    )
    for part in iter(lambda: packed.read(1 << 20), b"") if packed else ():
        made.update(part)
    return made.hexdigest()


def pack(key: str, folder: Path) -> BinaryIO:
    """The folder as bytes that only who has the key can read, in a file without a name: nothing is left behind."""
    packed = tempfile.TemporaryFile(dir=HOME)
    secret, feed = os.pipe()
    os.write(feed, derived(key, "cipher").encode() + b"\n")
    os.close(feed)
    cipher = ("openssl", "enc", "-aes-256-ctr", "-pbkdf2", "-iter", "1", "-pass", f"fd:{secret}")
    tar = subprocess.Popen(("tar", "--numeric-owner", "-C", str(folder), "-c", "."), stdout=subprocess.PIPE)
    small = subprocess.Popen(("zstd", "-q", "-1", "-T0", "-c"), stdin=tar.stdout, stdout=subprocess.PIPE)
    closed = subprocess.Popen(cipher, stdin=small.stdout, stdout=packed, pass_fds=(secret,))
    os.close(secret)
    if any([closed.wait(), small.wait(), tar.wait()]):
        raise OSError(f"{folder} could not be packed")
    return packed


class Server(http.server.ThreadingHTTPServer):
    """Knows the key and keeps what it has packed."""

    def __init__(self, address: str, port: int, key: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.key, self.packs, self.packing = key, {}, threading.Lock()
        super().__init__((address, port), Handler)

    def packed(self, path: str) -> tuple:
        """The file for a path and its MAC; packed at the first request, the others wait for it."""
        with self.packing:
            if path not in self.packs:
                file = pack(self.key, HOME / path[1:])
                file.seek(0)
                self.packs[path] = (file, mac(self.key, path, file))
            return self.packs[path]


class Handler(http.server.BaseHTTPRequestHandler):
    """One request of one receiver."""

    server: Server

    def do_GET(self) -> None:
        if not hmac.compare_digest(self.headers.get("Authorization", ""), mac(self.server.key, self.path)):
            return self.send_error(403)
        if not SHARED.fullmatch(self.path) or not (HOME / self.path[1:]).is_dir():
            return self.send_error(404)
        try:
            file, seal = self.server.packed(self.path)
        except OSError:
            return self.send_error(507)
        size = os.fstat(file.fileno()).st_size
        start = min(size, int("0" + "".join(re.findall(r"^bytes=(\d+)-$", self.headers.get("Range", "")))))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(size - start))
        self.send_header("X-Mac", seal)
        self.end_headers()
        # a file object of its own: receivers at different places must not move each other's
        with open(f"/proc/self/fd/{file.fileno()}", "rb") as own, contextlib.suppress(ConnectionError):
            own.seek(start)
            shutil.copyfileobj(own, self.wfile, 1 << 20)

    def log_message(self, *words: object) -> None:
        """The apply that asked for it tells what happened."""


def ready() -> None:
    """Tell systemd that requests are taken now."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.connect(os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))
        notify.send(b"READY=1")


def serve(address: str, port: str) -> None:
    """Until systemd ends it; from here on the key is in memory only."""
    key = KEY.read_text().strip()
    KEY.unlink()
    try:
        server = Server(address, int(port), key)
    except OSError:
        # behind a one-to-one NAT the host's address is on none of its interfaces
        server = Server("::" if ":" in address else "", int(port), key)
    ready()
    server.serve_forever()


def start(address: str, port: str, seconds: str) -> None:
    """Serve in a unit of its own that ends by itself, whatever becomes of the apply."""
    stop()
    KEY.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(KEY, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(sys.stdin.read())
    unit = (
        "systemd-run",
        "--quiet",
        "--collect",
        f"--unit={UNIT}",
        "--service-type=notify",
        f"--property=RuntimeMaxSec={int(seconds)}",
        "--property=NoNewPrivileges=yes",
        "--property=ProtectHome=yes",
        "--description=deployer: stack images and slugs for the other hosts",
    )
    subprocess.run((*unit, str(HOME / "bin/share"), "serve", address, port), check=True)


def stop() -> None:
    """End the server, if there is one."""
    subprocess.run(("systemctl", "--quiet", "stop", UNIT), stderr=subprocess.DEVNULL, check=False)
    KEY.unlink(missing_ok=True)


if __name__ == "__main__":
    try:
        {"start": start, "stop": stop, "serve": serve}[sys.argv[1]](*sys.argv[2:])
    except (IndexError, KeyError, TypeError, ValueError):
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f" !     the server for the other hosts did not start: {error}", file=sys.stderr)
        sys.exit(34)
