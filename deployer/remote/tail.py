"""The latest log lines of one process, for whoever asks why it failed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING

from deployer.logs import Query
from deployer.model import Sh, Stage, Step, Text
from deployer.remote import channel
from deployer.remote.orders import orders
from deployer.remote.session import TAIL

if TYPE_CHECKING:
    from deployer.remote.connect import Links


def last_lines(links: Links, hosts: Iterable[str], app: str, process: str, count: int) -> list[str]:
    """From the first logplex host that has some; none where no host answers."""
    act = Sh((TAIL, *Query(app, count, process=process).argv()), timeout=20)
    body = b"".join(orders((Step(Stage.PREPARE, "read the log", act),), Text(""), "", alone=False))
    found = links.each(lambda name: _lines(links, name, body) if name in set(hosts) else [])
    return next((lines for lines in found.values() if isinstance(lines, list) and lines), [])


def _lines(links: Links, name: str, body: bytes) -> list[str]:
    line = channel.python_line(links.hosts[name].user)
    ended = channel.execute(links.client(name), line, (channel.script("runner.py"), body))
    return said(ended.output)


def said(output: bytes) -> list[str]:
    """The lines of the step itself among what the runner says."""
    events = (json.loads(row) for row in output.splitlines())
    return [event[2] for event in events if event[1] == "line"]
