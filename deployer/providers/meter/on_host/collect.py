"""All that GET /metrics answers: dynos, routers, logplex and the host itself."""

from __future__ import annotations

import glob
import os
import socket
import sys
from typing import Dict, List, Tuple

import dynos
import logplex
from dynos import Dyno, Memory
from prometheus import Families, family, merged, parsed, text

SITES, ROUTER = "/etc/nginx/conf.d/deployer.*.conf", "/run/deployer/metrics._.sock"
COMMON = "/etc/nginx/conf.d/deployer_common_*.conf"
DISK = "/var/lib/deployer"
LARGEST = 64 << 20
STATES = ("starting", "up", "crashed", "stopped")
Labels = Dict[str, str]


def everything(services: str, counters: logplex.Counters) -> str:
    return text(merged([of_dynos(services), of_routers(), logplex.families(dict(counters)), of_host()]))


def labels(dyno: Dyno) -> Labels:
    app, kind, number = (dyno.settings[name] for name in ("APP", "TYPE", "N"))
    release = dyno.key.rpartition(".v")[2] if not dyno.is_once else ""
    return {"app": app, "type": kind, "number": number, "release": release}


def of_dynos(services: str) -> Families:
    """A release shows beside the next while one takes the other's place, so it is a label too."""
    found = [(labels(dyno), dyno, dynos.memory(dyno)) for dyno in dynos.all_dynos(services)]
    rows = [(own, dyno, used) for own, dyno, used in found if used]
    states = dynos.states(services)
    at = [
        ({**own, "state": name}, int(states.get(dyno.key) == name))
        for own, dyno, _ in found
        for name in STATES
    ]
    return merged(
        [
            family("deployer_dyno_state", "gauge", "1 for the state that a dyno is in.", at),
            family(
                "deployer_dyno_restarts_total", "counter", "Times it came back after a crash.",
                [(own, dynos.restarts(dyno)) for own, dyno, _ in found],
            ),
            family(
                "deployer_dyno_memory_quota_bytes", "gauge", "Memory that a dyno was promised.",
                [(own, dyno.quota) for own, dyno, _ in found],
            ),
            family(
                "deployer_dyno_memory_limit_bytes", "gauge", "Memory at which a dyno is ended.",
                [(own, dyno.limit) for own, dyno, _ in found],
            ),
            *(used_bytes(name, rows) for name in ("total", "rss", "cache", "swap", "needed")),
            family(
                "deployer_dyno_threads", "gauge", "Processes and threads of a dyno.",
                [(own, len(dynos.threads(dyno.group))) for own, dyno, _ in rows],
            ),
        ]
    )  # fmt: skip


MEMORY = {
    "total": "Memory that a dyno holds: rss, cache and swap.",
    "rss": "Memory that a dyno's processes wrote to.",
    "cache": "Files of a dyno in memory.",
    "swap": "Memory of a dyno in swap.",
    "needed": "What counts against the quota: all but what the kernel can drop.",
}


def used_bytes(name: str, rows: List[Tuple[Labels, Dyno, Memory]]) -> Families:
    samples = [(own, getattr(used, name)) for own, _, used in rows]
    return family(f"deployer_dyno_memory_{name}_bytes", "gauge", MEMORY[name], samples)


def of_routers() -> Families:
    """What nginx counts for each app; and whether it answered."""
    if not glob.glob(SITES):
        return {}
    found = answer()
    up = family(
        "deployer_router_up", "gauge", "Whether the router tells its counters.", [({}, int(bool(found)))]
    )
    return merged([up, found])


def answer() -> Families:
    """Nothing where nobody answers within a second, or not in this format."""
    try:
        return parsed(fetched())
    except (OSError, ValueError) as error:
        print(f"{ROUTER}: {error}", file=sys.stderr)
        return {}


def newest() -> str:
    """Each version of the deployer that has put apps here has a server of its own for all counters."""
    path = max(glob.glob(COMMON), key=os.path.getmtime)
    return os.path.basename(path).replace("_common_", "_")[: -len(".conf")]


def fetched() -> str:
    """HTTP/1.0, so that the end of the answer is that of the connection."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as router:
        router.settimeout(1)
        router.connect(ROUTER)
        router.sendall(f"GET /metrics HTTP/1.0\r\nHost: {newest()}\r\n\r\n".encode())
        with router.makefile("rb") as file:
            head, _, body = file.read(LARGEST).partition(b"\r\n\r\n")
    status = head.split(b"\r\n")[0].split(b" ")
    if len(status) < 2 or status[1] != b"200":
        raise ValueError(f"it answered {head[:60]!r}")
    return body.decode("utf-8", "replace")


def of_host() -> Families:
    """Load, memory, and the disk that dynos and logs are on."""
    load1, load5, load15 = os.getloadavg()
    rows = (line.split() for line in dynos.read("/proc/meminfo").splitlines())
    memory = {row[0].rstrip(":"): int(row[1]) * 1024 for row in rows}
    disk = os.statvfs(DISK)
    gauges: List[Tuple[str, str, float]] = [
        ("load1", "Load of one minute.", load1),
        ("load5", "Load of five minutes.", load5),
        ("load15", "Load of fifteen minutes.", load15),
        ("processors", "Processors.", os.cpu_count() or 1),
        ("memory_bytes", "Memory of the host.", memory["MemTotal"]),
        ("memory_available_bytes", "Memory that new processes could have.", memory["MemAvailable"]),
        ("disk_bytes", f"Size of the file system under {DISK}.", disk.f_blocks * disk.f_frsize),
        ("disk_free_bytes", "What is free there for services.", disk.f_bavail * disk.f_frsize),
    ]
    return merged(family(f"deployer_host_{n}", "gauge", said, [({}, value)]) for n, said, value in gauges)
