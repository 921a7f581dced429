"""The web dyno of the log tests: `POST /say` writes the body to stdout as it is, `GET /count` numbered lines.

`/count?name=n&lines=n&rate=n` answers at once and goes on writing `n 1`, `n 2`, …, so many a second (0: as fast as
it can). `/reach?hosts=a,b` tries the ways to the log that are not an app's. `web.3` never binds, on purpose.
"""

import os
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

BATCH = 500


class Handler(BaseHTTPRequestHandler):
    """One request of a test."""

    def do_GET(self) -> None:  # noqa: N802  (its caller's name)
        url = urlsplit(self.path)
        if url.path == "/count":
            asked = {name: values[0] for name, values in parse_qs(url.query).items()}
            threading.Thread(target=count, kwargs=asked).start()
        self.say(
            reached(url.query.partition("=")[2].split(","))
            if url.path == "/reach"
            else f"{os.environ['DYNO']}\n"
        )

    def do_POST(self) -> None:  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()
        self.say(f"{len(body)}\n")

    def say(self, words: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(words)))
        self.end_headers()
        self.wfile.write(words.encode())

    def log_message(self, *_: object) -> None:
        """The router writes a line for each request already."""


def reached(hosts: list[str]) -> str:
    """What of the way of the lines an app can lay hands on, past its own output."""
    found = [path for path in ("/run/deployer", "/var/lib/deployer") if os.path.exists(path)]
    for host in hosts:
        with socket.socket() as s:
            s.settimeout(1)
            if not s.connect_ex((host, 20514)):
                found.append(f"port of {host}")
    return f"reached: {' '.join(found)}\n"


def count(name: str, lines: str, rate: str = "0", width: str = "80") -> None:
    began, last, per_second = time.monotonic(), int(lines), float(rate)
    number = 0
    while number < last:
        due = int((time.monotonic() - began) * per_second) if per_second else number + BATCH
        upto = min(last, due, number + BATCH)
        rows = (f"{name} {n} at {time.time():.6f} " for n in range(number + 1, upto + 1))
        sys.stdout.buffer.write("".join(row.ljust(int(width), ".") + "\n" for row in rows).encode())
        sys.stdout.buffer.flush()
        number = upto
        if per_second:
            time.sleep(0.01)


def main() -> None:
    if os.environ["DYNO"] == "web.3":
        time.sleep(3600)
    ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()


if __name__ == "__main__":
    main()
