"""What the benchmarks share: the app folder, whole commands in turn, medians, and programs on a host."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import paramiko

from deployer.remote.known import known_hosts
from deployer.spec.fleet import Fleet

HERE = Path(__file__).parent
DEPLOY = str(Path(sys.executable).with_name("deploy"))


def arguments(says: str, runs: int) -> argparse.Namespace:
    """`folder` (an app that is deployed) and `runs` (how many of each; the median counts)."""
    parser = argparse.ArgumentParser(description=says)
    parser.add_argument("-C", dest="folder", type=Path, default=Path(), help="the folder of a deployed app")
    parser.add_argument("-n", dest="runs", type=int, default=runs, help="runs of each, in turn")
    return parser.parse_args()


def in_turn(programs: Mapping[str, tuple[str, ...]], runs: int) -> dict[str, tuple[float, str]]:
    """Median seconds of each whole command and the last thing it printed.

    They take turns, so that a busy moment of the machine meets all of them; the first round only warms up.
    """
    seen: dict[str, list[tuple[float, str]]] = {name: [] for name in programs}
    for turn in range(runs + 1):
        for name, argv in programs.items():
            found = timed(argv)
            if turn:
                seen[name].append(found)
    return {name: (statistics.median(s for s, _ in rows), _median_word(rows)) for name, rows in seen.items()}


def timed(argv: tuple[str, ...]) -> tuple[float, str]:
    """Seconds of one whole command, and the last line of what it printed."""
    began = time.perf_counter()
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    took = time.perf_counter() - began
    if done.returncode:
        sys.exit(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stderr}")
    return took, done.stdout.strip().rpartition("\n")[2]


def _median_word(rows: Iterable[tuple[float, str]]) -> str:
    words = [word for _, word in rows]
    try:
        return str(statistics.median(float(word) for word in words))
    except ValueError:
        return words[-1]


def places(fleet: Fleet) -> list[dict[str, Any]]:
    """How to reach each host, as plain words for a program of its own."""
    keys = str(known_hosts(fleet.known_hosts))
    return [
        {
            "name": h.name,
            "address": h.address,
            "port": h.port,
            "user": h.user,
            "key": h.key,
            "known_hosts": keys,
        }
        for h in fleet.hosts
    ]


def client(place: Mapping[str, Any]) -> paramiko.SSHClient:
    """A connection to a host with its pinned key. Raises SSHException for another key."""
    found = paramiko.SSHClient()
    found.load_host_keys(place["known_hosts"])
    found.set_missing_host_key_policy(paramiko.RejectPolicy())
    found.connect(
        place["address"], place["port"], place["user"], key_filename=place["key"], allow_agent=False
    )
    return found


def on_host(place: Mapping[str, Any], script: str, request: Mapping[str, Any]) -> Any:
    """What `on_host/<script>` prints as JSON, run on the host as it would be in a file there."""
    with client(place) as link:
        stdin, stdout, stderr = link.exec_command(f"python3 - '{json.dumps(request)}'")
        stdin.write((HERE / "on_host" / script).read_text())
        stdin.channel.shutdown_write()
        output, errors = stdout.read().decode(), stderr.read().decode()
        if stdout.channel.recv_exit_status():
            sys.exit(f"{place['name']}: {errors}")
        return json.loads(output)
