"""The first step on a host that has nothing: python3, so that it can be looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from deployer.model.events import Event
from deployer.problems import DeployerError, Problem, Where
from deployer.remote import channel
from deployer.world.facts import Facts

if TYPE_CHECKING:
    from deployer.remote.connect import Links

_INSTALL = (
    "export DEBIAN_FRONTEND=noninteractive; {as_root} apt-get -q update &&"
    " {as_root} apt-get -q -y install --no-install-recommends python3"
)
SILENCE = 600.0
"""Seconds without a word from apt-get: unpacking takes its time."""


def bootstrap(links: Links, facts: Mapping[str, Facts], tell: Callable[[Event], None]) -> None:
    """Install python3 where it is missing. Raises DeployerError naming every host where that failed."""
    bare = {name for name, seen in facts.items() if not seen.python}
    for name in sorted(bare):
        tell(Event("start", host=name, say="install python3"))
    done = links.each(lambda name: _install(links, name) if name in bare else None)
    if problems := [p for p in done.values() if p]:
        raise DeployerError(problems)


def _install(links: Links, name: str) -> Problem | None:
    as_root = "" if links.hosts[name].user == "root" else "sudo -n"
    ended = channel.execute(links.client(name), _INSTALL.replace("{as_root}", as_root), (), silence=SILENCE)
    if ended.status == 0:
        return None
    said = "\n".join((ended.output + ended.errors).decode("utf-8", "replace").splitlines()[-8:])
    where = Where(f"{name}/{links.hosts[name].address}")
    return Problem(
        f"{name}: could not install python3", where, said, "install python3 there, then run this again"
    )
