"""An empty plan over many hosts: from first connect to last byte against the limit, and how much memory each takes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from empty_plan import work
from measure import DEPLOY, HERE, arguments

from deployer import source


class Ran(NamedTuple):
    """The last line that a program printed, and MB that it had at most."""

    said: str
    megabytes: int


def main() -> None:
    given = arguments(__doc__, 5)
    fleet = source.load(given.folder, None).fleet
    with tempfile.TemporaryDirectory() as folder:
        programs = {
            "look": (sys.executable, str(HERE / "look.py"), str(given.folder)),
            "limit": (sys.executable, str(HERE / "limit.py"), work(Path(folder), fleet)),
            "deploy": (DEPLOY, "plan", "-C", str(given.folder)),
        }
        found = in_turn(programs, given.runs)
    if not found["deploy"][0].said.startswith("No changes."):
        sys.exit(f"the plan is not empty: {found['deploy'][0].said}")
    print(line(found, len(fleet.hosts), given.runs))


def in_turn(programs: Mapping[str, tuple[str, ...]], runs: int) -> dict[str, list[Ran]]:
    """The first round only warms up."""
    rounds = [{name: ran(argv) for name, argv in programs.items()} for _ in range(runs + 1)]
    return {name: [found[name] for found in rounds[1:]] for name in programs}


def ran(argv: tuple[str, ...]) -> Ran:
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as program:
        said = program.stdout.read() if program.stdout else ""
        _, status, used = os.wait4(program.pid, 0)
        program.returncode = os.waitstatus_to_exitcode(status)
    if program.returncode:
        sys.exit(f"{' '.join(argv)}: exit status {program.returncode}")
    return Ran(said.strip().rpartition("\n")[2], used.ru_maxrss // 1024)


def line(found: Mapping[str, list[Ran]], hosts: int, runs: int) -> str:
    ours, least = (statistics.median(float(run.said) for run in found[name]) for name in ("look", "limit"))
    most = {name: max(run.megabytes for run in rows) for name, rows in found.items()}
    return (
        f"empty plan, {hosts} hosts, first connect to last byte: {ours / least:.2f} x the limit"
        f" ({ours:.2f} s / {least:.2f} s); the whole command takes {most['deploy']} MB at most,"
        f" the limit {most['limit']} MB; medians of {runs}"
    )


if __name__ == "__main__":
    main()
