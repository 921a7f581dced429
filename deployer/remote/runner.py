"""SHIPPED to hosts: runs the steps of one barrier, one after another, and says what happens.

Reads one line of JSON, `{"run": token, "steps": [{"do": "put"|"sh", …, "size": n}, …]}`, then the bytes of
each step in turn. Prints one JSON event a line: `[i, "start"]`, `[i, "line", text]`, `[i, "ok"]`,
`[i, "failed", why]`, `[i, "stopped"]`, and every 5 s `[i, "alive"]`. Exits 0 when all went well or it was
stopped, 1 at the first step that failed or when nobody listens any more, 75 when another run is at work.
`{"stop": token}` has the run of that token end after its running step. Python 3.8, standard library only.
"""

import fcntl
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
HOME = "/run/deployer"
BEAT = 5
BUSY = 75
"""Exit number: nothing was begun, since somebody else is at it (EX_TEMPFAIL of sysexits.h)."""
PATIENCE = 60
"""Seconds to wait for a step that a run which was cut off is still at."""
SPEAKING = threading.Lock()
GONE = threading.Event()
"""Nobody listens any more: the running step is the last."""


def tell(*event):
    line = (json.dumps(event) + "\n").encode()
    with SPEAKING:
        try:
            while line:
                line = line[os.write(1, line) :]
        except BrokenPipeError:
            GONE.set()


def beat(at):
    while not GONE.wait(BEAT):
        tell(at[0], "alive")


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
    reader = threading.Thread(target=forward, args=(process, i), daemon=True)
    reader.start()
    if step.get("watched"):
        threading.Thread(target=end_with_the_link, args=(process,), daemon=True).start()
    try:
        feed(process, step["size"])
    except EOFError:
        end(process, set())  # never to take half of its input for all of it
        raise
    finally:
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


def stopfile(token):
    return os.path.join(HOME, "stop." + token)


def stopped(token):
    return bool(token) and os.path.exists(stopfile(token))


def alone(lock):
    """Whether nobody else works here; a step that was cut off gets the time to end."""
    for _ in range(PATIENCE * 4):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if GONE.wait(0.25):
                break
    return False


def run(steps, token, at):
    """What main() exits with."""
    for i, step in enumerate(steps):
        at[0] = i
        if GONE.is_set():
            return 1
        if stopped(token):
            tell(i, "stopped")
            return 0
        if not one(step, i):
            return 1
    return 0


def one(step, i):
    tell(i, "start")
    try:
        put(step) if step["do"] == "put" else sh(step, i)
    except (OSError, RuntimeError, EOFError, LookupError) as error:
        tell(i, "failed", str(error))
        return False
    tell(i, "ok")
    return True


def main():
    order = json.loads(sys.stdin.buffer.readline().decode())
    os.makedirs(HOME, exist_ok=True)
    if "stop" in order:
        open(stopfile(order["stop"]), "w").close()
        return 0
    token, at = order["run"], [0]
    threading.Thread(target=beat, args=(at,), daemon=True).start()
    with open(os.path.join(HOME, "runner"), "w") as lock:
        if not alone(lock):
            sys.stderr.write("another run is still at a step here, after %d s of waiting\n" % PATIENCE)
            return BUSY
        try:
            return run(order["steps"], token, at)
        finally:
            if stopped(token):
                os.unlink(stopfile(token))


if __name__ == "__main__":
    sys.exit(main())
