"""The ends of what hosts keep: the latest log lines of one process, the last part of a long file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deployer.model.steps import Sh, Stage, Step, Text
from deployer.remote import channel
from deployer.remote.orders import orders
from deployer.remote.session import TAIL
from deployer.world.logs import Query

if TYPE_CHECKING:
    from deployer.remote.connect import Links


def last_lines(links: Links, hosts: Iterable[str], app: str, process: str, count: int) -> list[str]:
    """From the first logplex host that has some; none where no host answers."""
    argv = (TAIL, *Query(app, count, process=process).argv())
    asked = set(hosts)
    found = links.each(lambda name: _run(links, name, argv)[1] if name in asked else [])
    return next((lines for lines in found.values() if isinstance(lines, list) and lines), [])


@dataclass(frozen=True)
class End:
    """The last lines of a file, and how many bytes of it come before them."""

    lines: list[str]
    before: int


def end_of(links: Links, path: str, size: int) -> End | None:
    """At most the last `size` bytes of a file, from the first host that has it; None where none has."""
    found = links.each(lambda name: _end(links, name, path, size))
    return next((end for end in found.values() if isinstance(end, End)), None)


def _end(links: Links, name: str, path: str, size: int) -> End | None:
    status, told = _run(links, name, ("stat", "-c", "%s", path), ("tail", "-c", str(size), path))
    return None if status else End(told[1:], max(0, int(told[0]) - size))


def _run(links: Links, name: str, *argvs: tuple[str, ...]) -> tuple[int, list[str]]:
    """The exit status of commands that only read, run one after another, and the lines that they print."""
    steps = [Step(Stage.PREPARE, "read", Sh(argv, timeout=20)) for argv in argvs]
    body = b"".join(orders(steps, Text(""), "", alone=False))
    line = channel.python_line(links.hosts[name].user)
    ended = channel.execute(links.client(name), line, (channel.script("runner.py"), body))
    return ended.status, said(ended.output)


def said(output: bytes) -> list[str]:
    """The lines of the step itself among what the runner says."""
    events = (json.loads(row) for row in output.splitlines())
    return [event[2] for event in events if event[1] == "line"]
