"""SHIPPED to hosts: runs the steps of one barrier, one after another, and says what happens.

Reads one line of JSON, `{"steps": [{"do": "put"|"sh", …, "size": n}, …]}`, then the bytes of each step in
turn. Beside the steps may stand `run`, a token; `lock`, the id of the lock without which none is begun; and
`"alone": false`, if it keeps nobody else from working here. Prints one JSON event a line: `[i, "start"]`,
`[i, "line", text]`, `[i, "ok"]`, `[i, "failed", why]` (without a start: the lock is gone), `[i, "stopped"]`,
and every 5 s `[i, "alive"]`. Exits 0 when all went well or it was stopped, 1 at the first step that failed or
when nobody listens any more, 75 when another run is at work.
`{"stop": token}` has the run of that token end after its running step. Python 3.8, standard library only.
"""

import contextlib
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
import time

CHUNK = 1 << 16
HOME = "/run/deployer"
BEAT = 5
BUSY = 75
"""Exit number: nothing was begun, since somebody else is at it (EX_TEMPFAIL of sysexits.h)."""
PATIENCE = 60
"""Seconds to wait for a step that a run which was cut off is still at."""
STALE = 3600
"""Seconds after which a stop file, left by a stop that met no run, is swept."""
SPEAKING = threading.Lock()
GONE = threading.Event()
"""Nobody listens any more: the running step is the last."""


def tell(*event):
    line = (json.dumps(event) + "\n").encode()
    with SPEAKING:
        try:
            while line:
                line = line[os.write(1, line) :]
        except (BrokenPipeError, ConnectionResetError):
            GONE.set()


def beat(at):
    while not GONE.wait(BEAT):
        tell(at[0], "alive")


def chunks(size):
    while size:
        block = received(min(size, CHUNK))
        if not block:
            raise EOFError("the connection ended while content was on its way")
        size -= len(block)
        yield block


def received(size):
    try:
        return sys.stdin.buffer.read(size)
    except ConnectionResetError:  # the other end left before it had read what it was told
        return b""


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
        with contextlib.suppress(BrokenPipeError):  # its exit status tells what happened
            process.stdin.write(block)
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def stopfile(token):
    return os.path.join(HOME, "stop." + token)


def stopped(token):
    return bool(token) and os.path.exists(stopfile(token))


def sweep():
    for name in os.listdir(HOME):
        path = os.path.join(HOME, name)
        with contextlib.suppress(FileNotFoundError):  # another runner sweeps too
            if name.startswith("stop.") and time.time() - os.path.getmtime(path) > STALE:
                os.unlink(path)


def lapsed(lock):
    """Why the lock of this id allows no further step; "" while it is held, and where none is asked for."""
    found = record() if lock else {}
    if found.get("id", lock) != lock:
        return "the lock is held no longer; %(who)s took it (%(doing)s)" % found
    is_held = not lock or found and time.clock_gettime(time.CLOCK_BOOTTIME) < found["until"]
    return "" if is_held else "the lock is held no longer"


def record():
    """What lock.py has written down, and never while it writes; `{}` if nobody holds the lock."""
    path = os.path.join(HOME, "lock")
    try:
        with open(path + ".guard", "a") as guard:
            fcntl.flock(guard, fcntl.LOCK_SH)
            with open(path) as f:
                found = json.load(f)
        return dict(found, until=float(found["until"]), who=str(found["who"]), doing=str(found["doing"]))
    except (OSError, ValueError, LookupError, TypeError):
        return {}


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


def run(order, at):
    """What main() exits with."""
    for i, step in enumerate(order["steps"]):
        at[0] = i
        if GONE.is_set():
            return 1
        if stopped(order.get("run")):
            tell(i, "stopped")
            return 0
        why = lapsed(order.get("lock"))
        if why:
            tell(i, "failed", why)
        if why or not one(step, i):
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
    sweep()
    at = [0]
    threading.Thread(target=beat, args=(at,), daemon=True).start()
    with open(os.path.join(HOME, "runner"), "w") as lock:
        if order.get("alone", True) and not alone(lock):
            sys.stderr.write("another run is still at a step here, after %d s of waiting\n" % PATIENCE)
            return BUSY
        try:
            return run(order, at)
        finally:
            if stopped(order.get("run")):
                os.unlink(stopfile(order["run"]))


if __name__ == "__main__":
    sys.exit(main())
