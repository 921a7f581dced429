"""Parts of a way of log lines, on one host, by the word `do` of the request; prints JSON.

listen, forward   a bare rsyslogd as one would write it by hand: TCP in, file out; own socket in, TCP out. And the same
                  by RELP, where each line is acknowledged
bare              numbered lines through `logger` into one of its sockets, as a dyno's go into the deployer's
dyno              has the web dyno of the app write such lines
await             when the last of so many numbered lines is in a file, and how many of them are there
away, back        kills the logplex of this host and keeps it down; starts it again
end               stops the bare rsyslogd
"""

import json
import os
import subprocess
import sys
import time
import urllib.request

HOME = "/var/lib/deployer-bench"
INPUT = """module(load="imuxsock" sysSock.use="off")
module(load="omrelp")
input(type="imuxsock" socket="/run/deployer-bench.tcp" rateLimit.interval="0" ruleset="tcp")
input(type="imuxsock" socket="/run/deployer-bench.relp" rateLimit.interval="0" ruleset="relp")
ruleset(name="tcp") {
  action(type="omfwd" target="%s" port="20599" protocol="tcp" queue.type="LinkedList" queue.size="50000")
}
ruleset(name="relp") {
  action(type="omrelp" target="%s" port="20598" queue.type="LinkedList" queue.size="50000")
}
"""
OUTPUT = """module(load="imtcp")
module(load="imrelp")
input(type="imtcp" port="20599" ruleset="tcp")
input(type="imrelp" port="20598" ruleset="relp")
ruleset(name="tcp") {
  action(type="omfile" file="/var/lib/deployer-bench/tcp.log")
}
ruleset(name="relp" queue.type="LinkedList" queue.size="50000") {
  action(type="omfile" file="/var/lib/deployer-bench/relp.log")
}
"""
WRITER = """import sys
n, name = int(sys.argv[1]), sys.argv[2]
for first in range(1, n + 1, 500):
    rows = ("%s %d at 0 " % (name, i) for i in range(first, min(first + 500, n + 1)))
    sys.stdout.write("".join(row.ljust(80, ".") + "\\n" for row in rows)); sys.stdout.flush()
"""


def start(conf):
    """A transient unit: it is gone when it is stopped."""
    os.makedirs(HOME, exist_ok=True)
    with open(f"{HOME}/rsyslog.conf", "w") as f:
        f.write(f'global(maxMessageSize="16k" workDirectory="{HOME}")\n{conf}')
    argv = ("rsyslogd", "-n", "-iNONE", "-f", f"{HOME}/rsyslog.conf")
    subprocess.run(("systemd-run", "-q", "--unit=deployer-bench", *argv), check=True)
    time.sleep(1)


def end():
    subprocess.run(("systemctl", "stop", "deployer-bench"), check=False, stderr=subprocess.DEVNULL)
    subprocess.run(("rm", "-rf", HOME, "/run/deployer-bench.tcp", "/run/deployer-bench.relp"), check=True)


def bare(name, lines, by):
    writer = subprocess.Popen((sys.executable, "-c", WRITER, str(lines), name), stdout=subprocess.PIPE)
    began = time.time()
    logger = (
        "logger",
        "-u",
        f"/run/deployer-bench.{by}",
        "--socket-errors=off",
        "-t",
        "bench",
        "-S",
        "10000",
    )
    subprocess.run(logger, stdin=writer.stdout, check=True)
    return began


def dyno(place, name, lines, rate):
    with open(place) as f:
        seat = json.load(f)
    began = time.time()
    query = f"name={name}&lines={lines}&rate={rate}"
    urllib.request.urlopen(f"http://{seat['address']}:{seat['port']}/count?{query}").read()
    return began


def arrival(path, name, lines, seconds):
    """Asks for the last line only; counts once it is there, or after 10 s: others may have come after it."""
    mark, began = f" {name} {lines} at ".encode(), time.monotonic()
    end = began + seconds
    while time.monotonic() < min(began + 10, end):
        with open(path, "rb") if os.path.exists(path) else open(os.devnull, "rb") as f:
            f.seek(max(0, f.seek(0, 2) - 100_000))
            if mark in f.read():
                break
        time.sleep(0.01)
    at, count = time.time(), seen(path, name)
    while count < lines and time.monotonic() < end:
        time.sleep(0.1)
        at, count = time.time(), seen(path, name)
    return {"at": at, "seen": count}


def seen(path, name):
    """How many different numbers; memory and disk of a queue may be sent side by side."""
    text = b"".join(open(part, "rb").read() for part in (path + ".1", path) if os.path.exists(part))
    return len({int(row.split()[0]) for row in text.split(f" {name} ".encode())[1:]})


def main(do, **given):
    if do == "away":
        subprocess.run(("systemctl", "kill", "-s", "KILL", "deployer.logplex"), check=True)
        subprocess.run(("systemctl", "stop", "deployer.logplex"), check=True)
    elif do == "back":
        subprocess.run(("systemctl", "start", "deployer.logplex"), check=True)
    elif do == "listen":
        start(OUTPUT)
    elif do == "forward":
        start(INPUT % (given["target"], given["target"]))
    else:
        return {"bare": bare, "dyno": dyno, "await": arrival, "end": end}[do](**given)
    return None


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
