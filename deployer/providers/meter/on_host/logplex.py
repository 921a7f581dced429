"""What the host's rsyslogds count of themselves (impstats). They send it here over a socket, every 30 s or so."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from typing import Any, Dict, Iterator, Mapping, Tuple

from prometheus import Families, family, merged

SOCKET = "/run/deployer/meter"
LARGEST = 1 << 16
FORGOTTEN = 300
"""Seconds after which a counter that is no longer told is no longer shown."""
Counters = Dict[Tuple[str, str], Tuple[float, Dict[str, Any]]]
"""Daemon (log, logplex) and the name of what is counted, to when it was told and what."""

Row = Tuple[Dict[str, str], int]


def listen(counters: Counters) -> None:
    """For ever: keep the latest of each."""
    if os.path.exists(SOCKET):
        os.unlink(SOCKET)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox:
        inbox.bind(SOCKET)
        while True:
            take(inbox.recv(LARGEST), counters, time.monotonic())


def take(datagram: bytes, counters: Counters, now: float) -> None:
    """`log {"name": …, "origin": …, …}`."""
    daemon, _, text = datagram.decode("utf-8", "replace").strip("\0\n ").partition(" ")
    try:
        told = json.loads(text)
        counters[daemon, told["name"]] = (now, told)
    except (ValueError, KeyError, TypeError):
        print(f"not what rsyslogd counts: {datagram[:200]!r}", file=sys.stderr)
    for key in [key for key, (when, _) in counters.items() if now - when > FORGOTTEN]:
        del counters[key]


def families(counters: Counters) -> Families:
    """Lines in, out and lost, and what waits in queues."""
    told = {key: document for key, (_, document) in sorted(counters.items())}
    lost = [
        *column(told, "core.queue", "discarded.full", "queue"),
        *column(told, "core.queue", "discarded.nf", "queue"),
    ]
    return merged(
        [
            family(
                "deployer_logplex_lines_in_total", "counter", "Lines taken in.",
                [*column(told, "imuxsock", "submitted", "input"), *column(told, "imrelp", "submitted", "input")],
            ),
            family(
                "deployer_logplex_lines_out_total", "counter", "Lines handed to a logplex host, file or drain.",
                column(told, "core.action", "processed", "output"),
            ),
            family(
                "deployer_logplex_lines_failed_total", "counter", "Attempts to hand a line on that failed.",
                column(told, "core.action", "failed", "output"),
            ),
            family(
                "deployer_logplex_lines_lost_total", "counter", "Lines dropped because a queue was full.",
                summed(lost),
            ),
            family(
                "deployer_logplex_queue_lines", "gauge", "Lines that wait in a queue.",
                column(told, "core.queue", "size", "queue"),
            ),
        ]
    )  # fmt: skip


def column(
    told: Mapping[Tuple[str, str], Dict[str, Any]], origin: str, field: str, label: str
) -> Iterator[Row]:
    """One counter of everything of one kind."""
    for (daemon, name), document in told.items():
        is_named = not name.startswith("action-")
        if document.get("origin") == origin and field in document and is_named:
            yield {"daemon": daemon, label: name}, int(document[field])


def summed(rows: Any) -> Iterator[Row]:
    """One row for each set of labels."""
    sums: Dict[Tuple[Tuple[str, str], ...], int] = {}
    for labels, value in rows:
        key = tuple(labels.items())
        sums[key] = sums.get(key, 0) + value
    for key, value in sums.items():
        yield dict(key), value
