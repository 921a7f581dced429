"""From `deploy apply` to a new release that serves: small apps, cold and with a warm cache, by stage."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import bench_app
from measure import HERE, arguments

EXAMPLES = {"python-uv": ("app.py", "# warm\n"), "node": ("server.js", "// warm\n")}
"""The example, and what is added to which file for the second release."""
STAGES = ("BUILD", "SHIP", "START", "ROUTE")


def main() -> None:
    given = arguments(__doc__, 1)
    for example, (file, line) in EXAMPLES.items():
        with bench_app.folder(given.folder, HERE.parent / "examples" / example) as made:
            cold = _release(made)
            with (made / file).open("a") as source:
                source.write(line)
            warm = _release(made)
        print(f"{example}, from apply to serving: cold {_line(cold)}; warm cache {_line(warm)}")
        print(f"{example}, build with a warm cache: {warm['BUILD'] / cold['BUILD']:.0%} of a cold one")


def _release(made: Path) -> dict[str, float]:
    """Seconds of each stage and until all routers serve it, and KB that left this machine."""
    argv = (sys.executable, str(HERE / "counted.py"), "apply", "-C", str(made), "--yes", "--json")
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stderr}")
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    sent = sum(host["sent"] for host in rows[-1].values()) / 1024
    return {**_seconds(rows), "KB": sent}


def _seconds(rows: list[dict[str, Any]]) -> dict[str, float]:
    marks = [(row["say"], row["elapsed"]) for row in rows if row.get("event") in ("stage", "look")]
    spent = {say: later - at for (say, at), (_, later) in pairwise(marks)}
    served = next(at for say, at in marks if say == "RETIRE" or say.startswith("look"))
    return {stage: spent.get(stage, 0.0) for stage in STAGES} | {"all": served}


def _line(found: dict[str, float]) -> str:
    stages = ", ".join(f"{stage.lower()} {found[stage]:.1f}" for stage in STAGES)
    return f"{found['all']:.1f} s ({stages}), {found['KB']:.0f} KB sent"


if __name__ == "__main__":
    main()
