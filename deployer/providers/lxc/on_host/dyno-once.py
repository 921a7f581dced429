#!/usr/bin/env python3
"""Run one command in a dyno of its own, in the foreground: its output, its exit status, nothing left behind.

usage:  dyno-once [SPEC]    without SPEC it is read from standard input, and the dyno's own is empty
SPEC:   {"name": "hello.run.4711" (app, type, number), "base": first uid, "lower": [folder…], "address",
        "memory": MB, "pids", "command": a list is run as it is, a string as a process of the app is, after
        its profile scripts}; optional: "limit": MB at which it is ended, "env": {…}, "env_file": config vars,
        "timeout": s, "binds": [{"source", "target", "readonly"}…], "log": for the logplex, "all", "events" or
        "none", "attached": somebody is at the other end, who may go; "tty": that end is a terminal
exit:   the command's status; 124 its time was up; 125 it could not be started; 137 killed (out of memory)
When dyno-once ends, whatever ended it, the dyno is stopped. Only an attached one outlives its client: it gets
SIGHUP, and goes on if that does not end it (Heroku contract 3.11).
"""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

HOME, DISK, BIN = Path("/run/deployer/once"), Path("/var/lib/deployer/once"), "/var/lib/deployer/bin"
TIMED_OUT, NOT_STARTED, DAY = 124, 125, 86400
PROPERTIES = {
    "Delegate": "yes", "TasksMax": "infinity", "OOMPolicy": "continue", "OOMScoreAdjust": 500,
    "KillMode": "mixed", "TimeoutStopSec": 50, "ExecStopPost": f"{BIN}/dyno-end",
}  # fmt: skip
DYNO_RUN = ("unshare", "--mount", "--propagation", "slave", f"{BIN}/dyno-run")
LOGGER = ("logger", "-u", "/run/deployer/log", "--socket-errors=off", "-p", "local7.info", "-S", "10000")

HANG_UP = """
. "$0/dyno.sh"
find_cgroup "$(systemctl show -P ControlGroup "deployer.once.$KEY")"
for _ in 1 2 3; do
    say "Client connection closed. Sending SIGHUP to all processes"
    signal HUP && sleep 5 && signal 0 || exit 0
done
say "Error R16 (Detached) -> An attached process is not responding to SIGHUP after its external connection was closed."
"""
CLOSED = threading.Event()
"""The client of an attached dyno has gone."""


def stopped(number: int, frame: object) -> None:
    """A signal ends dyno-once in order, and the dyno with it."""
    raise SystemExit(128 + number)


def bridge() -> tuple:
    """Address and prefix length of the bridge."""
    shown = subprocess.check_output(("ip", "-j", "-4", "address", "show", "dev", "deployer0"))
    address = json.loads(shown)[0]["addr_info"][0]
    return address["local"], address["prefixlen"]


def escaped(path: str) -> str:
    """A path as fstab has it."""
    return re.sub(r"[\s\\]", lambda found: f"\\{ord(found[0]):03o}", path)


def mount(source: str, target: str, readonly: bool = False) -> str:
    """The LXC line of one bind."""
    options = f"bind,{'ro' if readonly else 'rw'},create={'dir' if os.path.isdir(source) else 'file'}"
    return f"mount.entry = {escaped(source)} {escaped(target.lstrip('/'))} none {options} 0 0"


def config(spec: dict, octets: list, gateway: str, prefix: int) -> str:
    """What lxc.config.j2 says of other dynos."""
    run, base = f"/run/deployer/dynos/{spec['name']}", spec["base"]
    lines = [
        f"include = {BIN}/dyno.conf", f"rootfs.path = dir:{run}/root",
        f"idmap = u 0 {base} 65536", f"idmap = g 0 {base} 65536", f"prlimit.nproc = {spec['pids']}",
        f"net.0.veth.pair = dv{''.join(octets)}", f"net.0.hwaddr = 02:de:{':'.join(octets)}",
        f"net.0.ipv4.address = {spec['address']}/{prefix}", f"net.0.ipv4.gateway = {gateway}",
        mount(f"{run}/cgroup", "/sys/fs/cgroup", readonly=True), *(["pty.max = 64"] if spec.get("tty") else []),
    ]  # fmt: skip
    return "".join(f"lxc.{line}\n" for line in [*lines, *(mount(**bind) for bind in spec.get("binds", ()))])


