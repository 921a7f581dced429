"""A small app of its own on the same hosts, for as long as a benchmark needs it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import DEPLOY, HERE, places

from deployer import source

NAME = "bench"


@contextmanager
def folder(beside: Path, app: Path = HERE / "app") -> Iterator[Path]:
    """`app/` with a fleet.json of the same hosts; whatever was applied from it is destroyed at the end."""
    fleet = source.load(beside, None).fleet
    hosts = {p["name"]: {k: p[k] for k in ("address", "port", "user", "key") if p[k]} for p in places(fleet)}
    for host in fleet.hosts:
        hosts[host.name]["roles"] = sorted(host.roles)
    with tempfile.TemporaryDirectory() as place:
        made = Path(place) / NAME
        shutil.copytree(app, made)
        known = {"known_hosts": places(fleet)[0]["known_hosts"]}
        document = {"app": NAME, "domains": ["bench.invalid"], "hosts": hosts, "ssh": known}
        (made / "fleet.json").write_text(json.dumps(document))
        try:
            yield made
        finally:
            deploy("destroy", made, "--confirm", NAME)


def deploy(command: str, made: Path, *flags: str) -> None:
    """A deploy command that has to succeed."""
    done = subprocess.run((DEPLOY, command, "-C", str(made), *flags), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"deploy {command}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
