"""SHIPPED to hosts: one look, one JSON document. Python 3.8 standard library only, nothing of ours.

Reads a request (`facts.Probe.as_dict`) on standard input. A missing tool leaves its section empty:
what is not there was not seen, and the plan says so. A tool that fails to answer ends the look (exit 1):
what could not be seen is not taken to be absent.
"""

import glob
import grp
import hashlib
import ipaddress
import json
import os
import pwd
import re
import socket
import subprocess
import sys

DYNOS = "/var/lib/deployer/dynos/*/dyno.json"
LIMIT = 1 << 20
READABLE = 64 << 10
"""Bytes of one file that anybody may read; of all of them together LIMIT."""


def run(*argv):
    """Standard output of a command; empty where it is missing. One that hangs or is killed ends the look."""
    try:
        done = subprocess.run(
            argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=20
        )
    except FileNotFoundError:
        return ""
    if done.returncode < 0:
        raise OSError("%s was killed by signal %d" % (argv[0], -done.returncode))
    return done.stdout.decode("utf-8", "replace")


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def matching(patterns):
    return sorted({path for pattern in patterns for path in glob.glob(pattern)})


def owner(status):
    try:
        return "%s:%s" % (pwd.getpwuid(status.st_uid).pw_name, grp.getgrgid(status.st_gid).gr_name)
    except KeyError:
        return "%d:%d" % (status.st_uid, status.st_gid)


def files(patterns):
    seen = {}
    for path in matching(patterns):
        if os.path.isfile(path):
            status = os.stat(path)
            digest = hashlib.sha256(read(path)).hexdigest()
            seen[path] = {"sha": digest, "mode": status.st_mode & 0o7777, "owner": owner(status)}
    return seen


def texts(patterns):
    return {
        path: read(path).decode("utf-8", "replace")
        for path in matching(patterns)
        if os.path.isfile(path) and os.path.getsize(path) <= LIMIT
    }


def readable(patterns):
    """Texts that everybody on the host may read, so that no secret is among them."""
    seen, room = {}, LIMIT
    for path in filter(os.path.isfile, matching(patterns)):
        status = os.stat(path)
        if status.st_mode & 0o004 and status.st_size <= min(READABLE, room):
            try:
                seen[path] = read(path).decode()
            except UnicodeDecodeError:
                continue
            room -= status.st_size
    return seen


def lines(wanted):
    """Lines of files that are not ours, as far as they fit the pattern that comes with the glob."""
    seen = {}  # type: dict[str, list[str]]
    for pattern, fits in wanted:
        for path in matching([pattern]):
            text = read(path).decode("utf-8", "replace").splitlines()
            seen.setdefault(path, []).extend(line.strip() for line in text if re.search(fits, line))
    return {path: found for path, found in sorted(seen.items()) if found}


def packages(names):
    if not names:
        return {}
    lines = run("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n", *names).splitlines()
    rows = (line.split(" ") for line in lines)
    return {row[1]: row[2] for row in rows if row[0] == "installed"}


UNIT = {"Id": "", "LoadState": "", "ActiveState": "active", "SubState": "sub", "UnitFileState": "enabled"}


def units(names):
    """States of named units and of all that match a pattern, as `systemctl show` gives them."""
    if not names:
        return {}
    plain = [n for n in names if "*" not in n] + instances([n for n in names if "*" in n])
    blocks = (
        run("systemctl", "show", "-p", ",".join(UNIT), "--", *plain).strip().split("\n\n") if plain else []
    )
    rows = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in blocks]
    return {
        row["Id"]: {word: row.get(prop, "") for prop, word in UNIT.items() if word}
        for row in rows
        if row.get("Id") and row.get("LoadState") not in ("not-found", "", None)
    }


def instances(patterns):
    """Loaded units, and those that are only enabled, which a broken boot would leave unloaded."""
    if not patterns:
        return []
    listed = run("systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager", *patterns)
    found = {line.split()[0] for line in listed.splitlines() if line.strip()}
    for pattern in patterns:
        found |= {os.path.basename(p) for p in glob.glob("/etc/systemd/system/*.wants/" + pattern)}
    return sorted(found)


