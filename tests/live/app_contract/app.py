"""Behaves as its path says: sleeps, breaks off, refuses, dies. Bare sockets, so that it can be as wrong as it likes."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

DYNO = os.environ["DYNO"]
HANG = Path("/app/hang")
"""A dyno that finds this at its start never binds."""
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
hits: dict[str, int] = {}
listening, closed = threading.Event(), threading.Event()


class Request:
    def __init__(self, link: socket.socket) -> None:
        self.link, self.file = link, link.makefile("rb")
        self.method, self.path, _ = self.file.readline().decode("latin-1").split(" ", 2)
        lines = [line.decode("latin-1").rstrip("\r\n") for line in iter(self.file.readline, b"\r\n")]
        self.headers = [line.split(": ", 1) if ": " in line else [line.rstrip(":"), ""] for line in lines]

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")

    def body(self) -> int:
        """How many bytes it has."""
        if self.header("transfer-encoding") == "chunked":
            return self._chunks()
        left = length = int(self.header("content-length") or 0)
        while left:
            left -= len(self.file.read(min(left, 65536)))
        return length

    def _chunks(self) -> int:
        whole = 0
        while size := int(self.file.readline(), 16):
            whole += len(self.file.read(size))
            self.file.readline()
        self.file.readline()
        return whole

    def answer(self, body: bytes, *headers: str, status: str = "200 OK") -> None:
        head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
        self.link.sendall("\r\n".join([*head, "", ""]).encode() + body)

    def begin(self, *headers: str) -> None:
        self.link.sendall("\r\n".join(["HTTP/1.1 200 OK", *headers, "", ""]).encode())

    def chunk(self, text: bytes) -> None:
        self.link.sendall(b"%x\r\n%s\r\n" % (len(text), text))


def echo(request: Request, *words: str) -> None:
    size = request.body()
    found = {"dyno": DYNO, "method": request.method, "path": request.path, "headers": request.headers}
    request.answer(json.dumps(found | {"body": size}).encode())


def sleep(request: Request, seconds: str) -> None:
    request.body()
    time.sleep(float(seconds))
    request.answer(b"slept\n")


def stall(request: Request, seconds: str) -> None:
    """One byte of its answer, then nothing."""
    request.begin("Content-Length: 10")
    request.link.sendall(b"x")
    time.sleep(float(seconds))


def hang_up(request: Request) -> None:
    request.body()


def break_off(request: Request) -> None:
    request.begin("Content-Length: 100000")
    request.link.sendall(b"x" * 1000)
    time.sleep(0.3)


def hang_up_early(request: Request) -> None:
    """It goes away in the midst of a body."""
    request.file.read(1000)


def garbage(request: Request) -> None:
    request.link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nBro\x00ken: yes\r\n\r\nok")


def big_header(request: Request) -> None:
    request.answer(b"", "X-Big: " + "x" * 80000)


def trickle(request: Request, pieces: str) -> None:
    request.begin("Transfer-Encoding: chunked")
    for i in range(int(pieces)):
        request.chunk(b"%d\n" % i)
        time.sleep(0.5)
    request.chunk(b"")


def events(request: Request, pieces: str) -> None:
    request.begin("Content-Type: text/event-stream", "Connection: close")
    for i in range(int(pieces)):
        request.link.sendall(b"data: %d\n\n" % i)
        time.sleep(0.5)


def silent_events(request: Request, seconds: str) -> None:
    request.begin("Content-Type: text/event-stream", "Connection: close")
    request.link.sendall(b"data: 0\n\n")
    time.sleep(float(seconds))


def websocket(request: Request) -> None:
    """Says each frame back, as it came."""
    key = hashlib.sha1(request.header("sec-websocket-key").encode() + GUID).digest()
    accept = f"Sec-WebSocket-Accept: {base64.b64encode(key).decode()}"
    head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", accept]
    request.link.sendall("\r\n".join([*head, "", ""]).encode())
    while text := request.link.recv(65536):
        request.link.sendall(text)


def upload(request: Request) -> None:
    """How many seconds after the head its first and its last byte came."""
    began = time.monotonic()
    first = request.file.read(1)
    waited = time.monotonic() - began
    size = int(request.header("content-length")) - len(first)
    while size:
        size -= len(request.file.read(min(size, 65536)))
    request.answer(json.dumps({"first": waited, "last": time.monotonic() - began}).encode())


def hit(request: Request, name: str, what: str) -> None:
    """Counts that it was asked, then breaks off."""
    hits[name] = hits.get(name, 0) + 1
    if what == "sleep":
        time.sleep(40)


def counted(request: Request, name: str) -> None:
    request.answer(json.dumps({"dyno": DYNO, "hits": hits.get(name, 0)}).encode())


def refuse(request: Request, seconds: str) -> None:
    """Closes its port and opens it again after a while."""
    listening.clear()
    with suppress(ConnectionRefusedError):  # somebody else's connection has woken the listener
        socket.create_connection(("127.0.0.1", int(os.environ["PORT"]))).close()
    closed.wait()
    threading.Timer(float(seconds), listening.set).start()
    request.answer(b"refusing\n")


def leave(request: Request) -> None:
    os._exit(1)


def hello(request: Request) -> None:
    request.body()
    request.answer(DYNO.encode() + b"\n", "Via: 1.1 dyno", "X-Accel-Redirect: /etc/passwd")


PATHS: dict[str, Callable[..., None]] = {
    "echo": echo,
    "sleep": sleep,
    "stall": stall,
    "hang-up": hang_up,
    "hang-up-early": hang_up_early,
    "break-off": break_off,
    "garbage": garbage,
    "big-header": big_header,
    "trickle": trickle,
    "events": events,
    "silent-events": silent_events,
    "websocket": websocket,
    "upload": upload,
    "hit": hit,
    "counted": counted,
    "refuse": refuse,
    "exit": leave,
}


def serve(link: socket.socket) -> None:
    with link:
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            request = Request(link)
            word, *rest = request.path.partition("?")[0].strip("/").split("/")
            PATHS.get(word, hello)(request, *rest)
        except (OSError, ValueError) as error:
            print(f"{type(error).__name__}: {error}", flush=True)


def listen() -> None:
    """Until somebody clears `listening`; what has not been taken then is refused."""
    with socket.create_server(("0.0.0.0", int(os.environ["PORT"])), backlog=128) as server:
        closed.clear()
        while listening.is_set():
            link, _ = server.accept()
            threading.Thread(target=serve, args=(link,), daemon=True).start()
    closed.set()


def main() -> None:
    while HANG.exists():
        time.sleep(0.2)
    listening.set()
    while listening.wait():
        listen()


if __name__ == "__main__":
    main()
