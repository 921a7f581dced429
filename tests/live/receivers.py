"""Receivers of drains that a test can start, stop and ask: TCP with counted octets, and HTTP with or without TLS."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from here import gateway

FRAME = re.compile(
    rb"<(\d+)>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00) (\S+) (app|heroku) (\S+) (- -|-)( [^\n]*)?\n"
)


def frames(data: bytes) -> list[re.Match[bytes]]:
    """The messages of a stream, each as long as it says; what is no such stream fails the test."""
    found, at = [], 0
    while at < len(data):
        length, _, _ = data[at : at + 8].partition(b" ")
        begin = at + len(length) + 1
        message = data[begin : begin + int(length)]
        if len(message) < int(length):
            break
        match = FRAME.fullmatch(message)
        assert match, message
        found.append(match)
        at = begin + int(length)
    return found


class Tcp:
    """Each connection is a stream of its own, for one that broke off may end within a message."""

    def __init__(self, port: int = 0, deaf: bool = False) -> None:
        self.streams: list[bytearray] = []
        self.deaf = deaf
        self.port = port
        self.start()

    def start(self) -> None:
        self.listener = socket.create_server((gateway(), self.port))
        self.port = self.listener.getsockname()[1]
        self.links: list[socket.socket] = []
        self.thread = threading.Thread(target=self._accept, args=(self.listener,), daemon=True)
        self.thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            self.links.append(link)
            if not self.deaf:
                self.streams.append(bytearray())
                threading.Thread(target=self._read, args=(link, self.streams[-1]), daemon=True).start()

    def _read(self, link: socket.socket, stream: bytearray) -> None:
        try:
            while data := link.recv(65536):
                stream += data
        except OSError:
            return

    def stop(self) -> None:
        for end in (self.listener, *self.links):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
            finally:
                end.close()
        self.thread.join(5)

    @property
    def url(self) -> str:
        return f"syslog://{gateway()}:{self.port}"

    def frames(self) -> list[re.Match[bytes]]:
        return [frame for stream in list(self.streams) for frame in frames(bytes(stream))]

    def texts(self, mark: str) -> list[str]:
        return [text for frame in self.frames() if mark in (text := (frame[7] or b"").decode()[1:])]


class Https(ThreadingHTTPServer):
    """`statuses` are what it answers next, 200 after the last; `posts` what it was sent, with what it answered."""

    def __init__(self, chain: str = "") -> None:
        super().__init__((gateway(), 0), Handler)
        self.statuses: list[int] = []
        self.posts: list[tuple[dict[str, str], bytes, int]] = []
        self.turn = threading.Lock()
        if chain:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(chain)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, *_: Any) -> None:
        """A client that leaves is no news."""

    def accepted(self, mark: str) -> list[str]:
        bodies = [body for _, body, status in self.posts if status == 200]
        texts = [(f[7] or b"").decode()[1:] for body in bodies for f in frames(body)]
        return [text for text in texts if mark in text]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Https

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.server.turn:
            status = self.server.statuses.pop(0) if self.server.statuses else 200
            self.server.posts.append(({**self.headers, "path": self.path}, body, status))
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Tests are quiet."""


@contextmanager
def https(chain: str) -> Iterator[Https]:
    server = Https(chain)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
