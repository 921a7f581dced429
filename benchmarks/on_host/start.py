"""SHIPPED to a host: seconds from the start to the first HTTP answer, of a dyno and of the bare process, in turn.

Argument: {"app": "bench", "runs": n}. Prints {"dyno": [...], "bare": [...]}. Python standard library only.
"""

import glob
import json
import os
import socket
import subprocess
import sys
import time


def main():
    request = json.loads(sys.argv[1])
    path = sorted(glob.glob("/var/lib/deployer/dynos/{}.web.1.*/dyno.json".format(request["app"])))[-1]
    with open(path) as f:
        dyno = json.load(f)
    key = os.path.basename(os.path.dirname(path))
    folder = glob.glob("/var/lib/deployer/apps/{}/slugs/*/app".format(request["app"]))[0]
    rounds = [(bare(folder), supervised(key, dyno)) for _ in range(request["runs"] + 1)][1:]
    print(json.dumps({"bare": [b for b, _ in rounds], "dyno": [d for _, d in rounds]}))


def bare(folder):
    environment = dict(os.environ, PORT="28999")
    began = time.perf_counter()
    process = subprocess.Popen(["/usr/bin/python3", "server.py"], cwd=folder, env=environment)
    took = answered(("127.0.0.1", 28999), began)
    process.kill()
    process.wait()
    return took


def supervised(key, dyno):
    unit = f"deployer.dyno@{key}.service"
    subprocess.run(["systemctl", "stop", unit], check=True)
    began = time.perf_counter()
    command = subprocess.Popen(["systemctl", "start", unit])
    took = answered((dyno["address"], dyno["port"]), began)
    if command.wait():
        raise SystemExit(unit + " did not start")
    return took


def answered(place, began):
    """A connect that meets nobody would wait a second for its next try: each try here is a new one."""
    while time.perf_counter() - began < 10:
        try:
            with socket.create_connection(place, timeout=0.005) as link:
                link.settimeout(1)
                link.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n")
                if link.recv(64).startswith(b"HTTP/1.1 200"):
                    return time.perf_counter() - began
        except OSError:
            time.sleep(0.001)
    raise SystemExit("no answer within 10 s from {}:{}".format(*place))


main()
