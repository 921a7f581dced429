"""22 resources that hold on any host of the deployer: 3 packages, 1 user, 4 directories, 10 files, 6 units less 2.

The packages are one resource each, as in a playbook that grew.
"""

import json
import os

from pyinfra.operations import apt, files, server, systemd

for package in ("python3", "openssh-server", "rsyslog"):
    apt.packages(packages=[package])

server.user(user="www-data", ensure_home=False)

for folder in ("/etc/ssh", "/etc/systemd/system", "/var/lib/deployer", "/usr/share/common-licenses"):
    files.directory(path=folder)

for path, copy in json.loads(os.environ["BENCH"])["files"].items():
    files.put(src=copy, dest=path)

for unit in ("ssh", "dbus", "systemd-journald", "systemd-logind"):
    systemd.service(service=unit, running=True)
