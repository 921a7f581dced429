"""One look at a fleet: one connection and one exec per host, all hosts at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deployer.problems import DeployerError, Problem, Where
from deployer.remote import channel
from deployer.world.facts import Facts, Probe, fresh, read

if TYPE_CHECKING:
    from deployer.remote.connect import Links


LONGEST = 2000
"""Characters that are shown of what a host says in place of its facts."""


@dataclass(frozen=True)
class Look:
    """Facts by host, and the hosts that could not be looked at."""

    facts: Mapping[str, Facts]
    lost: Mapping[str, Problem]


def observe(links: Links, probe: Probe) -> Look:
    """What `probe` asks for, of every connected host."""
    request = json.dumps(probe.as_dict()).encode()
    seen = links.each(lambda name: _look(links, name, request))
    facts = {name: found for name, found in seen.items() if isinstance(found, Facts)}
    lost = {name: _problem(links, name, found) for name, found in seen.items() if name not in facts}
    return Look(facts, {**links.lost, **lost})


def _look(links: Links, name: str, request: bytes) -> Facts | Problem:
    line = channel.python_line(links.hosts[name].user)
    ended = channel.execute(links.client(name), line, (channel.script("probe.py"), request))
    if ended.status == channel.NO_PYTHON:
        return fresh(name)
    if ended.status == channel.NO_SUDO:
        return _asks(links, name)
    return _read(links, name, ended)


def _read(links: Links, name: str, ended: channel.Ended) -> Facts | Problem:
    try:
        return read(name, json.loads(ended.output))
    except (ValueError, TypeError, LookupError, AttributeError, DeployerError) as error:
        said = (ended.errors + ended.output).decode("utf-8", "replace").strip()[-LONGEST:]
        user = links.hosts[name].user
        hint = f"look at what the shell of {user} does there (~/.bashrc, the forced command of a key)"
        status = f"exit status {ended.status}"
        return Problem(
            f"{name} could not be looked at ({status})", _where(links, name), said or str(error), hint
        )


def _asks(links: Links, name: str) -> Problem:
    user = links.hosts[name].user
    return Problem(
        f"sudo asks {user} for a password on {name}",
        _where(links, name),
        "no command can answer it in a pipeline",
        f"on the host: echo '{user} ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/deployer",
    )


def _problem(links: Links, name: str, found: object) -> Problem:
    if isinstance(found, Problem):
        return found
    hint = "check the machine and its network, then run the command again"
    return Problem(f"the connection to {name} broke", _where(links, name), str(found), hint)


def _where(links: Links, name: str) -> Where:
    return Where(f"{name}/{links.hosts[name].address}")
