"""One watcher for all that holds at any time, under every fault of the campaign: it looks up to ten times a second.

It reads files of the practice hosts through their init processes, past sshd and network, so no fault blinds it and
nothing is started for it on a host.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import here
from at_any_time import Floor, Look, OneHolder, Proven

from deployer.lab import container

PAUSE = 0.1
"""Seconds between two looks."""
SERVER = re.compile(r"^\s*server ([\d.]+):\d+ .*# (\S+)$", re.MULTILINE)


class Judge(Protocol):
    def judge(self, look: Look) -> Iterator[str]: ...


class Sight:
    """What is seen of one app on the fleet of this process."""

    def __init__(self, app: str) -> None:
        self.app = app
        self.hosts = {here.at(host): host for host in here.HOSTS}
        self.roots: dict[str, Path] = {}
        self.asked = 0.0

    def look(self) -> Look:
        """What a host had that went off meanwhile is left out, and a router whose file changed: it may be newer than the rest."""
        on = self._on()
        before = self._named(on)
        up = {host: self._up(host) for host in on}
        locks = {host: holder for host in on if (holder := self._holder(host))}
        after = self._named(on)
        left = [host for host in on if self._is_on(host)]
        return Look(
            time.monotonic(),
            {router: names for router, names in after.items() if router in left and before[router] == names},
            {host: up[host] for host in left},
            {host: locks[host] for host in left if host in locks},
        )

    def _on(self) -> list[str]:
        """The hosts that run. LXC is asked for those that did not, once a second: a look shall cost next to nothing."""
        off = [host for host in here.HOSTS if not self._is_on(host)]
        if off and time.monotonic() - self.asked > 1:
            for host in off:
                self.roots[host] = Path(f"/proc/{container.state(here.ground(), host)[1]}/root")
            self.asked = time.monotonic()
        return [host for host in here.HOSTS if self._is_on(host)]

    def _is_on(self, host: str) -> bool:
        """Another process may have the number of its init by now, so the folder must be the host's."""
        try:
            return host in self.roots and self.roots[host].samefile(here.ground().rootfs(host))
        except OSError:
            return False

    def _read(self, host: str, path: str) -> str:
        """Empty where there is no such file, or no such host any more."""
        try:
            return (self.roots[host] / path).read_text()
        except OSError:
            return ""

    def _named(self, on: list[str]) -> dict[str, frozenset[str]]:
        site = f"etc/nginx/conf.d/deployer.{self.app}.conf"
        found = {router: SERVER.findall(self._read(router, site)) for router in here.ROUTERS if router in on}
        return {
            router: frozenset(f"{self.hosts.get(address, address)}/{key}" for address, key in servers)
            for router, servers in found.items()
        }

    def _up(self, host: str) -> frozenset[str]:
        """By the marks that the scripts of a dyno leave."""
        try:
            marks = list((self.roots[host] / "run/deployer/dynos").glob(f"{self.app}.web.*/up"))
            return frozenset(f"{host}/{mark.parent.name}" for mark in marks if not _ends(mark.parent))
        except OSError:  # the host goes at this moment
            return frozenset()

    def _holder(self, host: str) -> str:
        """As lock.py reads it; half a record, while it is written, is nobody's."""
        try:
            record = json.loads(self._read(host, "run/deployer/lock") or "{}")
        except ValueError:
            return ""
        is_held = record.get("until", 0) > time.clock_gettime(time.CLOCK_BOOTTIME)
        return str(record["id"]) if is_held else ""


def _ends(dyno: Path) -> bool:
    return (dyno / "stopping").exists() or (dyno / "status").exists()


@dataclass
class Watcher:
    """`floor` may be asked for another number; what is found broken is told when the watch ends."""

    sight: Sight
    floor: Floor
    broken: list[str] = field(default_factory=list)
    looks: int = 0
    longest: float = 0.0
    """Seconds between two looks, at most."""
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        judges: tuple[Judge, ...] = (Proven(), self.floor, OneHolder())
        last = time.monotonic()
        while not self.ended.is_set():
            look = self.sight.look()
            self.broken += [f"{look.at:.1f}: {word}" for judge in judges for word in judge.judge(look)]
            self.looks += 1
            self.longest, last = max(self.longest, look.at - last), look.at
            self.ended.wait(PAUSE)


@contextmanager
def watching(app: str, floor: int) -> Iterator[Watcher]:
    """Looks on while the block runs: afterwards nothing may have been broken at any time."""
    watcher = Watcher(Sight(app), Floor(floor, frozenset(here.HOSTS)))
    wrong: list[Exception] = []

    def work() -> None:
        try:
            watcher.run()
        except Exception as error:  # told below: a watcher that died has watched nothing
            wrong.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield watcher
    finally:
        watcher.ended.set()
        thread.join()
    if wrong:
        raise wrong[0]
    print(f"{watcher.looks} looks at what holds at any time, at most {watcher.longest:.1f} s apart")
    assert watcher.looks, "the watcher saw nothing"
    assert watcher.broken == [], f"{len(watcher.broken)} times: {watcher.broken[:5]}"
