"""SHIPPED to hosts: the lock of a host. One line of JSON in (`do`, `id`, `who`, `doing`, `seconds`).

`hold` takes the lock and keeps it for as long as this process lives and its client renews it. It says, a line
of JSON each: `{"waits": record}` (a step of an earlier apply is still running), `{"held": true}`, and
`{"lost": record}` (it was broken or taken). After the first it hears lines: `renew` lengthens the lease by
`seconds`, `drop` gives the lock up, and so does the end of standard input: a killed client, a cut link.
`break` takes it from whoever has it and prints that record, `{}` if nobody; `look` only prints it.

One lock for all apps, because apps on one host share its ports and addresses. Leases are measured by the time
since boot, sleep counted, and never by the wall clock, which may jump; a reboot empties /run.
Exit: 0; 6 held by another (its record is printed) or lost. Python 3.8 standard library only.
"""

import contextlib
import fcntl
import json
import os
import select
import sys
import time

PATH = "/run/deployer/lock"
SIZE = 4096
"""Bytes of the record, blanks at its end: one page, which can be written anew while /run is full."""
WORDS = 150
"""Characters of `who` and `doing` that are kept."""
RUNNER = "/run/deployer/runner"
"""Locked by a runner while it is at its steps; one whose link was cut finishes the step that it is at."""
AUDIT = "/var/lib/deployer/audit.log"
LOOK_SECONDS, STEP_SECONDS, STEP_LOOK_SECONDS = 1, 30, 0.2
HELD = 6


def clock():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@contextlib.contextmanager
def guard():
    """One at a time between a look at the record and the act that follows from it."""
    os.makedirs(os.path.dirname(PATH), exist_ok=True)
    with open(PATH + ".guard", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def read():
    """The record, whether or not its lease has run out; `{}` if there is none, or one that is damaged."""
    try:
        with open(PATH) as f:
            found = json.load(f)
        return dict(found, since=float(found["since"]), until=float(found["until"]))
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def holder():
    """What is from before this boot, or from a clock of another kind, is nobody's."""
    found = read()
    return found if found and found["since"] <= clock() < found["until"] else {}


def write(request, since, seconds):
    """In its place; whoever reads it has the guard too."""
    record = {"id": request["id"], "who": request["who"][:WORDS], "doing": request["doing"][:WORDS]}
    record.update(since=since, until=clock() + seconds, pid=os.getpid())
    with open(os.open(PATH, os.O_RDWR | os.O_CREAT, 0o644), "rb") as f:
        os.pwrite(f.fileno(), json.dumps(record).encode().ljust(SIZE), 0)
        os.truncate(f.fileno(), SIZE)


def aged(record):
    return dict(record, age=int(clock() - record["since"])) if record else {}


def say(answer):
    tell(sys.stdout, json.dumps(answer))


def tell(stream, line):
    try:
        os.write(stream.fileno(), line.encode() + b"\n")
    except OSError:
        pass  # the client is gone; the end of standard input tells so


def note(act, request, whom=None):
    """One line an act, for whoever asks later what was done here and by whom."""
    words = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), act, request["who"], request["doing"]]
    words += ["(%s: %s)" % (whom["who"], whom["doing"])] if whom else []
    try:
        os.makedirs(os.path.dirname(AUDIT), exist_ok=True)
        with open(AUDIT, "a") as f:
            f.write(" ".join(words).replace("\n", " ") + "\n")
    except OSError as error:  # a full disk must not keep the lock from being given up
        tell(sys.stderr, "no line in %s: %s" % (AUDIT, error))


def take(request):
    """Whoever else holds it; `{}` if it is held by this process now."""
    with guard():
        other = holder()
        if not other:
            write(request, clock(), request["seconds"])
    if not other:
        note("take", request)
    return aged(other)


def broken(request):
    """Whose lock was broken. What is left says who broke it, for the process that held it."""
    with guard():
        other = holder()
        try:
            write(request, clock(), 0)
        except OSError as error:
            tell(sys.stderr, "no word for its holder: %s" % error)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(PATH)
    note("break", request, other)
    return aged(other)


def looked():
    with guard():
        return aged(holder())


def step_ended():
    with open(RUNNER, "a") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def listen(seconds):
    """What the client says: `renew`, `drop`, `cut` at its end, None if nothing for `seconds`."""
    if not select.select([sys.stdin], [], [], seconds)[0]:
        return None
    try:
        words = os.read(sys.stdin.fileno(), 4096)
    except ConnectionResetError:  # the client left before it had read what it was told
        return "cut"
    if not words:
        return "cut"
    return "drop" if b"drop" in words else "renew"


def obey(request, word):
    """What the client says, if the lock is still this process's: `(done, the record before it)`."""
    with guard():
        now = read()
        if now.get("id") != request["id"]:
            return "lost", now or {"who": "somebody", "doing": "remove " + PATH, "since": clock()}
        if word == "renew":
            renew(request, now["since"])
        elif word:
            os.unlink(PATH)
    return word, now


def renew(request, since):
    try:
        write(request, since, request["seconds"])
    except OSError as error:  # the lease still has its time, and the next renewal may do
        tell(sys.stderr, "the lease could not be renewed: %s" % error)


def turn(request, word):
    """The exit status; None while it goes on."""
    done, now = obey(request, word)
    if done in ("renew", None):
        return None
    note(done, request, now if done == "lost" else None)
    if done == "lost":
        say({"lost": aged(now)})
    return HELD if done == "lost" else 0


def outlast(request):
    """Wait for a step of an earlier apply to end. The exit status; None if nothing is in the way."""
    busy = {"who": "a step of an earlier apply", "doing": "finish it", "since": clock(), "step": True}
    status, told = None, False
    while status is None and not step_ended():
        if not told:
            say({"waits": aged(busy)})
        told = True
        if clock() - busy["since"] > STEP_SECONDS:
            turn(request, "drop")
            say(aged(busy))
            return HELD
        status = turn(request, listen(STEP_LOOK_SECONDS))
    return status


def hold(request):
    try:
        other = take(request)
    except OSError as error:  # /run is full
        tell(sys.stderr, "the record cannot be written: %s" % error)
        return 1
    if other:
        say(other)
        return HELD
    status = outlast(request)
    if status is None:
        say({"held": True})
    while status is None:
        status = turn(request, listen(LOOK_SECONDS))
    return status


def main(request):
    if request["do"] == "hold":
        return hold(request)
    say(broken(request) if request["do"] == "break" else looked())
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.stdin.buffer.readline().decode())))
