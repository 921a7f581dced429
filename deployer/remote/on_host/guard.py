"""SHIPPED to hosts: puts files back by itself unless somebody who can still reach the host says not to.

Its own folder is the guard. `arm {"files": […], "again": [[…], …], "seconds": n}` keeps the files as they are
and sets a timer; it takes over what older guards have kept and not put back. `restore`, which the timer
calls, puts the files back to the byte, with mode and owner, or takes away what was absent, and runs the
commands `again`; it does so once. `undo` does so at once and ends the guard. `disarm` ends it, and fails when
it was too late. Exits 0 or 1. Python 3.8 standard library only.
"""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
NOTE = os.path.join(HERE, "guard.json")
RESTORED = os.path.join(HERE, "restored")


def arm(request):
    """All or nothing: without a timer of its own it leaves no trace, and older guards as they are."""
    try:
        status = take(request)
    except OSError as error:
        print("no guard: %s" % error)
        status = 1
    if status:
        shutil.rmtree(HERE)
    return status


def take(request):
    """Older guards are held until this one is set, so that none of them puts anything back meanwhile."""
    os.chmod(HERE, 0o700)
    with contextlib.ExitStack() as held:
        others = [held.enter_context(locked(folder)) for folder in neighbours()]
        write(note(request, sorted(filter(pending, others), key=os.path.getmtime)))
        status = set_timer(request["seconds"])
        for folder in [] if status else others:
            end(folder)
    return status


def neighbours():
    folders = [os.path.join(os.path.dirname(HERE), name) for name in os.listdir(os.path.dirname(HERE))]
    return [folder for folder in folders if folder != HERE and os.path.isdir(folder)]


@contextlib.contextmanager
def locked(folder):
    with open(os.path.join(folder, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def pending(folder):
    """Whether it would still put something back: after a reboot, or a restore cut off, none does."""
    armed = os.path.exists(os.path.join(folder, "guard.json"))
    if not armed or os.path.exists(os.path.join(folder, "restored")):
        return False
    return subprocess.call(["systemctl", "--quiet", "is-active", unit(folder) + ".timer"]) == 0


def unit(folder):
    return "deployer.guard-" + os.path.basename(folder)


def note(request, older):
    """What is kept, and what runs after it; of a file that several have kept, the oldest copy counts."""
    notes = [read(folder) for folder in older]
    kept = {file["path"]: file for n in reversed(notes) for file in n["kept"]}
    kept.update({path: seen(path) for path in request["files"] if path not in kept})
    commands = [argv for n in (*notes, request) for argv in n["again"]]
    again = [argv for n, argv in enumerate(commands) if argv not in commands[:n]]
    return {"kept": [keep(file, n) for n, file in enumerate(kept.values())], "again": again}


def read(folder):
    with open(os.path.join(folder, "guard.json")) as f:
        return json.load(f)


def seen(path):
    """How the file is now; `copy` is where its bytes are, None where there is none."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return {"path": path, "copy": None}
    owner = [status.st_uid, status.st_gid]
    return {"path": path, "copy": path, "mode": status.st_mode & 0o7777, "owner": owner}


def keep(file, n):
    if file["copy"] is None:
        return file
    return dict(file, copy=shutil.copyfile(file["copy"], os.path.join(HERE, "kept-%d" % n)))


def write(content):
    with open(NOTE, "w") as f:
        json.dump(content, f)
        f.flush()
        os.fsync(f.fileno())


def set_timer(seconds):
    timer = ["--quiet", "--collect", "--unit=" + unit(HERE), "--on-active=%d" % seconds]
    timer.append("--timer-property=AccuracySec=1s")
    return subprocess.call(["systemd-run", *timer, sys.executable, os.path.abspath(__file__), "restore"])


def restore():
    """Once: what somebody has mended since is theirs."""
    if os.path.exists(RESTORED) or not os.path.exists(NOTE):
        return 0
    kept = read(HERE)
    statuses = [tried(file["path"], put_back, file) for file in kept["kept"]]
    statuses += [tried(argv[0], run, argv) for argv in kept["again"]]
    open(RESTORED, "w").close()
    return 1 if any(statuses) else 0


def tried(name, act, what):
    """Each gets its turn, whatever became of the one before."""
    try:
        return act(what)
    except OSError as error:
        print("%s: %s" % (name, error))
        return 1


def put_back(file):
    if file["copy"] is None:
        if os.path.lexists(file["path"]):
            os.unlink(file["path"])
        return 0
    new = file["path"] + ".deployer-new"
    os.makedirs(os.path.dirname(new), exist_ok=True)
    shutil.copyfile(file["copy"], new)
    os.chown(new, *file["owner"])
    os.chmod(new, file["mode"])
    os.replace(new, file["path"])
    return 0


def run(argv):
    return subprocess.call(argv, stdin=subprocess.DEVNULL)


def disarm():
    if os.path.exists(RESTORED):
        print("it had put itself back before anybody could tell it not to")
        return 1
    end(HERE)
    return 0


def undo():
    """The guard ends whatever came of it: a second try would go over what somebody has mended."""
    status = restore()
    end(HERE)
    return status


def end(folder):
    """No timer and no copies any more."""
    subprocess.call(["systemctl", "--quiet", "stop", unit(folder) + ".timer"])
    shutil.rmtree(folder)


def main(word, *rest):
    with locked(HERE):
        if word == "arm":
            return arm(json.loads(rest[0]))
        return {"disarm": disarm, "undo": undo, "restore": restore}[word]()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
