"""What goes over the wire to each host: channels (one exec each) and bytes, of a first apply and an empty plan."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import bench_app
from measure import HERE, arguments, timed


def main() -> None:
    given = arguments(__doc__, 1)
    with bench_app.folder(given.folder) as made:
        first = _counted("apply", made, "--yes")
        again = _counted("apply", made, "--yes")
        plan = _counted("plan", made)
    print(
        f"over the wire, per host: empty plan {plan}; empty apply {again}; first apply of a small app {first}"
    )


def _counted(command: str, made: Path, *flags: str) -> str:
    argv = (sys.executable, str(HERE / "counted.py"), command, "-C", str(made), *flags)
    hosts = json.loads(timed(argv)[1]).values()
    return ", ".join(
        (
            _range([h["channels"] for h in hosts], "execs"),
            _range([h["sent"] / 1024 for h in hosts], "KB out"),
            _range([h["received"] / 1024 for h in hosts], "KB in"),
        )
    )


def _range(values: list[float], unit: str) -> str:
    low, high = round(min(values)), round(max(values))
    return f"{low} {unit}" if low == high else f"{low}-{high} {unit}"


if __name__ == "__main__":
    main()
