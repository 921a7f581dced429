"""Memory that watches over each dyno: LXC, the unit's scripts and the log pipe, without the app."""

from __future__ import annotations

from measure import arguments, on_host, places

from deployer import source


def main() -> None:
    given = arguments(__doc__, 1)
    found = [on_host(place, "memory.py", {}) for place in places(source.load(given.folder, None).fleet)]
    weights = [dyno["supervisor"] / 1024 for host in found for dyno in host.values()]
    if not weights:
        raise SystemExit("no dyno runs: deploy apply first")
    print(
        f"supervisor of a dyno: {sum(weights) / len(weights):.1f} MB on average, {max(weights):.1f} MB at most"
        f" (PSS, {len(weights)} dynos on {len(found)} hosts)"
    )


if __name__ == "__main__":
    main()
