"""What a slug of 200 MB costs the machine of whoever deploys: to one host, and to all hosts of the fleet."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import bench_app
from measure import HERE, arguments

COMPILE = "#!/bin/sh\nhead -c 200M /dev/urandom >$1/large\necho '       200 MB made'\n"


def main() -> None:
    given = arguments(__doc__, 1)
    with bench_app.folder(given.folder) as made:
        _make_large(made)
        one = _sent(made, hosts=1)
    with bench_app.folder(given.folder) as made:
        _make_large(made)
        hosts = len(json.loads((made / "fleet.json").read_text())["hosts"])
        every = _sent(made, hosts=hosts)
    print(
        f"a slug of 200 MB, bytes from the deploying machine: {every / 1024:.0f} KB to {hosts} hosts,"
        f" {one / 1024:.0f} KB to 1, {every / (200 << 20):.2%} of the slug"
    )


def _make_large(made: Path) -> None:
    """A buildpack that makes it, so that the source stays small."""
    pack = made / "pack/bin"
    pack.mkdir(parents=True)
    for name, text in {"compile": COMPILE, "detect": "#!/bin/sh\necho Large\n"}.items():
        (pack / name).write_text(text)
        (pack / name).chmod(0o755)
    document = json.loads((made / "app.json").read_text())
    (made / "app.json").write_text(
        json.dumps(document | {"buildpacks": [{"url": "./pack"}, {"url": "python"}]})
    )


def _sent(made: Path, hosts: int) -> float:
    """Bytes of a first apply with a web dyno on each of so many hosts; all hosts are looked at in both."""
    fleet = json.loads((made / "fleet.json").read_text())
    for name in sorted(fleet["hosts"])[hosts:]:
        fleet["hosts"][name]["roles"] = [r for r in fleet["hosts"][name]["roles"] if r != "dynos"] or ["data"]
    (made / "fleet.json").write_text(json.dumps(fleet | {"formation": {"web": {"quantity": hosts}}}))
    argv = (sys.executable, str(HERE / "counted.py"), "apply", "-C", str(made), "--yes")
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(argv)}: exit status {done.returncode}\n{done.stderr}")
    return sum(host["sent"] for host in json.loads(done.stdout.splitlines()[-1]).values())


if __name__ == "__main__":
    main()
