#!/usr/bin/env python3
"""The meter of a host: tells the fleet how its dynos are, and their apps what they use.

usage:  serve.py ADDRESS PORT
GET /dynos    `<key> <state>` a line, for each dyno of each app
GET /metrics  Prometheus' text format 0.0.4
HTTP by hand: the standard library's server would cost each host 4 MB more.
"""

from __future__ import annotations

import os
import socketserver
import sys
import threading
from typing import Callable, Dict, Iterator, Tuple

import collect
import dynos
import logplex
import prometheus
import say

METHODS = ("GET", "HEAD")
HEAD = "HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: {}\r\n\r\n"
PLAIN = "text/plain; charset=utf-8"
LONGEST_LINE, MOST_LINES = 8192, 100
SECONDS = 30
"""That a connection may be silent."""
SERVICES = dynos.system_slice()
COUNTERS: logplex.Counters = {}


def of_dynos() -> str:
    return "".join(f"{key} {state}\n" for key, state in sorted(dynos.states(SERVICES).items()))


PATHS: Dict[str, Tuple[str, Callable[[], str]]] = {
    "/dynos": (PLAIN, of_dynos),
    "/metrics": (prometheus.CONTENT_TYPE, lambda: collect.everything(SERVICES, COUNTERS)),
}


class Connection(socketserver.StreamRequestHandler):
    """Requests of one client, one after another."""

    timeout = SECONDS

    def handle(self) -> None:
        try:
            while self.answer():
                pass
        except OSError:
            # the client went, or has nothing to ask for
            return

    def answer(self) -> bool:
        """Whether the connection stays."""
        words = self.rfile.readline(LONGEST_LINE).decode("latin-1").split()
        if len(words) != 3:
            return False
        method, target, version = words
        wishes = [line.lower() for line in self.headers()]
        stays = version == "HTTP/1.1" and method in METHODS and b"connection: close\r\n" not in wishes
        status, kind, body = content(method, target.partition("?")[0])
        head = HEAD.format(status, kind, len(body.encode()), "keep-alive" if stays else "close")
        self.wfile.write((head + (body if method != "HEAD" else "")).encode())
        return stays

    def headers(self) -> Iterator[bytes]:
        """Up to the empty line, or as many as anybody sends."""
        for _ in range(MOST_LINES):
            line = self.rfile.readline(LONGEST_LINE)
            if line in (b"\r\n", b"\n", b""):
                return
            yield line


def content(method: str, path: str) -> Tuple[str, str, str]:
    """Status, type and body."""
    if method not in METHODS:
        return "405 Method Not Allowed", PLAIN, f"ask with {' or '.join(METHODS)}\n"
    if path not in PATHS:
        return "404 Not Found", PLAIN, f"there are {' and '.join(PATHS)}\n"
    kind, tell = PATHS[path]
    return "200 OK", kind, tell()


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


def give_up(trouble: threading.ExceptHookArgs) -> None:
    """A meter that only half works is no use: systemd starts another."""
    sys.excepthook(trouble.exc_type, trouble.exc_value, trouble.exc_traceback)
    os._exit(1)


def main(address: str, port: str) -> None:
    threading.excepthook = give_up
    threading.stack_size(1 << 18)
    # nobody else tells us what rsyslogd counts
    os.umask(0o077)
    with Server((address, int(port)), Connection) as server:
        threading.Thread(target=logplex.listen, args=(COUNTERS,), daemon=True).start()
        threading.Thread(target=say.watch, args=(SERVICES,), daemon=True).start()
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
