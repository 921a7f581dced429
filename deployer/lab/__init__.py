"""Practice fleets on this machine: `up`, `status`, `down`, and the power switch of a host.

To the deployer their hosts are plain Debian machines over SSH; nothing outside this package knows of them.
"""

from deployer.lab.layout import ADMIN, ASKER, ASKER_PASSWORD, DEFAULT
from deployer.lab.look import Lab, LabHost, every, status
from deployer.lab.practice import down, down_all, prepare, purge_cache, start_host, stop_host, up

__all__ = [
    "ADMIN",
    "ASKER",
    "ASKER_PASSWORD",
    "DEFAULT",
    "Lab",
    "LabHost",
    "down",
    "down_all",
    "every",
    "prepare",
    "purge_cache",
    "start_host",
    "status",
    "stop_host",
    "up",
]
