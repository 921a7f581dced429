"""Requests a second and p99 through a router's file against a hand-written nginx upstream to the same dynos; and balance.

The upstream written by hand has keep-alive and the usual headers; it logs to a file once, and once to where our lines go,
since the logplex takes its share of the same processors. Needs `wrk` on this machine.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import median
from typing import Any

import bench_app
from measure import HERE, arguments, client, places

from deployer import source

SITE, PLAIN = "/etc/nginx/conf.d/deployer.bench.conf", "/etc/nginx/conf.d/bench-by-hand.conf"
LOG = "/var/lib/deployer/logs/bench.log"
SOCKET = "syslog:server=unix:/run/deployer/log,facility=local0,tag=bench,nohostname"
PORTS = {"ours": 80, "by hand, log in a file": 8181, "by hand, log in the logplex": 8182}
LOGS = {8181: "/var/log/nginx/access.log", 8182: SOCKET}
CONNECTIONS, SECONDS, WARM_SECONDS, BALANCE_SECONDS = 32, 4, 2, 8
SERVER = """
server {{
	listen {port};
	access_log {log};
	location / {{
		proxy_pass http://by_hand;
		proxy_http_version 1.1;
		proxy_set_header Connection "";
		proxy_set_header Host $host;
		proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
		proxy_set_header X-Forwarded-Proto $scheme;
	}}
}}
"""
SPEED = re.compile(r"99%\s+([\d.]+)(us|ms|s)\b.*?Requests/sec:\s+([\d.]+)", re.S)
MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


def main() -> None:
    given = arguments(__doc__ or "", 5)
    with bench_app.folder(given.folder, HERE / "pages") as made:
        bench_app.deploy("apply", made, "--yes")
        fleet = source.load(made, None).fleet
        homes = {place["name"]: place for place in places(fleet)}
        router = homes[fleet.with_role("router")[0].name]
        with by_hand(router):
            speed(router["address"], given.runs)
        balance(router["address"], homes[fleet.with_role("logplex")[0].name])


@contextmanager
def by_hand(router: Mapping[str, Any]) -> Iterator[None]:
    """The same upstream, as somebody would write it, for as long as this lasts."""
    servers = "".join(
        f"\tserver {at};\n" for at in re.findall(r"^\tserver (\S+) ", on(router, f"cat {SITE}"), re.M)
    )
    text = f"upstream by_hand {{\n{servers}\tkeepalive {CONNECTIONS};\n}}\n"
    text += "".join(SERVER.format(port=port, log=log) for port, log in LOGS.items())
    try:
        on(router, f"cat >{PLAIN} && nginx -t -q && systemctl reload nginx", text)
        time.sleep(1)
        yield
    finally:
        on(router, f"rm -f {PLAIN}; systemctl reload nginx")


def on(place: Mapping[str, Any], command: str, text: str = "") -> str:
    with client(place) as link:
        stdin, stdout, stderr = link.exec_command(command)
        stdin.write(text)
        stdin.channel.shutdown_write()
        found, errors = stdout.read().decode(), stderr.read().decode()
        if stdout.channel.recv_exit_status():
            sys.exit(f"{place['name']}: {errors}")
        return found


def wrk(address: str, port: int, seconds: int, *headers: str) -> str:
    host = ("-H", f"Host: {bench_app.NAME}.invalid")
    load = ("-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency")
    argv = ("wrk", *load, *host, *headers, f"http://{address}:{port}/")
    done = subprocess.run(argv, capture_output=True, text=True)
    if done.returncode or "Non-2xx" in done.stdout:
        sys.exit(f"{' '.join(argv)}\n{done.stdout}{done.stderr}")
    return done.stdout


def speed(address: str, runs: int) -> None:
    """They take turns, so that a busy moment of the machine meets all of them."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in PORTS}
    for port in PORTS.values():
        wrk(address, port, WARM_SECONDS)
    for _ in range(runs):
        for name, port in PORTS.items():
            slow, unit, rate = SPEED.search(wrk(address, port, SECONDS)).groups()  # type: ignore[union-attr]
            seen[name].append((float(rate), float(slow) * MS[unit]))
    rates = {name: median(rate for rate, _ in rows) for name, rows in seen.items()}
    for name, rows in seen.items():
        p99, share = median(slow for _, slow in rows), rates["ours"] / rates[name]
        print(f"router, {name}: {rates[name]:.0f} requests/s, p99 {p99:.1f} ms; ours has {share:.0%} of it")


def balance(address: str, logplex: Mapping[str, Any]) -> None:
    """Which dyno each request went to, by the router's own lines."""
    mark = str(uuid.uuid4())
    wrk(address, PORTS["ours"], BALANCE_SECONDS, "-H", f"X-Request-Id: {mark}")
    time.sleep(3)
    lines = on(logplex, f"cat {LOG}.1 {LOG} 2>/dev/null | grep -F {mark} | grep -o ' dyno=[^ ]*' || true")
    shares = Counter(lines.split())
    even = shares.total() / len(shares)
    worst = max(abs(share - even) for share in shares.values()) / even
    print(
        f"balance: {shares.total()} requests to {len(shares)} dynos, the worst share is {worst:.2%} from even"
    )


if __name__ == "__main__":
    main()
