"""Run by the test of the dead-man switch, in a process of its own: a step that locks everybody out of a host.

usage: guarded.py FLEET_FILE HOST RULES FILE; prints what converge said, as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from deployer.model.plan import Change, Plan
from deployer.model.steps import Guard, Sh, Stage, Step, Text
from deployer.remote.connect import connect
from deployer.remote.converge import converge
from deployer.spec.fleet import load_fleet

CLOSE = 'echo after >"$1" && exec nft -f -'


def main(fleet_file: str, name: str, rules: str, file: str) -> None:
    fleet = load_fleet(json.loads(Path(fleet_file).read_text()), "hello")
    hosts = [host for host in fleet.hosts if host.name == name]
    guard = Guard((file,), (("nft", "delete", "table", "ip", "deployertest"),))
    act = Sh(("sh", "-c", CLOSE, "sh", file), Text(rules), timeout=60)
    step = Step(Stage.PREPARE, "close the door", act, guard=guard)
    change = Change(f"host/{name}/door", "update", name, "a test", (), (step,))
    links = connect(hosts, fleet.known_hosts)
    run = converge(links, Plan("hello", "", (change,), 0, (name,)), lambda _: None)
    found = {where: f"{p.summary} {p.detail} {p.hint}" for where, p in run.failed.items()}
    print(json.dumps({"failed": found, "lost": sorted(run.lost)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
