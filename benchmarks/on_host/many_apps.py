"""SHIPPED to a host: an nginx of its own with the files of so many apps, beside the one that serves.

Reads {"site", "shared"} (base64 of one app's file, in which 0000 is its number, and of what apps share), "counts",
"ports" {"80": other, …} and "runs". Prints {"<count>": {"check", "reload" (seconds), "master", "worker" (KB, PSS),
"answers" (a second, over one connection)}}. Python standard library only.
"""

import base64
import http.client
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

MAIN = """include /etc/nginx/modules-enabled/*.conf;
user www-data; worker_processes 1; pid %(folder)s/pid; error_log %(folder)s/error.log;
events { worker_connections 768; }
http {
	include /etc/nginx/mime.types; access_log off;
	server { listen 127.0.0.1:%(dyno)d; access_log off; keepalive_requests 1000000; location / { return 200 "ok"; } }
	include %(folder)s/*.conf;
}
"""


def main(request):
    texts = {name: base64.b64decode(request[name]).decode() for name in ("site", "shared")}
    for old, new in request["ports"].items():
        listening = re.compile(rf"(listen (?:\S+:)?){old}\b")
        texts = {name: listening.sub(rf"\g<1>{new}", text) for name, text in texts.items()}
    print(json.dumps({count: measured(texts, count, request) for count in request["counts"]}))


def measured(texts, count, request):
    folder = tempfile.mkdtemp(prefix="many-apps.")
    os.chmod(folder, 0o755)
    try:
        write(folder + "/main", MAIN % {"folder": folder, "dyno": request["dyno"]})
        write(folder + "/deployer.conf", texts["shared"].replace("/run/deployer/", folder + "/"))
        for n in range(count):
            write(f"{folder}/deployer.{n}.conf", texts["site"].replace("0000", f"{n:04d}"))
        return run(folder, count, request)
    finally:
        shutil.rmtree(folder)


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def run(folder, count, request):
    argv = ["nginx", "-c", folder + "/main"]
    check = timed(lambda: subprocess.run([*argv, "-t", "-q"], check=True))
    subprocess.run(argv, check=True)
    try:
        master = until(lambda: int(open(folder + "/pid").read()))
        reload = [timed(lambda: renew(master)) for _ in range(request["runs"])]
        answers = rate(request["ports"]["80"], request["host"].replace("0000", f"{count - 1:04d}"))
        found = {"check": check, "reload": statistics.median(reload), "answers": answers}
        return dict(found, master=pss(master), worker=pss(workers(master)[0]))
    finally:
        os.kill(master, signal.SIGTERM)
        until(lambda: not os.path.exists(f"/proc/{master}"))


def renew(master):
    old = workers(master)
    os.kill(master, signal.SIGHUP)
    until(lambda: workers(master) and not set(old) & set(workers(master)))


def rate(port, host):
    link = http.client.HTTPConnection("127.0.0.1", port)
    end, asked = time.monotonic() + 3, 0
    while time.monotonic() < end:
        link.request("GET", "/", headers={"Host": host})
        answer = link.getresponse()
        body = answer.read()
        if answer.status != 200 or body != b"ok":
            sys.exit(f"{host} answered {answer.status} {body!r}")
        asked += 1
    return asked / 3


def workers(master):
    with open(f"/proc/{master}/task/{master}/children") as f:
        return [int(pid) for pid in f.read().split()]


def timed(work):
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def until(found):
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            if value := found():
                return value
        except (FileNotFoundError, ValueError):
            pass
        time.sleep(0.01)
    sys.exit("nginx did not come up, or down, within 120 s")


def pss(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return int(re.search(r"^Pss:\s+(\d+)", f.read(), re.M).group(1))


main(json.loads(sys.argv[1]))
