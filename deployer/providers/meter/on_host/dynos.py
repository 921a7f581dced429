"""The dynos of this host: which there are, the state of each, and what it uses. Reads files, starts no process."""

from __future__ import annotations

import os
from typing import Dict, List, NamedTuple, Optional

HOMES, ONCE = "/var/lib/deployer/dynos", "/run/deployer/once"
RUN = "/run/deployer/dynos"
GROUPS = "/sys/fs/cgroup"
MB = 1 << 20


class Dyno(NamedTuple):
    """`settings` are the lines of its dyno.env; `group` is its unit's place in the trees of cgroups."""

    key: str
    settings: Dict[str, str]
    group: str
    is_once: bool

    @property
    def quota(self) -> int:
        """Bytes that it was promised."""
        return int(self.settings["MEMORY"]) * MB

    @property
    def limit(self) -> int:
        """Bytes at which the kernel ends it."""
        return int(self.settings.get("LIMIT", self.settings["MEMORY"])) * MB


class Memory(NamedTuple):
    """Bytes, and pages since the start where the kernel counts them (cgroup v1 only)."""

    rss: int
    cache: int
    swap: int
    droppable: int
    """The part of the cache that the kernel takes back as soon as somebody needs room."""
    pages_in: Optional[int] = None
    pages_out: Optional[int] = None

    @property
    def total(self) -> int:
        return self.rss + self.cache + self.swap

    @property
    def needed(self) -> int:
        """What counts against the quota: a file that was read once is no reason to warn of anything."""
        return self.total - self.droppable


def is_unified() -> bool:
    """Whether this host has version 2 of cgroups."""
    return os.path.exists(f"{GROUPS}/cgroup.controllers")


def system_slice() -> str:
    """Where systemd keeps services: that of this process is one."""
    for line in read("/proc/self/cgroup").splitlines():
        _, kind, path = line.split(":", 2)
        if kind in ("", "name=systemd"):
            return os.path.dirname(path).rstrip("/")
    return "/system.slice"


def read(path: str) -> str:
    """What a file holds; nothing where it is gone, as all of a dyno may be at any moment."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def names(folder: str) -> List[str]:
    """The folders in one, which may not be there yet; beside those of one-offs lie locks."""
    entries = os.scandir(folder) if os.path.isdir(folder) else ()
    return sorted(entry.name for entry in entries if entry.is_dir())


def groups(services: str) -> Dict[str, str]:
    """Each dyno's key, and the place of its unit: those of the formation, then one-offs."""
    found = {
        key: f"{services}/system-deployer.dyno.slice/deployer.dyno@{key}.service" for key in names(HOMES)
    }
    return {**found, **{key: f"{services}/deployer.once.{key}.service" for key in names(ONCE)}}


def states(services: str) -> Dict[str, str]:
    """The state of each dyno: starting, up, crashed or stopped."""
    once = set(names(ONCE))
    return {key: state(key, group, key in once) for key, group in groups(services).items()}


def state(key: str, group: str, is_once: bool) -> str:
    """From the marks that the dyno-* scripts leave, and from the kernel, which knows of an end first."""
    run = f"{RUN}/{key}"
    ended = "stopped" if is_once else "crashed"
    if os.path.exists(f"{run}/stopping"):
        return "stopped"
    if not os.path.exists(f"{run}/began"):
        if os.path.exists(f"{run}.crashes"):
            return "crashed"
        return "starting" if os.path.isdir(tree() + group) else "stopped"
    if os.path.exists(f"{run}/status"):
        return ended
    if not os.path.exists(f"{run}/up"):
        return "starting"
    return "up" if processes(group) else ended


def tree() -> str:
    """Where the processes of all units are."""
    return GROUPS if is_unified() else f"{GROUPS}/systemd"


def payload(group: str) -> str:
    """Where the processes of a dyno are, without those of its scripts (see find_cgroup in dyno.sh)."""
    return f"{tree()}{group}/{'payload' if is_unified() else 'dyno/payload'}"


def processes(group: str) -> List[str]:
    return read(f"{payload(group)}/cgroup.procs").split()


def threads(group: str) -> List[str]:
    return read(f"{payload(group)}/{'cgroup.threads' if is_unified() else 'tasks'}").split()


def all_dynos(services: str) -> List[Dyno]:
    """Every dyno with its settings; one that is being made or removed has none, and is left out."""
    once = set(names(ONCE))
    found = []
    for key, group in groups(services).items():
        home = f"{ONCE if key in once else HOMES}/{key}"
        lines = read(f"{home}/dyno.env").splitlines()
        settings = dict(line.split("=", 1) for line in lines if "=" in line)
        if settings.keys() >= {"APP", "TYPE", "N", "MEMORY"}:
            found.append(Dyno(key, settings, group, key in once))
    return found


def memory(dyno: Dyno) -> Optional[Memory]:
    """What it holds now, or None when it does not run."""
    folder = payload(dyno.group) if is_unified() else f"{GROUPS}/memory{dyno.group}/dyno"
    rows = (line.split() for line in read(f"{folder}/memory.stat").splitlines())
    stat = {row[0]: int(row[1]) for row in rows if len(row) == 2}
    if not stat:
        return None
    if not is_unified():
        file = stat["total_active_file"] + stat["total_inactive_file"]
        figures = (stat["total_rss"], stat["total_cache"], stat.get("total_swap", 0), file)
        return Memory(*figures, stat["total_pgpgin"], stat["total_pgpgout"])
    swap = int(read(f"{folder}/memory.swap.current") or 0)
    return Memory(stat["anon"], stat["file"], swap, stat["active_file"] + stat["inactive_file"])


def restarts(dyno: Dyno) -> int:
    """How often it came back after a crash since somebody started it."""
    found = read(f"{RUN}/{dyno.key}.crashes").partition('"restarts": ')[2]
    return int(found.partition(",")[0] or 0)
