"""Log lines from a dyno to the logplex's file against bare rsyslog forwards; the delay of `logs --tail`; losses."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import bench_app
from measure import DEPLOY, HERE, arguments, on_host, places

from deployer import source
from deployer.engine import sight
from deployer.planning import status

APP = HERE.parent / "tests" / "live" / "app_logs"
LINES, RATE, AWAY = 40_000, 200, 60
"""So few lines that none goes through the disk, and rotation leaves them all."""
LOG, BARE = f"/var/lib/deployer/logs/{bench_app.NAME}.log", "/var/lib/deployer-bench/{}.log"
Place = dict[str, Any]


def main() -> None:
    given = arguments(__doc__, 3)
    with bench_app.folder(given.folder, APP) as made:
        _one_dyno_apart(made)
        bench_app.deploy("apply", made, "--yes")
        dyno, seat, plex = _places(made)
        speeds = _speeds(dyno, seat, plex, given.runs)
        delay = _delay(made, dyno, seat)
        lost = _lost(dyno, seat, plex)
    ours = speeds.pop("ours")
    bare = ", ".join(f"{ours / speed:.0%} of a bare rsyslog forward by {by}" for by, speed in speeds.items())
    print(
        f"log lines a second from a dyno to the logplex's file: {ours:,.0f}, {bare}, medians of {given.runs} times"
        f" {LINES:,} lines; logs --tail: p99 {delay:.2f} s at {RATE} lines a second; logplex host killed for {AWAY} s"
        f" at {RATE} lines a second: {lost} lost"
    )


def _one_dyno_apart(made: Path) -> None:
    """One web dyno, on a host that is no logplex where there is one."""
    document = json.loads((made / "fleet.json").read_text())
    hosts = document["hosts"].values()
    if any("dynos" in host["roles"] and "logplex" not in host["roles"] for host in hosts):
        for host in (host for host in hosts if "logplex" in host["roles"]):
            host["roles"] = [role for role in host["roles"] if role != "dynos"]
    document["formation"] = {"web": {"quantity": 1}}
    (made / "fleet.json").write_text(json.dumps(document))


def _places(made: Path) -> tuple[Place, str, Place]:
    """The host of the web dyno, the file that says where it sits, and a logplex host, another one if there is."""
    spec = source.load(made, None)
    seen = sight.look(spec)
    seen.links.close()
    (dyno,) = status.dynos(spec.fleet.app, seen.facts)
    hosts = {p["name"]: p for p in places(spec.fleet)}
    plexes = sorted((h.name == dyno["host"], h.name) for h in spec.fleet.with_role("logplex"))
    seat = f"/var/lib/deployer/dynos/{bench_app.NAME}.{dyno['dyno']}.{dyno['release']}/dyno.json"
    return hosts[dyno["host"]], seat, hosts[plexes[0][1]]


def _speeds(dyno: Place, seat: str, plex: Place, runs: int) -> dict[str, float]:
    """Lines a second, ours and the bare ones, in turn; the first round only warms up."""
    found: dict[str, list[float]] = {"ours": [], "tcp": [], "relp": []}
    with _bare(dyno, plex):
        for turn in range(runs + 1):
            began = {"name": f"turn{turn}", "lines": LINES}
            ours = began | {"do": "dyno", "place": seat, "rate": 0}
            found["ours"].append(_speed(dyno, plex, ours, LOG))
            for by in ("tcp", "relp"):
                found[by].append(_speed(dyno, plex, began | {"do": "bare", "by": by}, BARE.format(by)))
    return {name: median(speeds[1:]) for name, speeds in found.items()}


@contextmanager
def _bare(dyno: Place, plex: Place) -> Iterator[None]:
    pair = {p["name"]: p for p in (dyno, plex)}
    if len(pair) < 2:
        sys.exit("a bare forward needs two hosts: a logplex host and another one with the role dynos")
    try:
        on_host(plex, "lines.py", {"do": "listen"})
        on_host(dyno, "lines.py", {"do": "forward", "target": plex["address"]})
        yield
    finally:
        for place in pair.values():
            on_host(place, "lines.py", {"do": "end"})


def _speed(dyno: Place, plex: Place, began: dict[str, Any], path: str) -> float:
    wanted = {"do": "await", "path": path, "name": began["name"], "lines": LINES, "seconds": 120}
    with ThreadPoolExecutor() as both:
        ended = both.submit(on_host, plex, "lines.py", wanted)
        start = on_host(dyno, "lines.py", began)
        found = ended.result()
    if found["seen"] < LINES:
        sys.exit(f"{found['seen']} of {LINES} lines arrived in {path}")
    return LINES / float(found["at"] - start)


def _delay(made: Path, dyno: Place, seat: str) -> float:
    """Seconds from the app's own clock to the reader of `logs --tail`; the clocks should agree."""
    argv = (DEPLOY, "logs", "--tail", "-n", "1", "-C", str(made))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as tail:
        out = tail.stdout or sys.exit("logs --tail has no output")
        out.readline()
        began = {"do": "dyno", "place": seat, "name": "delay", "lines": 10 * RATE, "rate": RATE}
        threading.Timer(1, on_host, (dyno, "lines.py", began)).start()
        delays = []
        for line in out:
            words = line.split()
            if words[2:3] == ["delay"]:
                delays.append(time.time() - float(words[5]))
            if words[2:4] == ["delay", str(10 * RATE)]:
                break
        tail.kill()
    return sorted(delays)[int(len(delays) * 0.99)]


def _lost(dyno: Place, seat: str, plex: Place) -> int:
    """How many of the lines that a dyno writes meanwhile never arrive."""
    lines = RATE * (AWAY + 10)
    on_host(dyno, "lines.py", {"do": "dyno", "place": seat, "name": "steady", "lines": lines, "rate": RATE})
    time.sleep(5)
    on_host(plex, "lines.py", {"do": "away"})
    time.sleep(AWAY)
    on_host(plex, "lines.py", {"do": "back"})
    found = on_host(
        plex, "lines.py", {"do": "await", "path": LOG, "name": "steady", "lines": lines, "seconds": 90}
    )
    return lines - int(found["seen"])


if __name__ == "__main__":
    main()
