#!/usr/bin/env python3
"""Run one command in a dyno of its own, in the foreground: its output, its exit status, nothing left behind.

usage:  dyno-once [SPEC]     without SPEC it is read from standard input, and the dyno's own is empty
SPEC:   {"name": "hello.run.4711": app, type, number, "base": first uid, "lower": [folder…], "address", "memory": MB,
         "pids", "command": a list is run as it is, a string like a process of the app, after
         its profile scripts, "env": {…}, "env_file": config vars, "binds": [{"source", "target", "readonly"}],
         "timeout": s, "log": to the logplex, "all", "events" or "none"}; optional from "env" on
exit:   the command's own status, 124 when its time was up, 137 when it was killed (out of memory), 2 a wrong SPEC
A dyno whose dyno-once is killed is stopped.
"""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

HOME, RUN, BIN = Path("/var/lib/deployer/once"), Path("/run/deployer/once"), "/var/lib/deployer/bin"
TIMED_OUT, DAY = 124, 86400
PROPERTIES = ("Delegate=yes",  "TasksMax=infinity", "OOMPolicy=continue", "OOMScoreAdjust=500",
              "KillMode=mixed", "TimeoutStopSec=50", f"ExecStopPost={BIN}/dyno-end")  # fmt: skip
UNSHARE = ("unshare", "--mount", "--propagation", "slave")


class Expired(Exception):
    """The time of the dyno is up."""


def stopped(number: int, frame: object) -> None:
    """A signal ends dyno-once in order, and the dyno with it."""
    raise SystemExit(128 + number)


def bridge() -> tuple:
    """Address and prefix length of the bridge."""
    seen = subprocess.run(
        ["ip", "-j", "-4", "address", "show", "dev", "deployer0"], check=True, stdout=subprocess.PIPE
    )
    address = json.loads(seen.stdout)[0]["addr_info"][0]
    return address["local"], address["prefixlen"]


def escaped(path: str) -> str:
    """A path in a line of fstab's format."""
    return re.sub(r"[\s\\]", lambda match: f"\\{ord(match.group()):03o}", path)


def mount(bind: dict) -> str:
    """The LXC line of one bind."""
    kind = "dir" if os.path.isdir(bind["source"]) else "file"
    access = "ro" if bind.get("readonly") else "rw"
    return f"lxc.mount.entry = {escaped(bind['source'])} {escaped(bind['target'].lstrip('/'))} none bind,{access},create={kind} 0 0"


def config(spec: dict, cable: str, octets: list) -> str:
    """What lxc.config.j2 says of a dyno, for this one."""
    gateway, prefix = bridge()
    run = f"/run/deployer/dynos/{spec['name']}"
    return "\n".join([
        f"lxc.include = {BIN}/dyno.conf",
        f"lxc.rootfs.path = dir:{run}/root",
        f"lxc.idmap = u 0 {spec['base']} 65536",
        f"lxc.idmap = g 0 {spec['base']} 65536",
        f"lxc.mount.entry = {run}/cgroup sys/fs/cgroup none bind,ro 0 0",
        *map(mount, spec.get("binds", ())),
        f"lxc.net.0.veth.pair = {cable}",
        f"lxc.net.0.hwaddr = 02:de:{':'.join(octets)}",
        f"lxc.net.0.ipv4.address = {spec['address']}/{prefix}",
        f"lxc.net.0.ipv4.gateway = {gateway}",
        f"lxc.prlimit.nproc = {spec['pids']}",
        "",
    ])  # fmt: skip


def variables(spec: dict, kind: str, number: str) -> str:
    """The config vars and `env`, as the shell reads them."""
    text = Path(spec["env_file"]).read_text() if "env_file" in spec else ""
    env = {"DYNO": f"{kind}.{number}", **spec.get("env", {})}
    return text + "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items())


