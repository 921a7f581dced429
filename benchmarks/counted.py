"""One deploy command, run here, with everything counted that its SSH connections carry.

Arguments: those of `deploy`. The last line printed is {"<address>": {"channels": n, "sent": bytes, "received": bytes}}.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from typing import Any

import deployer.remote.connect  # noqa: F401  (gevent patches before paramiko is loaded)
from deployer.cli.app import app

import paramiko  # isort: skip
from paramiko.packet import Packetizer  # isort: skip

counts: dict[str, dict[str, int]] = defaultdict(lambda: {"channels": 0, "sent": 0, "received": 0})


def watch() -> None:
    """paramiko's own three doors, each with a counter before it."""
    write, read, channel = Packetizer.write_all, Packetizer.read_all, paramiko.Transport.open_channel

    def write_all(self: Any, out: bytes) -> Any:
        _of(self.__dict__["_Packetizer__socket"])["sent"] += len(out)
        return write(self, out)

    def read_all(self: Any, n: int, check_rekey: bool = False) -> Any:
        found = read(self, n, check_rekey)
        _of(self.__dict__["_Packetizer__socket"])["received"] += len(found)
        return found

    def open_channel(self: Any, *given: Any, **named: Any) -> Any:
        _of(self.sock)["channels"] += 1
        return channel(self, *given, **named)

    Packetizer.write_all, Packetizer.read_all = write_all, read_all  # type: ignore[method-assign]
    paramiko.Transport.open_channel = open_channel  # type: ignore[method-assign]


def _of(link: Any) -> dict[str, int]:
    if link not in names:
        names[link] = link.getpeername()[0]
    return counts[names[link]]


names: dict[Any, str] = {}


if __name__ == "__main__":
    watch()
    app(sys.argv[1:], standalone_mode=False)
    print("\n" + json.dumps(counts))
