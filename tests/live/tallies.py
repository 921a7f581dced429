"""What a run of the long campaign comes to: the shares of each scenario, summed up from its report.

usage: tallies.py REPORT
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

SHARE = re.compile(
    r"(.+): (\d+) of (\d+) points.*; slowest apply afterwards ([\d.]+) s; (\d+) requests, 0 failed"
)
REQUESTS = re.compile(r"(\d+) requests, 0 failed")


def sums(report: str) -> Iterator[str]:
    """A line for each scenario, and one for all requests."""
    shares = defaultdict[str, list[tuple[str, ...]]](list)
    for name, *figures in SHARE.findall(report):
        shares[name].append(tuple(figures))
    for name, found in shares.items():
        tried, total = sum(int(f[0]) for f in found), max(int(f[1]) for f in found)
        slowest = max(float(f[2]) for f in found)
        yield f"{name}: {tried} of {total} points converged; slowest apply afterwards {slowest:.1f} s"
    yield f"{sum(map(int, REQUESTS.findall(report)))} requests, 0 failed"


if __name__ == "__main__":
    print("\n".join(sums(Path(sys.argv[1]).read_text())))
