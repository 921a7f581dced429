"""Whether a host answers over SSH, asked with OpenSSH as anybody would."""

from __future__ import annotations

import time

from deployer.lab import command
from deployer.lab.layout import Ground
from deployer.problems import DeployerError, Problem, Where

FINISHED = "timeout 60 systemctl is-system-running --wait || systemctl is-system-running"
BOOT = 60.0
"""Seconds that a host may take from power on to a finished boot."""


def answers(ground: Ground, name: str) -> bool:
    """One connection: True if root is let in at once with the lab's key and the pinned host key."""
    # ConnectTimeout ends with the banner: a door that closes after it would hold ssh up for minutes
    return command.attempt(("timeout", "5", *_ssh(ground, name, "true"))).returncode == 0


def wait_for_boot(ground: Ground, name: str) -> str:
    """Waits until systemd has finished; returns `running`, or its word and the units it is about."""
    deadline = time.monotonic() + BOOT
    while (done := command.attempt(_ssh(ground, name, FINISHED))).returncode == 255:
        if time.monotonic() > deadline:
            raise DeployerError(_silent(ground, name, done.stderr.strip()))
        time.sleep(0.1)
    state = done.stdout.strip().rpartition("\n")[2]
    return state if state == "running" else f"{state}: {_unfinished(ground, name)}"


def _silent(ground: Ground, name: str, said: str) -> Problem:
    log = ground.host(name) / "lxc.log"
    summary = f"{name} does not let root in over SSH after {BOOT:.0f} s"
    hint = f"read {log}, or start afresh with `deploy lab down --name {ground.lab}`"
    return Problem(summary, Where(f"{name}/{ground.address(name)}"), said, hint)


def _unfinished(ground: Ground, name: str) -> str:
    list_them = (
        "systemctl list-units --type=service,mount,socket --state=failed,activating --plain --no-legend"
    )
    done = command.attempt(_ssh(ground, name, list_them))
    return ", ".join(line.split()[0] for line in done.stdout.splitlines() if line.strip())


def _ssh(ground: Ground, name: str, command: str) -> tuple[str, ...]:
    strict = ("StrictHostKeyChecking=yes", f"UserKnownHostsFile={ground.known_hosts}")
    options = ("BatchMode=yes", "IdentitiesOnly=yes", "ConnectTimeout=3", "LogLevel=ERROR", *strict)
    flags = tuple(word for option in options for word in ("-o", option))
    return ("ssh", "-F", "none", "-i", str(ground.key), *flags, f"root@{ground.address(name)}", command)
