"""How long it takes to plan a wide fleet, and how much memory: facts in memory, with all that an app can ask for.

The fleet is simulated (tests/wide.py). What its hosts would show is written to a file first; each plan is then made
by a process of its own, as `deploy plan` does it, with the text and the JSON of the plan.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import certs
import wide
from fleets import Fleet, fleet

from deployer.engine import decision
from deployer.engine.sight import Sight, departing
from deployer.engine.sight import probe as look_for
from deployer.spec.platform import Certificate
from deployer.spec.spec import Spec
from deployer.views.json import document
from deployer.views.plan import plan as told
from deployer.world import facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--dynos", type=int, default=10_000)
    parser.add_argument("--plan", help=argparse.SUPPRESS)
    given = parser.parse_args()
    decision.now = certs.NOW.isoformat
    if given.plan:
        print(json.dumps(planned(given.hosts, given.dynos, Path(given.plan))))
    else:
        print(compared(given.hosts, given.dynos))


def compared(hosts: int, dynos: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        shown = {"first": fleet(), "empty": wide.grown(hosts, dynos)}
        found = {}
        for name, seen in shown.items():
            write(Path(folder) / name, seen, wide.wanted(hosts, dynos))
            argv = (
                sys.executable,
                __file__,
                f"--hosts={hosts}",
                f"--dynos={dynos}",
                f"--plan={folder}/{name}",
            )
            found[name] = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
    if found["empty"]["changes"]:
        sys.exit(f"the plan is not empty: {found['empty']}")
    said = (f"{kind} plan {words(row)}" for kind, row in found.items())
    return f"{hosts} hosts, {dynos} dynos: {', '.join(said)}"


def words(row: dict[str, Any]) -> str:
    changes = f"{row['changes']} changes, " if row["changes"] else ""
    return f"{row['seconds']:.1f} s ({row['busy']:.1f} s of the processor, {changes}{row['megabytes']} MB at most)"


def write(file: Path, seen: Fleet, wanted: Spec) -> None:
    """A line for what does not come again, and one for what each host shows."""
    seen.sight(wanted)
    probe = look_for(wanted)
    with file.open("w") as out:
        print(json.dumps([asdict(pair) for pair in wanted.certificates]), file=out)
        for name, machine in seen.machines.items():
            print(json.dumps([name, machine.document(probe)]), file=out)


def planned(hosts: int, dynos: int, file: Path) -> dict[str, Any]:
    """Seconds, those of the processor, changes and MB of a plan: from when the facts are there to when it is printed."""
    gc.set_threshold(50_000)  # as deployer/__main__.py has it
    with file.open() as lines:
        pairs = tuple(Certificate(**row) for row in json.loads(next(lines)))
        seen = dict(json.loads(line) for line in lines)
    wanted = replace(wide.wanted(hosts, dynos), certificates=pairs)
    known = {name: facts.read(name, seen.pop(name)) for name in list(seen)}
    began, busy = time.perf_counter(), time.process_time()
    left = departing(wanted, known, ())
    plan = decision.decide(wanted, Sight(None, known, (*wanted.fleet.hosts, *left))).plan
    shown = plan.as_dict()
    told(shown, 0.0)
    document(shown)
    took, used = time.perf_counter() - began, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"seconds": took, "busy": used, "changes": len(plan.changes), "megabytes": peak}


if __name__ == "__main__":
    main()
