"""An empty plan as a whole command, against the least that could read the same facts, and beside pyinfra."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from measure import DEPLOY, HERE, arguments, client, in_turn, places, timed

from deployer import source
from deployer.planning import planner
from deployer.providers import PROVIDERS
from deployer.remote import channel
from deployer.spec.fleet import Fleet

LICENSES = "/usr/share/common-licenses"
TEN = ["Apache-2.0", "Artistic", "BSD", "GPL-1", "GPL-2", "GPL-3", "LGPL-2", "LGPL-2.1", "LGPL-3", "MPL-2.0"]
"""Ten files that every Debian has with the same bytes."""


def main() -> None:
    given = arguments(__doc__, 7)
    said = timed((DEPLOY, "plan", "-C", str(given.folder)))[1]
    if not said.startswith("No changes."):
        sys.exit(f"the plan is not empty: {said}")
    fleet = source.load(given.folder, None).fleet
    with tempfile.TemporaryDirectory() as folder:
        order = work(Path(folder), fleet)
        os.environ["BENCH"] = _resources(Path(folder), fleet)
        found = in_turn(_programs(given.folder, order), given.runs)
    print(_line(found, len(fleet.hosts), given.runs))


def _programs(folder: Path, work: str) -> dict[str, tuple[str, ...]]:
    # without --dry it would ask, with --yes it would not even look for differences
    pyinfra = (str(Path(sys.executable).with_name("pyinfra")), "--dry")
    return {
        "deploy": (DEPLOY, "plan", "-C", str(folder)),
        "limit": (sys.executable, str(HERE / "limit.py"), work),
        "look": (sys.executable, str(HERE / "look.py"), str(folder)),
        "pyinfra": (*pyinfra, str(HERE / "pyinfra22/inventory.py"), str(HERE / "pyinfra22/deploy.py")),
    }


def work(folder: Path, fleet: Fleet) -> str:
    """The limit's whole work: it runs the deployer's own line and script with the deployer's own request."""
    hosts = places(fleet)
    request = json.dumps(planner.probe(PROVIDERS, fleet.app).as_dict())
    work = {
        "hosts": hosts,
        "line": channel.python_line(hosts[0]["user"]),
        "stdin": channel.script("probe.py").decode() + request,
    }
    (folder / "work.json").write_text(json.dumps(work))
    return str(folder / "work.json")


def _resources(folder: Path, fleet: Fleet) -> str:
    """What pyinfra22/ reads: the hosts, and ten local files that equal those on the hosts."""
    hosts = places(fleet)
    with client(hosts[0]) as link, link.open_sftp() as sftp:
        for name in TEN:
            sftp.get(f"{LICENSES}/{name}", str(folder / name))
    files = {f"{LICENSES}/{name}": str(folder / name) for name in TEN}
    return json.dumps({"hosts": hosts, "files": files})


def _line(found: Mapping[str, tuple[float, str]], hosts: int, runs: int) -> str:
    whole = {name: seconds for name, (seconds, _) in found.items()}
    ours, least = float(found["look"][1]), float(found["limit"][1])
    return (
        f"empty plan, {hosts} hosts: {whole['deploy'] / whole['limit']:.2f} x the limit"
        f" ({whole['deploy']:.2f} s / {whole['limit']:.2f} s), pyinfra with 22 resources"
        f" {whole['pyinfra'] / whole['limit']:.1f} x ({whole['pyinfra']:.2f} s); first connect to last byte"
        f" {ours / least:.2f} x ({ours:.2f} s / {least:.2f} s); medians of {runs}"
    )


if __name__ == "__main__":
    main()
