"""Clients that take their time: a slow upload, a long answer and an open websocket, all at once through each router."""

from __future__ import annotations

import base64
import http.client
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from campaign import Done
from here import routers
from load import Load, steady

ANSWER_SECONDS = 20
UPLOAD_SECONDS = 15
GRACE = 3
"""Seconds that the app of the campaign keeps a websocket after SIGTERM."""
PIECE = 64 * 1024
PIECES = 30
TEXT, CLOSE = 0x1, 0x8


def long_answer(router: str) -> str:
    """20 bytes, one a second."""
    link = http.client.HTTPConnection(router, timeout=30)
    try:
        link.request("GET", f"/slow?seconds={ANSWER_SECONDS}")
        answer = link.getresponse()
        body = answer.read()
    finally:
        link.close()
    assert (answer.status, body) == (200, b"." * ANSWER_SECONDS), (answer.status, body)
    return f"a long answer of {ANSWER_SECONDS} s"


def slow_upload(router: str) -> str:
    """Two MB in 15 s; the dyno says how many bytes came."""

    def pieces() -> Iterator[bytes]:
        for _ in range(PIECES):
            yield os.urandom(PIECE)
            time.sleep(UPLOAD_SECONDS / PIECES)

    link = http.client.HTTPConnection(router, timeout=30)
    try:
        link.request("POST", "/upload", body=pieces(), headers={"Content-Length": str(PIECE * PIECES)})
        answer = link.getresponse()
        body = answer.read().decode().strip()
    finally:
        link.close()
    assert (answer.status, body) == (200, str(PIECE * PIECES)), (answer.status, body)
    return f"an upload of {PIECE * PIECES} bytes in {UPLOAD_SECONDS} s"


class Socket:
    """A websocket that says something four times a second, and hears it again."""

    def __init__(self, router: str) -> None:
        self.link = socket.create_connection((router, 80), timeout=10)
        key = base64.b64encode(os.urandom(16)).decode()
        ask = f"GET /ws HTTP/1.1\r\nHost: {router}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.link.sendall(f"{ask}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode())
        self.file = self.link.makefile("rb")
        head = list(iter(self.file.readline, b"\r\n"))
        assert head and b" 101 " in head[0], head
        self.closed_at: float | None = None
        self.echoes = 0

    def talk(self, ended: threading.Event) -> None:
        try:
            while not ended.is_set():
                if not self.echo(f"echo {self.echoes}".encode()):
                    self.closed_at = time.monotonic()
                    return
                ended.wait(0.25)
        except OSError:
            self.closed_at = time.monotonic()
        finally:
            self.link.close()

    def echo(self, words: bytes) -> bool:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(words))
        self.link.sendall(struct.pack("!BB", 0x80 | TEXT, 0x80 | len(words)) + mask + masked)
        head = self.file.read(2)
        if len(head) < 2 or head[0] & 0xF == CLOSE:
            return False
        assert self.file.read(head[1]) == words
        self.echoes += 1
        return True


@dataclass
class Traffic:
    """All clients at work; `results` is what each said at its end, and `failures` what went wrong."""

    load: Load
    sockets: list[Socket]
    results: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def work(self, job: Callable[[str], str], router: str) -> None:
        try:
            self.results.append(f"{job(router)} through {router}")
        except (OSError, http.client.HTTPException, AssertionError) as error:
            self.failures.append(f"{job.__name__} through {router}: {error!r}")

    def sockets_lived(self, runs: Iterable[Done], drain: float) -> str:
        """Demands that a websocket that closed had the drain and its app's grace after the switch."""
        routed = [moment for done in runs for moment in done.stage("ROUTE")]
        words = []
        for one in self.sockets:
            if one.closed_at is None:
                words.append("open to the end")
                continue
            turned = max((moment for moment in routed if moment < one.closed_at), default=self.began)
            lived = one.closed_at - turned
            assert lived >= drain + GRACE, f"a websocket had {lived:.1f} s after the switch, drain is {drain}"
            words.append(f"open {lived:.1f} s after the switch")
        return ", ".join(words)


@contextmanager
def traffic() -> Iterator[Traffic]:
    """Load and slow clients through all routers; the block ends when each client has its answer."""
    ended = threading.Event()
    with steady() as load:
        traffic = Traffic(load, [Socket(router) for router in routers()])
        jobs = [
            threading.Thread(target=traffic.work, args=(job, router))
            for job in (long_answer, slow_upload)
            for router in routers()
        ]
        talkers = [threading.Thread(target=one.talk, args=(ended,)) for one in traffic.sockets]
        for thread in (*jobs, *talkers):
            thread.start()
        time.sleep(0.5)
        try:
            yield traffic
        finally:
            for thread in jobs:
                thread.join()
            ended.set()
            for thread in talkers:
                thread.join()
    assert traffic.failures == [], traffic.failures
    assert all(one.echoes for one in traffic.sockets)
