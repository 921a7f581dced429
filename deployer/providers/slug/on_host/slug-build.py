#!/usr/bin/env python3
"""Build a slug. Whatever comes from the app or a buildpack runs in one-off dynos, never on the host itself.

usage:  slug-build APP DIGEST BASE      BASE: first uid of the app's range; its dynos are BASE+1000
stdin:  tar of source/…, buildpacks/<name>/…, env/<NAME> and build.json:
        {"stack": name, "definition": of the stack, "image": folder in stacks/, "buildpacks": [name…] in their order,
         "hidden": [NAME…] that no output may show, "commit", "address": of the build dyno, "env": what it sees besides,
         "memory": MB, "pids", "timeout": s for all of it}
result: apps/APP/slugs/DIGEST/{app/,.slug.json,.build.log}, complete under this name or not there at all
exit:   0 built, or already there; 2 wrong input; 20 a buildpack does not fit; 21 a buildpack failed; 22 out of time;
        23 slug too large; 24 out of memory; 25 the host failed (no stack image…); 26 the build filled the disk
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
import threading
import time
from pathlib import Path
from typing import NamedTuple, TextIO

HOME, RUN = Path("/var/lib/deployer"), Path("/run/deployer")
MB = 1 << 20
LARGEST, LARGE = 500 * MB, 300 * MB
"""Compressed (Heroku contract 7.3)."""
SPARE = 500 * MB
"""Of the host's disk; a build that takes more would take the room of what runs."""
OUTCOMES = {
    20: (20, "a buildpack does not fit; the slug was not built"),
    21: (21, "a buildpack failed; the slug was not built"),
    124: (22, "the build took too long (fleet.json: build.timeout); the slug was not built"),
    137: (24, "the build needs more memory (fleet.json: build.memory); the slug was not built"),
    143: (26, f"the build left less than {SPARE // MB} MB of disk and was stopped; the slug was not built"),
}
"""What the statuses of the build dyno mean here."""


class Failed(Exception):
    """The exit status and what to tell."""


class Job(NamedTuple):
    """One build: where it works, and as whom."""

    app: str
    digest: str
    base: int
    lock: int
    input: dict

    @property
    def home(self) -> Path:
        return HOME / "apps" / self.app

    @property
    def slug(self) -> Path:
        return self.home / "build" / "slug"

    @property
    def final(self) -> Path:
        return self.home / "slugs" / self.digest


def heading(words: str) -> None:
    """One step of the build, the way Heroku shows it."""
    print(f"-----> {words}", flush=True)


def receive(job: Job) -> Job:
    """Unpack standard input as the app's user: files under the app's folder, config vars in memory only."""
    work, user = job.home / "build", job.base + 1000
    folders = {
        "source": job.slug / "app",
        "buildpacks": work / "buildpacks",
        "env": RUN / "build" / job.app,
        "build.json": work / "input",
    }
    for folder in (*folders.values(), work / "result", job.home / "cache"):
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, user, user)
    folders["env"].chmod(0o700)
    unpack = [str(HOME / "bin/unpack"), str(user), *(f"{top}={folder}" for top, folder in folders.items())]
    status = subprocess.run(unpack, pass_fds=(job.lock,), check=False).returncode
    if status:
        raise Failed(status, "the source could not be unpacked")
    return job._replace(input=json.loads((work / "input/build.json").read_text()))


def cache_for(cache: Path, stack: str) -> None:
    """What was compiled on one stack is of no use on another (Heroku contract 7.3)."""
    mark = cache.with_name("cache.stack")
    if mark.exists() and mark.read_text() != stack:
        subprocess.run(("find", str(cache), "-mindepth", "1", "-delete"), check=True)
    mark.write_text(stack)


def compile_in_dyno(job: Job) -> None:
    """Run the buildpacks in a one-off dyno of the build image, with the app's folders in their places."""
    work = job.home / "build"
    places = {
        "/app": job.slug / "app",
        "/tmp/buildpacks": work / "buildpacks",
        "/tmp/cache": job.home / "cache",
        "/tmp/env": RUN / "build" / job.app,
        "/tmp/result": work / "result",
        "/tmp/slug-compile": HOME / "bin/slug-compile",
    }
    spec = {
        "name": f"{job.app}.build",
        "base": job.base,
        "lower": [str(HOME / "stacks" / job.input["image"])],
        "binds": [{"source": str(source), "target": target} for target, source in places.items()],
        "command": ["/tmp/slug-compile", *job.input["buildpacks"]],
        **{key: job.input[key] for key in ("address", "env", "memory", "pids", "timeout")},
    }
    once = ("setpriv", "--pdeathsig", "TERM", str(HOME / "bin/dyno-once"))
    # its two streams become one, so that the order of what buildpacks say is kept
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    child = subprocess.Popen(once, pass_fds=(job.lock,), **pipes)
    threading.Thread(target=watch_the_disk, args=(child, job.home), daemon=True).start()
    hidden = [str(places["/tmp/env"] / name) for name in job.input["hidden"]]
    relay = subprocess.Popen((HOME / "bin/slug-relay", job.slug / ".build.log", *hidden), stdin=child.stdout)
    try:
        child.stdin.write(json.dumps(spec).encode())
        child.stdin.close()
        relay.wait()
    finally:
        if relay.poll() is None:
            child.terminate()
        child.wait()
    if child.returncode:
        raise Failed(*OUTCOMES.get(child.returncode, (25, "the build dyno could not be started")))