def write(home: Path, spec: dict) -> None:
    """The files that dyno-run works from, as for any dyno."""
    app, kind, number = (spec["name"].split(".") + ["1"])[:3]
    octets = [f"{int(part):02x}" for part in spec["address"].split(".")]
    words, env = spec["command"], {"DYNO": f"{kind}.{number}", **spec.get("env", {})}
    settings = {
        "KEY": spec["name"], "APP": app, "TYPE": kind, "N": number, "HOST": f"{kind[:48]}-{number}",
        "ADDRESS": spec["address"], "PORT": 0, "VETH": f"dv{''.join(octets)}", "PIDS": spec["pids"],
        "BASE": spec["base"], "MEMORY": spec["memory"],
        "LIMIT": spec.get("limit", spec["memory"]), "LOWER": ":".join(spec["lower"]), "ONCE": 1,
        "PROFILE": "yes" if isinstance(words, str) else "no", "ENV_FILE": home / "env", "DYNO_HOME": home,
        "DYNO_DISK": DISK / spec["name"], "LOG": spec.get("log", "none"),
    }  # fmt: skip
    texts = {
        "command": words if isinstance(words, str) else shlex.join(words),
        "config": config(spec, octets, *bridge()),
        "env": (Path(spec["env_file"]).read_text() if "env_file" in spec else "")
        + "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items()),
        "dyno.env": "".join(f"{name}={value}\n" for name, value in settings.items()),
    }
    for name, text in texts.items():
        (home / name).write_text(text)


def hang_up(settings: dict) -> None:
    """Once nobody is at the other end any more, tell all processes of the dyno so."""
    CLOSED.wait()
    subprocess.run(("sh", "-c", HANG_UP, BIN), env={**os.environ, **settings}, stdin=subprocess.DEVNULL)


def see_the_end(fd: int) -> None:
    """A client that leaves closes its end, whether or not anything is written to it."""
    link = select.poll()
    link.register(fd, 0)
    link.poll()
    CLOSED.set()


def copy(data: bytes, sinks: list) -> None:
    """What nobody takes any more is let go."""
    for sink in list(sinks):
        try:
            sink.write(data)
        except OSError:
            CLOSED.set()
            sinks.remove(sink)


def relay(sources: dict, deadline: float) -> None:
    """Copy what comes from each source to its sinks, until all have ended."""
    while sources:
        ready, _, _ = select.select(list(sources), [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError
        for source in ready:
            data = os.read(source, 1 << 16)
            copy(data, sources[source])
            if not data:
                del sources[source]


def on_a_terminal(argv: list) -> int:
    """The dyno has the terminal itself; what that says to its foreground is for the dyno to hear."""
    status = subprocess.Popen(argv, start_new_session=True).wait()
    return status if status >= 0 else 128 - status


def attend(home: Path, spec: dict) -> None:
    """From here on a client may go without ending the dyno."""
    signal.signal(signal.SIGHUP, lambda number, frame: CLOSED.set())
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    lines = (home / "dyno.env").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines)
    threading.Thread(target=hang_up, args=(settings,), daemon=True).start()
    if not spec.get("tty"):
        threading.Thread(target=see_the_end, args=(sys.stdout.fileno(),), daemon=True).start()


def supervise(argv: list, spec: dict, standard_input: int) -> int:
    """Let systemd run it. The dyno gets pipes that its user owns, so that it can open /dev/stdout."""
    pipes = (os.pipe(), os.pipe())
    for _, end in pipes:
        os.fchown(end, spec["base"] + 1000, -1)
    child = subprocess.Popen(argv, stdin=standard_input, stdout=pipes[0][1], stderr=pipes[1][1])
    for _, end in pipes:
        os.close(end)
    app, _, process = spec["name"].partition(".")
    tags = [f"{app}/app/{process}"] if spec.get("log") == "all" else []
    loggers = [subprocess.Popen((*LOGGER, "-t", tag), stdin=subprocess.PIPE, bufsize=0) for tag in tags]
    sinks = [logger.stdin for logger in loggers]
    sources = {pipes[0][0]: [sys.stdout.buffer.raw, *sinks], pipes[1][0]: [sys.stderr.buffer.raw, *sinks]}
    relay(sources, time.monotonic() + spec.get("timeout", DAY))
    for logger in loggers:
        logger.communicate()
    status = child.wait()
    return status if status >= 0 else 128 - status


def main(*arguments: str) -> int:
    """Prepare, run, and stop what is left."""
    spec = json.loads(Path(arguments[0]).read_text() if arguments else sys.stdin.read())
    if spec.get("attached"):
        os.unlink(arguments[0])
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, stopped)
    unit, home = f"deployer.once.{spec['name']}", HOME / spec["name"]
    stop = ("systemctl", "stop", "--quiet", unit)
    subprocess.call(stop, stderr=subprocess.DEVNULL)
    os.umask(0o077)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    os.mkfifo(home / "alive")
    # dyno-run reads there, and sees the end of it when this process has ended
    alive = os.open(home / "alive", os.O_RDWR)
    properties = {**PROPERTIES, "EnvironmentFile": home / "dyno.env"}
    options = [f"--property={name}={value}" for name, value in properties.items()]
    argv = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect", f"--unit={unit}", *options, *DYNO_RUN]
    try:
        write(home, spec)
        if spec.get("attached"):
            attend(home, spec)
        if spec.get("tty"):
            return on_a_terminal(argv)
        return supervise(argv, spec, 0 if arguments else subprocess.DEVNULL)
    except TimeoutError:
        return TIMED_OUT
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"the dyno {spec['name']} could not be started: {error}", file=sys.stderr)
        return NOT_STARTED
    finally:
        subprocess.call(stop, stderr=subprocess.DEVNULL)
        os.close(alive)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
