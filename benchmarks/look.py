"""Seconds from the deployer's first connect to the last fact read, after all imports."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from deployer import source
from deployer.planning import planner
from deployer.providers import PROVIDERS
from deployer.remote.connect import connect
from deployer.remote.observe import observe


def main() -> None:
    fleet = source.load(Path(sys.argv[1]), None).fleet
    probe = planner.probe(PROVIDERS, fleet.app)
    began = time.perf_counter()
    links = connect(fleet.hosts, fleet.known_hosts)
    seen = observe(links, probe)
    took = time.perf_counter() - began
    if seen.lost:
        sys.exit(f"not seen: {', '.join(seen.lost)}")
    print(took)


if __name__ == "__main__":
    main()
