"""Start to first HTTP answer of a dyno (unit, mount, LXC, network) against the same program as a bare process."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

import bench_app
from measure import arguments, on_host, places

from deployer import source
from deployer.engine import sight
from deployer.planning import status


def main() -> None:
    given = arguments(__doc__, 9)
    with bench_app.folder(given.folder) as made:
        bench_app.deploy("apply", made, "--yes")
        found = on_host(_home(made), "start.py", {"app": bench_app.NAME, "runs": given.runs})
    bare, dyno = median(found["bare"]) * 1000, median(found["dyno"]) * 1000
    print(
        f"dyno start to first answer: {dyno:.0f} ms, bare process {bare:.0f} ms:"
        f" {dyno - bare:+.0f} ms, {dyno / bare:.1f} x; medians of {given.runs}"
    )


def _home(made: Path) -> dict[str, Any]:
    """The host that the one web dyno landed on."""
    spec = source.load(made, None)
    seen = sight.look(spec)
    seen.links.close()
    (dyno,) = status.dynos(spec.fleet.app, seen.facts)
    return next(p for p in places(spec.fleet) if p["name"] == dyno["host"])


if __name__ == "__main__":
    main()