def watch_the_disk(child: subprocess.Popen, folder: Path) -> None:
    """Stop the build before it takes the disk from everything else on this host."""
    while child.poll() is None and shutil.disk_usage(folder).free > SPARE:
        time.sleep(1)
    child.terminate()


def result(job: Job, name: str) -> str:
    """What the dyno left; it is the app's to write, so a link in its place leads nowhere."""
    path = job.home / "build/result" / name
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), errors="replace") as file:
        return file.read(MB)


def measure(slug: Path) -> int:
    """How large the slug is when it is packed, in bytes."""
    tar = subprocess.Popen(["tar", "-C", str(slug), "-c", "app"], stdout=subprocess.PIPE)
    packed = subprocess.Popen(["zstd", "-q", "-1", "-c"], stdin=tar.stdout, stdout=subprocess.PIPE)
    size = sum(len(part) for part in iter(lambda: packed.stdout.read(MB), b""))
    if tar.wait() or packed.wait():
        raise Failed(25, "the slug could not be packed")
    if size > LARGEST:
        raise Failed(23, f"the slug has {size // MB} MB, more than the {LARGEST // MB} MB that are allowed")
    return size


def finish(job: Job) -> None:
    """Give the slug its name, once it is whole and on the disk."""
    heading("Compressing...")
    size = measure(job.slug)
    record = {key: job.input[key] for key in ("stack", "definition", "buildpacks", "commit")}
    record |= {"release": result(job, "release"), "procfile": result(job, "procfile"), "size": size}
    (job.slug / ".slug.json").write_text(json.dumps(record, sort_keys=True) + "\n")
    (job.slug / "app").chmod(0o755)
    os.sync()
    job.final.parent.mkdir(exist_ok=True)
    job.slug.rename(job.final)
    print(f"       Done: {size / MB:.1f} MB", flush=True)
    if size > LARGE:
        print(f" !     Warning: a slug over {LARGE // MB} MB starts slowly", flush=True)


def build(job: Job) -> None:
    """From standard input to a slug under its name."""
    if job.final.exists():
        while sys.stdin.buffer.read(MB):
            pass  # whoever sends must not die of a broken pipe
        return print(f"       The slug {job.digest} is there", flush=True)
    job = receive(job)
    if shutil.disk_usage(job.home).free < SPARE:
        raise Failed(*OUTCOMES[143])
    cache_for(job.home / "cache", job.input["stack"])
    heading(f"Building on the {job.input['stack']} stack")
    compile_in_dyno(job)
    finish(job)


def sweep(job: Job) -> None:
    """Remove what this build or a killed one left."""
    for folder in (job.home / "build", RUN / "build" / job.app):
        shutil.rmtree(folder, ignore_errors=True)


def stopped(number: int, frame: object) -> None:
    """A signal ends the build in order: the dyno is stopped, the work is removed."""
    raise SystemExit(128 + number)


def wait_for(lock: TextIO) -> None:
    """One build at a time; whoever waits is told so."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        heading("Another build is running on this host; waiting for its end")
        fcntl.flock(lock, fcntl.LOCK_EX)


def main(app: str, digest: str, base: str) -> None:
    """One build at a time on this host."""
    if not re.fullmatch(r"[a-z0-9-]+ [0-9a-f]+ [0-9]+", f"{app} {digest} {base}"):
        raise ValueError(f"{app} {digest} {base}")
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, stopped)
    os.umask(0o022)
    (HOME / "apps" / app).mkdir(parents=True, exist_ok=True)
    # a dyno that outlives a killed build holds this lock too, so nothing is swept away under it
    with open(HOME / ".build.lock", "w") as lock:
        wait_for(lock)
        job = Job(app, digest, int(base), lock.fileno(), {})
        sweep(job)
        try:
            build(job)
        finally:
            sweep(job)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Failed as failed:
        print(f" !     {failed.args[1]}", file=sys.stderr)
        subprocess.run((HOME / "bin/log-say", sys.argv[1], "Build failed"), check=False)
        sys.exit(failed.args[0])
    except (KeyError, TypeError, ValueError) as error:
        print(f" !     wrong input: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        print(f" !     {error}", file=sys.stderr)
        sys.exit(25)
