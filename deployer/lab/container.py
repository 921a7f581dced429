"""A host's LXC container: started, looked at, and ended for certain."""

from __future__ import annotations

import fnmatch
import os
import signal
import time
from pathlib import Path

from deployer.lab import command, layout, machine, network
from deployer.lab.layout import Ground
from deployer.lab.templates import render
from deployer.problems import DeployerError, Problem, Where

SECCOMP = Path(__file__).with_name("host.seccomp")

PATIENCE = 10.0
"""Seconds that a killed process may take to go."""


def state(ground: Ground, name: str) -> tuple[str, int | None]:
    """LXC's word in lower case, `unknown` where its monitor is silent, and the process id of its init."""
    done = command.attempt(("timeout", "5", "lxc-info", *_named(ground, name), "--state", "--pid"))
    said = dict(line.split(":", 1) for line in done.stdout.splitlines())
    pid = said.get("PID")
    return said.get("State", "unknown").strip().lower(), int(pid) if pid else None


def ensure_started(ground: Ground, name: str) -> bool:
    """Starts a host that does not run, after clearing what an earlier run left; True if it had to."""
    configure(ground, name)
    if state(ground, name)[0] == "running" and Path("/sys/class/net", ground.veth(name), "master").exists():
        return False
    end(ground, name)
    log = str(ground.host(name) / "lxc.log")
    command.run(("lxc-start", *_named(ground, name), "--daemon", "--logpriority=WARN", f"--logfile={log}"))
    return True


def end(ground: Ground, name: str) -> None:
    """Cuts the power: afterwards no process, no cgroup and no cable of this host is left."""
    _kill_all(ground, name)
    for tree in _cgroups(ground, name):
        _remove_cgroup(tree)
    network.remove_link(ground.veth(name))


def remains(ground: Ground) -> list[str]:
    """Hosts that have a control group or a cable, whatever became of their folders."""
    return sorted({tree.name for tree in _cgroups(ground, "box-*")} | set(network.links(ground)))


def remove_remains(ground: Ground) -> None:
    """The empty control groups that held those of the hosts."""
    for tree in _tops(ground):
        _remove_cgroup(tree)


def configure(ground: Ground, name: str) -> None:
    """Writes the container's LXC config."""
    text = render(
        "container.conf.j2",
        name=name,
        rootfs=str(ground.rootfs(name)),
        cgroup=f"{ground.cgroup}/{name}",
        bridge=ground.bridge,
        veth=ground.veth(name),
        hardware_address=ground.hardware_address(name),
        address=ground.address(name),
        prefix=layout.PREFIX,
        gateway=ground.gateway,
        seccomp=str(SECCOMP),
    )
    machine.write_whole(ground.host(name) / "config", text)


def _named(ground: Ground, name: str) -> tuple[str, ...]:
    return (f"--lxcpath={ground.hosts}", f"--name={name}")


def _kill_all(ground: Ground, name: str) -> None:
    """A monitor that was killed leaves its host running, and LXC then calls it stopped."""
    deadline = time.monotonic() + PATIENCE
    while left := _processes(ground, name):
        if time.monotonic() > deadline:
            summary = f"processes {left} do not end"
            raise DeployerError(Problem(summary, Where(name), hint="restart this machine"))
        for pid in left:
            _kill(pid)
        time.sleep(0.05)


def _processes(ground: Ground, name: str) -> list[int]:
    pids = sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    return [pid for pid in pids if pid != os.getpid() and _belongs(ground, pid, name)]


def _belongs(ground: Ground, pid: int, name: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        groups = Path(f"/proc/{pid}/cgroup").read_text()
        words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    starts = words.startswith("lxc-start\0") and all(f"{word}\0" in words for word in _named(ground, name))
    watches = words.rstrip("\0") == f"[lxc monitor] {ground.hosts} {name}"
    return state != "Z" and (starts or watches or f"/{ground.cgroup}/{name}/" in groups)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _cgroups(ground: Ground, pattern: str) -> list[Path]:
    return sorted(tree / name for tree in _tops(ground) for name in fnmatch.filter(os.listdir(tree), pattern))


def _tops(ground: Ground) -> list[Path]:
    """The lab's group in the one hierarchy of cgroup v2, or in each of v1's."""
    root = Path("/sys/fs/cgroup")
    return [*root.glob(ground.cgroup), *root.glob(f"*/{ground.cgroup}")]


def _remove_cgroup(tree: Path) -> None:
    for folder, _, _ in os.walk(tree, topdown=False):
        os.rmdir(folder)
