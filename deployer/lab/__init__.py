"""A practice fleet on this machine: `up`, `status`, `down`, and the power switch of a host.

To the deployer its hosts are plain Debian machines over SSH; nothing outside this package knows of it.
"""

from deployer.lab.layout import ADMIN, ASKER, ASKER_PASSWORD
from deployer.lab.look import Lab, LabHost, status
from deployer.lab.practice import down, start_host, stop_host, up

__all__ = [
    "ADMIN",
    "ASKER",
    "ASKER_PASSWORD",
    "Lab",
    "LabHost",
    "down",
    "start_host",
    "status",
    "stop_host",
    "up",
]
