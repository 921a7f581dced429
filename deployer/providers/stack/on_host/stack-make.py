#!/usr/bin/env python3
"""Make the root file systems of a stack from this host's own package sources.

stdin:  {"name", "digest", "suite", "run": [package…], "build": [package…], "variants": ["run", "build"]}
result: /var/lib/deployer/stacks/<name>.<digest>.run/ and .build/, complete under these names or not there at all
exit:   0 made, or already there; 2 wrong input; 10 no Debian source on this host; 11 an image could not be made
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

HOME = Path("/var/lib/deployer")
STACKS = HOME / "stacks"
SCRATCH = Path("/run/deployer/stack-make")
CERTIFICATES = "usr/local/share/ca-certificates"
SETTINGS = re.compile(r"Acquire::(https?::.*|Retries|Check-Valid-Until|Check-Date|Force.*)$")
SHAPES = {"name": r"[a-z0-9][a-z0-9.-]*", "digest": r"[0-9a-f]{8,64}", "suite": r"[a-z0-9][a-z0-9.-]*"}
PACKAGE = r"[a-z0-9][a-z0-9.+-]*(=[0-9A-Za-z.+~:-]+)?"
DPKG = """force-unsafe-io
path-exclude=/usr/share/doc/*
path-include=/usr/share/doc/*/copyright
path-exclude=/usr/share/info/*
path-exclude=/usr/share/locale/*
path-exclude=/usr/share/man/*
"""
DYNO = {
    "etc/passwd": "dyno:x:1000:1000::/app:/bin/bash\n",
    "etc/group": "dyno:x:1000:\n",
    "etc/shadow": "dyno:*:19000:0:99999:7:::\n",
    "etc/gshadow": "dyno:!::\n",
}
FILES = {
    "etc/default/locale": "LANG=C.UTF-8\n",
    "etc/hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n",
    "etc/hostname": "dyno\n",
    "etc/machine-id": "",
    "etc/resolv.conf": "",
}
NOT_FOR_DYNOS = (
    "dev",
    "etc/apt/apt.conf.d",
    "etc/apt/sources.list.d",
    "tmp",
    "var/cache/apt",
    "var/cache/debconf",
    "var/lib/apt/lists",
    "var/lib/apt/mirrors",
    "var/log",
)
INSTALL = """set -e
mount -t proc proc "$0/proc"
mount --bind /dev "$0/dev"
chroot "$0" apt-get update -qq
exec chroot "$0" apt-get install -qq -y --no-install-recommends -- "$@"
"""
ALONE = (
    "setpriv",
    "--pdeathsig",
    "KILL",
    "unshare",
    "--mount",
    "--pid",
    "--mount-proc",
    "--fork",
    "--kill-child",
)
"""A killed run takes all its processes with it, and their mounts: nothing of /proc or /dev is left in an image."""
UNSYNCED = """set -e
cd "$0"
rm -rf work
mkdir work
mount -t overlay stack-make -o volatile,uuid=off,lowerdir=none,upperdir=root,workdir=work root
cd /
exec "$@"
"""
"""dpkg waits for the disk at every package. Half an image is never used, so it is enough to wait once, at the end."""
SILENT = "#!/bin/sh\nexit 101\n"
"""policy-rc.d: a package that brings a service must not start it here."""


class Failed(Exception):
    """The exit status and what to tell."""


def tell(line: str) -> None:
    """One line of progress."""
    print(f"       {line}", flush=True)


def ask(*argv: str) -> str:
    """The output of a command that only tells."""
    done = subprocess.run(argv, check=False, stdout=subprocess.PIPE)
    if done.returncode:
        raise Failed(10, f"{argv[0]} ended with {done.returncode}: look at /etc/apt and at `apt-get update`")
    return done.stdout.decode()


def run(root: Path, lock: int, *argv: str) -> None:
    """Run what fills `root` to its end and show mmdebstrap's progress; a failure shows the last lines of all."""
    calm = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    unsynced = ("sh", "-c", UNSYNCED, str(root.parent))
    child = subprocess.Popen((*ALONE, *unsynced, *argv), pass_fds=(lock,), env=calm, **pipes)
    said = []
    try:
        for line in child.stdout or ():
            said.append(line.decode(errors="replace").rstrip())
            if said[-1].startswith("I: ") and said[-1].endswith("..."):
                tell(said[-1][3:])
    except BaseException:
        child.kill()  # unshare hears no other signal while it waits; all that it began goes with it
        child.communicate()
        raise
    if child.wait():
        raise Failed(11, "\n".join([f"{' '.join(argv[:3])} … failed:", *said[-15:]]))


def write_settings(suite: str) -> None:
    """Where packages come from and how, as this host does it: mirrors, proxies, retries, clocks."""
    settings = (line for line in ask("apt-config", "dump").splitlines() if SETTINGS.match(line.split(" ")[0]))
    (SCRATCH / "apt").write_text("".join(line + "\n" for line in settings))
    (SCRATCH / "sources.list").write_text(ask(str(HOME / "bin/stack-sources"), suite))
    (SCRATCH / "dpkg").write_text(DPKG)


def bootstrap(root: Path, stack: dict, lock: int) -> None:
    """The run image: a minimal Debian, the packages of every dyno, the user `dyno`."""
    options = (f"--aptopt={SCRATCH}/apt", f"--dpkgopt={SCRATCH}/dpkg", f"--include={','.join(stack['run'])}")
    where = (stack["suite"], str(root), f"{SCRATCH}/sources.list")
    program = ("env", f"TMPDIR={SCRATCH}", "mmdebstrap", "--mode=root", "--variant=minbase")
    run(root, lock, *program, *options, *where)
    for name, line in DYNO.items():
        with (root / name).open("a") as file:
            file.write(line)
    for name, text in FILES.items():
        (root / name).write_text(text)
    (root / "app").mkdir(exist_ok=True)
    # some packages link a manual page into it, though it is left out
    (root / "usr/share/man/man1").mkdir(parents=True, exist_ok=True)
    if (root / "usr/sbin/update-ca-certificates").exists():
        # what the host trusts, its images trust
        shutil.copytree(f"/{CERTIFICATES}", root / CERTIFICATES, dirs_exist_ok=True)
        run(root, lock, "chroot", str(root), "update-ca-certificates")


def extend(root: Path, stack: dict, lock: int) -> None:
    """The build image: the run image, to the byte, and what a build needs on top."""
    image = STACKS / f"{stack['name']}.{stack['digest']}.run"
    run(root, lock, "cp", "-a", "--reflink=auto", f"{image}/.", str(root))
    shutil.copy(SCRATCH / "apt", root / "etc/apt/apt.conf.d/99host")
    shutil.copy(SCRATCH / "sources.list", root / "etc/apt/sources.list.d/host.list")
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text(SILENT)
    policy.chmod(0o755)
    run(root, lock, "sh", "-c", INSTALL, str(root), *stack["build"])
    policy.unlink()
    (root / "etc/resolv.conf").write_text("")


def remove(folder: Path) -> None:
    """Remove what is not whole, and never anything that is mounted in it."""
    subprocess.run(("rm", "-rf", "--one-file-system", str(folder)), check=True)


def strip(root: Path) -> None:
    """Empty what only apt needed: a dyno installs nothing, and a mirror or proxy address can hold a password."""
    for folder in filter(Path.is_dir, (root / name for name in NOT_FOR_DYNOS)):
        for entry in folder.iterdir():
            remove(entry)


def make(stack: dict, variant: str, lock: int) -> None:
    """Make one image under another name and give it its own only when it is whole and on the disk."""
    final = STACKS / f"{stack['name']}.{stack['digest']}.{variant}"
    partial = final.with_name(final.name + ".partial")
    root = partial / "root"
    remove(partial)
    if final.exists():
        return tell(f"{final.name} is there")
    print(f"-----> Making the image {final.name}", flush=True)
    began = time.monotonic()
    try:
        for folder in (root, partial / "none"):
            folder.mkdir(parents=True)
        {"run": bootstrap, "build": extend}[variant](root, stack, lock)
        strip(root)
        os.sync()
        root.rename(final)
    finally:
        remove(partial)
    tell(f"done in {time.monotonic() - began:.0f} s")


def read(text: str) -> dict:
    """The definition; a word in it that apt or a path could take for something else is refused."""
    stack = json.loads(text)
    words = [(stack[key], shape) for key, shape in SHAPES.items()]
    words += [(package, PACKAGE) for key in ("run", "build") for package in stack[key]]
    wrong = [word for word, shape in words if not re.fullmatch(shape, str(word))]
    if wrong:
        raise Failed(2, f"not a name: {', '.join(map(repr, wrong))}")
    return stack


def stopped(number: int, frame: object) -> None:
    """A signal ends the run in order: what is not whole is removed."""
    raise SystemExit(128 + number)


def main() -> None:
    """Make what is asked for, one run at a time on this host; a build image is made from the run image."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stopped)
    os.umask(0o022)
    stack = read(sys.stdin.read())
    STACKS.mkdir(parents=True, exist_ok=True)
    with open(STACKS / ".lock", "w") as lock:
        # what a killed run left at work holds this lock too, so nothing is swept away under it
        fcntl.flock(lock, fcntl.LOCK_EX)
        remove(SCRATCH)
        SCRATCH.mkdir(parents=True, mode=0o700)
        try:
            write_settings(stack["suite"])
            for variant in ("run", "build") if "build" in stack["variants"] else ("run",):
                make(stack, variant, lock.fileno())
        finally:
            remove(SCRATCH)


if __name__ == "__main__":
    try:
        main()
    except Failed as failed:
        print(f" !     {failed.args[1]}", file=sys.stderr)
        sys.exit(failed.args[0])
    except (OSError, KeyError, ValueError, subprocess.CalledProcessError) as error:
        print(f" !     {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, (KeyError, ValueError)) else 11)
