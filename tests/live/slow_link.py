"""A relay to a host's port 22 that is far away: every block comes late, and now and then one stalls, as if it were sent again."""

from __future__ import annotations

import queue
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

LATE = 0.08
"""Seconds each way."""
STALL = 0.3
STALLED = 0.05
"""The share of blocks that stall."""
BLOCK = 1 << 16


@contextmanager
def relay(address: str, rng: random.Random) -> Iterator[int]:
    """A port of this machine that leads to port 22 of `address` while the block runs."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        threading.Thread(target=_serve, args=(door, address, rng), daemon=True).start()
        yield int(door.getsockname()[1])


def _serve(door: socket.socket, address: str, rng: random.Random) -> None:
    while True:
        try:
            near, _ = door.accept()
        except OSError:  # the block has ended
            return
        try:
            far = socket.create_connection((address, 22), timeout=10)
        except OSError:  # nobody answers there; whoever came is told so
            near.close()
            continue
        far.settimeout(None)
        for source, sink in ((near, far), (far, near)):
            blocks: queue.Queue[tuple[float, bytes]] = queue.Queue()
            threading.Thread(target=_read, args=(source, blocks, rng), daemon=True).start()
            threading.Thread(target=_write, args=(blocks, sink), daemon=True).start()


def _read(source: socket.socket, blocks: queue.Queue[tuple[float, bytes]], rng: random.Random) -> None:
    """Blocks keep their order: one that stalls holds back those behind it."""
    due, data = 0.0, b"first"
    while data:
        try:
            data = source.recv(BLOCK)
        except OSError:  # the other side is gone; the writer is told by an empty block
            data = b""
        late = LATE + (STALL if rng.random() < STALLED else 0.0)
        due = max(due, time.monotonic() + late)
        blocks.put((due, data))


def _write(blocks: queue.Queue[tuple[float, bytes]], sink: socket.socket) -> None:
    while True:
        due, data = blocks.get()
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            if not data:
                sink.shutdown(socket.SHUT_WR)
                return
            sink.sendall(data)
        except OSError:  # nobody is left to hear it
            return
