"""The practice fleet of this process: a worker of the test run has one of its own, and no test touches another."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from deployer.lab import record
from deployer.lab.layout import Ground

ROOT = Path(__file__).parents[2]
OURS = f"test-{hashlib.sha256(bytes(ROOT)).hexdigest()[:6]}-"
"""What the names of this clone's labs begin with: two clones on one machine may be tested at once."""
LAB = f"{OURS}{os.environ.get('PYTEST_XDIST_WORKER', 'gw0')}"
HOSTS = ("box-1", "box-2", "box-3")
ROUTERS = HOSTS[:2]


def ground() -> Ground:
    """Which addresses it has is known once it is up."""
    return record.find(LAB)


def at(host: str) -> str:
    """The address of a host."""
    return ground().address(host)


def gateway() -> str:
    """This machine, as its hosts see it."""
    return ground().gateway


def shared_address() -> str:
    """One of the subnet that no host has, for the routers together."""
    return at("box-90")


def routers() -> tuple[str, ...]:
    """Their addresses."""
    return tuple(at(host) for host in ROUTERS)