def listeners():
    """`{port: process}` of every TCP listener, with what `ss` knows of it."""
    found = {}
    for line in run("ss", "-Hltnp").splitlines():
        columns = line.split(None, 5)
        port = columns[3].rpartition(":")[2]
        name = re.search(r'\(\("([^"]+)"', columns[5]) if len(columns) > 5 else None
        found[port] = name.group(1) if name else ""
    return found


def links():
    """`(address, prefix, interface)` of each global address."""
    rows = json.loads(run("ip", "-j", "addr") or "[]")
    found = [(row["ifname"], a) for row in rows for a in row.get("addr_info", [])]
    return [(a["local"], a["prefixlen"], name) for name, a in found if a.get("scope") == "global"]


def resolvers():
    """Name servers that a dyno can use: the real ones behind systemd's local stub."""
    behind = "/run/systemd/resolve/resolv.conf"
    text = read(behind if os.path.exists(behind) else "/etc/resolv.conf").decode("utf-8", "replace")
    found = re.findall(r"^\s*nameserver\s+(\S+)", text, re.M)
    return [a for a in found if not ipaddress.ip_address(a.partition("%")[0]).is_loopback]


def answers():
    """Whether each dyno with a port accepts a connection now."""
    waiting = {}
    for path in glob.glob(DYNOS):
        try:
            dyno = json.loads(read(path).decode())
        except ValueError:
            continue
        if dyno.get("port"):
            waiting["%s:%d" % (dyno["address"], dyno["port"])] = (dyno["address"], dyno["port"])
    return {name: accepts(place) for name, place in sorted(waiting.items())}


def accepts(place):
    try:
        socket.create_connection(place, timeout=0.5).close()
    except OSError:
        return False
    return True


def tables(names):
    """What the kernel holds: the digest of its own listing, and where forwarded ports lead."""
    seen = {}
    for name in names:
        listing = run("nft", "-nn", "list", "table", "ip", name)
        if listing:
            seen[name] = {"sha": hashlib.sha256(listing.encode()).hexdigest(), "ports": ports(name)}
    return seen


def ports(table):
    listed = json.loads(run("nft", "-j", "list", "map", "ip", table, "ports") or "{}")
    rows = [row["map"] for row in listed.get("nftables", []) if row.get("map", {}).get("name") == "ports"]
    pairs = [pair for row in rows for pair in row.get("elem", [])]
    return {str(port): "%s:%s" % tuple(dyno["concat"]) for port, dyno in pairs}


def memory():
    found = re.search(rb"^MemTotal:\s+(\d+) kB", read("/proc/meminfo"), re.M)
    return int(found.group(1)) // 1024 if found else 0


def disk_free():
    status = os.statvfs("/var/lib")
    return status.f_bavail * status.f_frsize >> 20


def codename():
    found = re.search(rb"^VERSION_CODENAME=(\w+)", read("/etc/os-release"), re.M)
    return found.group(1).decode() if found else ""


def look(request):
    linked = links()
    return {
        "version": 1,
        "codename": codename(),
        "cgroup": 2 if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else 1,
        "apparmor": read("/sys/module/apparmor/parameters/enabled").startswith(b"Y"),
        "memory": memory(),
        "disk_free": disk_free(),
        "addresses": [address for address, _, _ in linked],
        "interfaces": {"%s/%d" % (address, prefix): name for address, prefix, name in linked},
        "resolvers": resolvers(),
        "listeners": listeners(),
        "files": files(request["files"]),
        "texts": texts(request["texts"]),
        "private": texts(request["private"]),
        "readable": readable(request["readable"]),
        "folders": [p for p in matching(request["folders"]) if os.path.isdir(p)],
        "units": units(request["units"]),
        "packages": packages(request["packages"]),
        "tables": tables(request["tables"]),
        "lines": lines(request["lines"]),
        "answers": answers(),
    }


if __name__ == "__main__":
    try:
        json.dump(look(json.loads(sys.stdin.buffer.read().decode())), sys.stdout)
    except (OSError, subprocess.TimeoutExpired) as error:
        sys.exit(str(error))
