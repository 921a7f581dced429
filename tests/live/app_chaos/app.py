"""The web dyno of the test campaign, with the standard library alone.

`/` says its dyno, release and word; `/slow?seconds=n` sends a byte a second; `POST /upload` counts bytes; `/ws` echoes;
`/healthz` answers SICK_STATUS, and after SICK_TIMES of that the dyno ends. On SIGTERM it takes no new connection and finishes what it has begun; websockets
stay open for GRACE seconds more. Faults: EAT_MB eats memory before it listens; CRASH (`web.2:1.5`) ends that dyno so
many seconds after its first request through a router.
"""

import base64
import hashlib
import os
import select
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BLOCK = 1 << 16
TEXT, CLOSE = 0x1, 0x8
GRACE = float(os.environ.get("GRACE", "3"))
LONGEST = 28.0
"""Seconds after SIGTERM; the platform kills at 30."""
DYNO = os.environ.get("DYNO", "nowhere")
RELEASE = os.environ.get("HEROKU_RELEASE_VERSION", "v0")
WORD = Path(__file__).with_name("word.txt").read_text().strip()


class Busy:
    """How many requests are under way, when the stop began, and whether a router has come yet."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0
        self.stopped = 0.0
        self.routed = False
        self.sick = 0

    def add(self, n: int) -> None:
        with self.lock:
            self.count += n

    def first_routed(self) -> bool:
        with self.lock:
            before, self.routed = self.routed, True
        return not before


BUSY = Busy()


class Handler(BaseHTTPRequestHandler):
    """One connection of a router, or of a check."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:  # noqa: N802  (its caller's name)
        self.answer()

    def do_POST(self) -> None:  # noqa: N802
        self.answer()

    def answer(self) -> None:
        url = urlsplit(self.path)
        if "deployer" in self.headers.get("Via", "") and BUSY.first_routed():
            crash_later(os.environ.get("CRASH", ""))
        BUSY.add(1)
        try:
            {"/slow": self.slow, "/upload": self.upload, "/ws": self.echo, "/healthz": self.health}.get(
                url.path, self.hello
            )(parse_qs(url.query))
        finally:
            BUSY.add(-1)
            self.close_connection = self.close_connection or bool(BUSY.stopped)

    def hello(self, _query: dict[str, list[str]]) -> None:
        self.say(200, f"{DYNO} {RELEASE} {WORD}\n")

    def health(self, _query: dict[str, list[str]]) -> None:
        status = int(os.environ.get("SICK_STATUS", "200"))
        if status != 200:
            BUSY.sick += 1
            print(f"healthz answers {status} because SICK_STATUS says so", flush=True)
        if BUSY.sick == int(os.environ.get("SICK_TIMES", "-1")):
            os._exit(4)
        self.say(status, f"{status}\n")

    def slow(self, query: dict[str, list[str]]) -> None:
        seconds = min(int(query.get("seconds", ["5"])[0]), 60)
        self.head(200, seconds)
        for _ in range(seconds):
            self.wfile.write(b".")
            time.sleep(1)

    def upload(self, _query: dict[str, list[str]]) -> None:
        size = int(self.headers["Content-Length"])
        left = size
        while left and (block := self.rfile.read1(min(left, BLOCK))):
            left -= len(block)
        self.say(200, f"{size - left}\n")

    def echo(self, _query: dict[str, list[str]]) -> None:
        self.close_connection = True
        key = self.headers["Sec-WebSocket-Key"].encode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key + GUID).digest()).decode())
        self.end_headers()
        self.wfile.flush()
        while not (BUSY.stopped and time.monotonic() > BUSY.stopped + GRACE):
            if select.select([self.connection], [], [], 0.2)[0] and not self.frame():
                return
        self.wfile.write(bytes([0x80 | CLOSE, 2]) + (1001).to_bytes(2, "big"))

    def frame(self) -> bool:
        """Sends one text frame back; False at the end. The campaign's frames are short."""
        head = self.rfile.read(2)
        if len(head) < 2 or head[0] & 0xF == CLOSE:
            return False
        words = unmasked(self.rfile, head[1] & 0x7F)
        self.wfile.write(bytes([0x80 | TEXT, len(words)]) + words)
        return True

    def say(self, status: int, words: str) -> None:
        self.head(status, len(words))
        self.wfile.write(words.encode())

    def head(self, status: int, size: int) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(size))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """The router writes a line for each request already."""


def unmasked(file: BufferedIOBase, size: int) -> bytes:
    mask = file.read(4)
    return bytes(byte ^ mask[i % 4] for i, byte in enumerate(file.read(size)))


def crash_later(wish: str) -> None:
    """`web.2:1.5`: only that dyno, so many seconds from now, without a word to anybody."""
    dyno, _, seconds = wish.partition(":")
    if dyno == DYNO:
        print(f"{DYNO} will crash in {seconds} s because CRASH says so", flush=True)
        threading.Timer(float(seconds), os._exit, (3,)).start()


def eat(megabytes: int) -> list[bytes]:
    """Memory that is really written to, a bit at a time."""
    return [b"x" * (1 << 20) for _ in range(megabytes)]


class Server(ThreadingHTTPServer):
    request_queue_size = 256


def main() -> None:
    kept = eat(int(os.environ.get("EAT_MB", "0")))
    server = Server(("0.0.0.0", int(os.environ["PORT"])), Handler)

    def stop(*_: object) -> None:
        BUSY.stopped = time.monotonic()
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    server.serve_forever(poll_interval=0.05)
    server.socket.close()
    while BUSY.count and time.monotonic() < BUSY.stopped + LONGEST:
        time.sleep(0.05)
    print(f"{DYNO} ends with {BUSY.count} requests under way and {len(kept)} MB", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
