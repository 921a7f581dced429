"""A host's LXC container: started, looked at, and ended for certain."""

from __future__ import annotations

import fnmatch
import os
import signal
import time
from pathlib import Path

from deployer.lab import command, layout, machine, network
from deployer.lab.templates import render
from deployer.problems import DeployerError, Problem, Where

PATIENCE = 10.0
"""Seconds that a killed process may take to go."""


def state(name: str) -> tuple[str, int | None]:
    """LXC's word in lower case, `unknown` where its monitor is silent, and the process id of its init."""
    done = command.attempt(("timeout", "5", "lxc-info", *_named(name), "--state", "--pid"))
    said = dict(line.split(":", 1) for line in done.stdout.splitlines())
    pid = said.get("PID")
    return said.get("State", "unknown").strip().lower(), int(pid) if pid else None


def ensure_started(name: str) -> bool:
    """Starts a host that does not run, after clearing what an earlier run left; True if it had to."""
    configure(name)
    if state(name)[0] == "running" and Path("/sys/class/net", layout.veth(name), "master").exists():
        return False
    end(name)
    log = str(layout.host(name) / "lxc.log")
    command.run(("lxc-start", *_named(name), "--daemon", "--logpriority=WARN", f"--logfile={log}"))
    return True


def end(name: str) -> None:
    """Cuts the power: afterwards no process, no cgroup and no cable of this host is left."""
    _kill_all(name)
    for tree in _cgroups(name):
        _remove_cgroup(tree)
    network.remove_link(layout.veth(name))


def remains() -> list[str]:
    """Hosts that have a control group or a cable, whatever became of their folders."""
    return sorted({tree.name for tree in _cgroups("box-*")} | set(network.links()))


def remove_remains() -> None:
    """The empty control groups that held those of the hosts."""
    for tree in _tops():
        _remove_cgroup(tree)


def configure(name: str) -> None:
    """Writes the container's LXC config."""
    text = render(
        "container.conf.j2",
        name=name,
        rootfs=str(layout.rootfs(name)),
        cgroup=f"{layout.cgroup()}/{name}",
        bridge=layout.BRIDGE,
        veth=layout.veth(name),
        hardware_address=layout.hardware_address(name),
        address=layout.address(name),
        prefix=layout.PREFIX,
        gateway=layout.GATEWAY,
    )
    machine.write_whole(layout.host(name) / "config", text)


def _named(name: str) -> tuple[str, ...]:
    return (f"--lxcpath={layout.hosts()}", f"--name={name}")


def _kill_all(name: str) -> None:
    """A monitor that was killed leaves its host running, and LXC then calls it stopped."""
    deadline = time.monotonic() + PATIENCE
    while left := _processes(name):
        if time.monotonic() > deadline:
            summary = f"processes {left} do not end"
            raise DeployerError(Problem(summary, Where(name), hint="restart this machine"))
        for pid in left:
            _kill(pid)
        time.sleep(0.05)


def _processes(name: str) -> list[int]:
    pids = sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit())
    return [pid for pid in pids if pid != os.getpid() and _belongs(pid, name)]


def _belongs(pid: int, name: str) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        groups = Path(f"/proc/{pid}/cgroup").read_text()
        words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    starts = words.startswith("lxc-start\0") and all(f"{word}\0" in words for word in _named(name))
    watches = words.rstrip("\0") == f"[lxc monitor] {layout.hosts()} {name}"
    return state != "Z" and (starts or watches or f"/{layout.cgroup()}/{name}/" in groups)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _cgroups(pattern: str) -> list[Path]:
    return sorted(tree / name for tree in _tops() for name in fnmatch.filter(os.listdir(tree), pattern))


def _tops() -> list[Path]:
    """The lab's group in the one hierarchy of cgroup v2, or in each of v1's."""
    root = Path("/sys/fs/cgroup")
    return [*root.glob(layout.cgroup()), *root.glob(f"*/{layout.cgroup()}")]


def _remove_cgroup(tree: Path) -> None:
    for folder, _, _ in os.walk(tree, topdown=False):
        os.rmdir(folder)
