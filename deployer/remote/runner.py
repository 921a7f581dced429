"""SHIPPED to hosts: runs the steps of one stage, one after another, and says what happens.

Reads one line of JSON (`[{"do": "put"|"sh", …, "size": n}, …]`), then the bytes of each step in turn.
Prints one JSON event a line: `[i, "start"]`, `[i, "line", text]`, `[i, "ok"]`, `[i, "failed", why]`.
Exits 0 when all went well, 1 at the first that failed. Python 3.8 standard library only.
"""

import grp
import json
import os
import pwd
import select
import signal
import subprocess
import sys
import threading

CHUNK = 1 << 16


def tell(*event):
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def chunks(size):
    while size:
        block = sys.stdin.buffer.read(min(size, CHUNK))
        if not block:
            raise EOFError("the connection ended while content was on its way")
        size -= len(block)
        yield block


def put(step):
    """Write beside the target and rename, so that no reader ever sees half a file."""
    path = step["path"]
    os.makedirs(os.path.dirname(path), exist_ok=True)
    new = path + ".deployer-new"
    user, group = step["owner"].split(":")
    with open(os.open(new, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as f:
        for block in chunks(step["size"]):
            f.write(block)
        os.fchown(f.fileno(), number(user, pwd.getpwnam), number(group, grp.getgrnam))
        os.fchmod(f.fileno(), step["mode"])
        f.flush()
        os.fsync(f.fileno())
    os.replace(new, path)


def number(name, find):
    return int(name) if name.isdigit() else find(name)[2]


def sh(step, i):
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8")
    process = subprocess.Popen(
        step["argv"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )
    late = set()  # type: set[bool]
    clock = threading.Timer(step["timeout"], end, (process, late))
    clock.start()
    reader = threading.Thread(target=forward, args=(process, i))
    reader.start()
    if step.get("watched"):
        threading.Thread(target=end_with_the_link, args=(process,), daemon=True).start()
    feed(process, step["size"])
    status = process.wait()
    clock.cancel()
    reader.join(5)
    if late:
        raise RuntimeError("no end after %d s" % step["timeout"])
    if status:
        raise RuntimeError("exit status %d" % status)


def end_with_the_link(process):
    """A build that nobody hears any more would only keep the next one waiting."""
    link = select.poll()
    link.register(sys.stdout.fileno(), 0)
    link.poll()
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGHUP)


def end(process, late):
    late.add(True)
    os.killpg(process.pid, signal.SIGKILL)


def forward(process, i):
    for line in process.stdout:
        tell(i, "line", line.decode("utf-8", "replace").rstrip("\r\n"))


def feed(process, size):
    """All of the step's bytes are read even if it wants no more: the next step's come after them."""
    for block in chunks(size):
        try:
            process.stdin.write(block)
        except BrokenPipeError:
            pass  # its exit status tells what happened
    try:
        process.stdin.close()
    except BrokenPipeError:
        pass  # the same


def main():
    steps = json.loads(sys.stdin.buffer.readline().decode())
    for i, step in enumerate(steps):
        tell(i, "start")
        try:
            put(step) if step["do"] == "put" else sh(step, i)
        except (OSError, RuntimeError, EOFError, LookupError) as error:
            tell(i, "failed", str(error))
            return 1
        tell(i, "ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
