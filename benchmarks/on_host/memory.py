"""SHIPPED to a host: KB (PSS) that watch over each dyno: all processes of its unit but the app's.

Prints {"<dyno>": {"supervisor": kb, "app": kb}}. Python standard library only.
"""

import glob
import json
import os
import re


def main():
    folders = glob.glob("/sys/fs/cgroup/systemd/system.slice/*/deployer.dyno@*.service")
    folders += glob.glob("/sys/fs/cgroup/system.slice/*/deployer.dyno@*.service")
    print(
        json.dumps({os.path.basename(f)[len("deployer.dyno@") : -len(".service")]: weigh(f) for f in folders})
    )


def weigh(folder):
    pids = [
        pid
        for path in glob.glob(folder + "/**/cgroup.procs", recursive=True)
        for pid in open(path).read().split()
    ]
    first = {pid for pid in pids if b"/.dyno-init" in arguments(pid)[:2]}
    app = {pid for pid in pids if first & set(ancestors(pid))}
    return {"supervisor": sum(map(pss, set(pids) - app)), "app": sum(map(pss, app))}


def arguments(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as f:
        return f.read().split(b"\0")


def ancestors(pid):
    with open(f"/proc/{pid}/stat") as f:
        parent = f.read().rpartition(")")[2].split()[1]
    return [] if parent in ("0", "1") else [parent, *ancestors(parent)]


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))


main()