def write(home: Path, spec: dict) -> None:
    """The files that dyno-run works from, as those of any dyno."""
    app, kind, number = (spec["name"].split(".") + ["1"])[:3]
    octets = [f"{int(part):02x}" for part in spec["address"].split(".")]
    cable, words = "dv" + "".join(octets), spec["command"]
    values = {
        "APP": app, "TYPE": kind, "N": number, "ADDRESS": spec["address"], "PORT": 0, "MEMORY": spec["memory"],
        "PIDS": spec["pids"], "BASE": spec["base"], "HOST": f"{kind[:48]}-{number}", "LOWER": ":".join(spec["lower"]),
        "VETH": cable, "ENV_FILE": home / "env", "LOG": "none" if spec.get("log", "none") == "none" else "events",
        "PROFILE": "yes" if isinstance(words, str) else "no", "ONCE": 1, "KEY": spec["name"], "DYNO_HOME": home,
        "DYNO_DISK": HOME / spec["name"],
    }  # fmt: skip
    texts = {
        "command": words if isinstance(words, str) else shlex.join(words),
        "config": config(spec, cable, octets),
        "env": variables(spec, kind, number),
        "dyno.env": "".join(f"{name}={value}\n" for name, value in values.items()),
    }
    for name, text in texts.items():
        (home / name).write_text(text)


def logplex(spec: dict) -> list:
    """A `logger` for the output, if it is wanted there too."""
    if spec.get("log") != "all":
        return []
    app, kind, number = spec["name"].split(".")
    argv = ["logger", "-u", "/run/deployer/log", "--socket-errors=off", "-t", f"{app}/app/{kind}.{number}"]
    return [subprocess.Popen([*argv, "-p", "local7.info", "-S", "10000"], stdin=subprocess.PIPE)]


def copy(data: bytes, sink: int) -> None:
    """Write all of it, at once."""
    while data:
        data = data[os.write(sink, data) :]


def relay(sources: dict, deadline: float) -> None:
    """Copy what comes from each source to its sinks, until all have ended."""
    while sources:
        ready, _, _ = select.select(list(sources), [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise Expired
        for source in ready:
            data = os.read(source, 1 << 16)
            for sink in sources[source]:
                copy(data, sink)
            if not data:
                del sources[source]


def supervise(unit: str, spec: dict, home: Path, standard_input: int) -> int:
    """Let systemd run it; the pipes are the dyno's own, so that it can open /dev/stdout."""
    pipes = (os.pipe(), os.pipe())
    for _, end in pipes:
        os.fchown(end, spec["base"] + 1000, -1)
    properties = [f"--property={line}" for line in (*PROPERTIES, f"EnvironmentFile={home}/dyno.env")]
    argv = [
        "systemd-run",
        "--quiet",
        "--wait",
        "--pipe",
        "--collect",
        f"--unit={unit}",
        *properties,
        *UNSHARE,
        f"{BIN}/dyno-run",
    ]
    child = subprocess.Popen(argv, stdin=standard_input, stdout=pipes[0][1], stderr=pipes[1][1])
    for _, end in pipes:
        os.close(end)
    loggers = logplex(spec)
    copies = [logger.stdin.fileno() for logger in loggers]
    relay({pipes[0][0]: [1, *copies], pipes[1][0]: [2, *copies]}, time.monotonic() + spec.get("timeout", DAY))
    for logger in loggers:
        logger.communicate()
    status = child.wait()
    return status if status >= 0 else 128 - status


def main(*arguments: str) -> int:
    """Prepare, run, and stop whatever is left."""
    spec = json.loads(Path(arguments[0]).read_text() if arguments else sys.stdin.read())
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, stopped)
    unit, home = f"deployer.once.{spec['name']}", RUN / spec["name"]
    stop = ("systemctl", "stop", "--quiet", unit)
    subprocess.run(stop, check=False, stderr=subprocess.DEVNULL)
    os.umask(0o077)
    home.mkdir(parents=True, exist_ok=True)
    os.mkfifo(home / "alive")
    alive = os.open(
        home / "alive", os.O_RDWR
    )  # dyno-run reads it, and sees its end when this process is gone
    try:
        write(home, spec)
        return supervise(unit, spec, home, 0 if arguments else subprocess.DEVNULL)
    except Expired:
        return TIMED_OUT
    finally:
        subprocess.run(stop, check=False, stderr=subprocess.DEVNULL)
        os.close(alive)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
