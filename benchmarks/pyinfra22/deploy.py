"""22 resources that hold on any host of the deployer: 3 packages at once, 1 user, 4 directories, 10 files, 6 units."""

import json
import os

from pyinfra.operations import apt, files, server, systemd

apt.packages(packages=["python3", "openssh-server", "rsyslog"])

server.user(user="www-data", ensure_home=False)

for folder in ("/etc/ssh", "/etc/systemd/system", "/var/lib/deployer", "/usr/share/common-licenses"):
    files.directory(path=folder)

for path, copy in json.loads(os.environ["BENCH"])["files"].items():
    files.put(src=copy, dest=path)

for unit in ("ssh", "dbus", "systemd-journald", "systemd-logind", "rsyslog", "deployer.network"):
    systemd.service(service=unit, running=True)
