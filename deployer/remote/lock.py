"""SHIPPED to hosts: the lock of a fleet. One JSON line in (`do`, `id`, `who`, `doing`, `seconds`), one out.

`take` fails while another holds it whose lease has not run out; the host's own clock decides.
`renew` lengthens the lease, `drop` gives it up, `break` takes it from whoever has it.
Exit: 0; 6 held by another (its record is printed). Python 3.8 standard library only.
"""

import fcntl
import json
import os
import sys
import time

PATH = "/run/deployer/lock"
AUDIT = "/var/lib/deployer/audit.log"


def held():
    try:
        with open(PATH) as f:
            found = json.load(f)
    except (OSError, ValueError):
        return None
    return found if found["until"] > time.time() else None


def write(request):
    now = time.time()
    record = {k: request[k] for k in ("id", "who", "doing")}
    record.update(since=request.get("since") or now, until=now + request["seconds"])
    with open(PATH + ".new", "w") as f:
        json.dump(record, f)
    os.replace(PATH + ".new", PATH)


def note(request):
    """One line an act, for whoever asks later what was done here and by whom."""
    os.makedirs(os.path.dirname(AUDIT), exist_ok=True)
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with open(AUDIT, "a") as f:
        f.write(" ".join((stamp, request["do"], request["who"], request["doing"])).replace("\n", " ") + "\n")


def main(request):
    os.makedirs(os.path.dirname(PATH), exist_ok=True)
    with open(PATH + ".guard", "w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        now = held()
        mine = now is not None and now["id"] == request["id"]
        if now and not mine and request["do"] != "break":
            print(json.dumps(dict(now, age=int(time.time() - now["since"]))))
            return 6
        if request["do"] in ("take", "renew"):
            write(dict(request, since=now["since"] if mine else None))
        elif os.path.exists(PATH):
            os.unlink(PATH)
    if request["do"] != "renew":
        note(request)
    return 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.stdin.buffer.readline().decode())))
