"""What the platform says of a dyno's memory and load in its app's log, every 20 s."""

from __future__ import annotations

import json
import math
import socket
import sys
import time
from typing import Dict, Iterator, List

from dynos import MB, Dyno, Memory, all_dynos, memory, processes, read, state, threads

LOG, CHOICES = "/run/deployer/log", "/etc/deployer/meter"
LOCAL0_INFO = 134
TICK, TICKS = 5, 4
"""Seconds between two looks, and looks between two reports (Heroku contract 4.2, 6.5: about 20 s)."""
MINUTES = (1, 5, 15)
CALM, FIRST_TO_GO = 500, 1000
"""The kernel's score for who goes first when the host runs out of memory: a dyno, and one over its quota."""
Load = Dict[int, float]
"""Threads that run or wait, by the minutes that they are averaged over."""


def watch(services: str) -> None:
    """For ever: look often, report seldom."""
    loads: Dict[str, Load] = {}
    looks = 0
    while True:
        time.sleep(TICK - time.time() % TICK)
        looks += 1
        running = [dyno for dyno in all_dynos(services) if runs(dyno)]
        loads = {dyno.key: load(dyno, loads.get(dyno.key, {})) for dyno in running if is_chosen(dyno)}
        for dyno in running:
            report(dyno, loads.get(dyno.key, {}), looks % TICKS == 0)


def runs(dyno: Dyno) -> bool:
    return state(dyno.key, dyno.group, dyno.is_once) in ("starting", "up")


def report(dyno: Dyno, loads: Load, is_due: bool) -> None:
    """Have the kernel know at once who is over its quota; say it when it is due."""
    used = memory(dyno)
    if used is None:
        return
    rank(dyno, is_over=used.needed > dyno.quota)
    if is_due:
        say(dyno, [*(metrics(dyno, used, loads) if loads else ()), *warning(dyno, used)])


def warning(dyno: Dyno, used: Memory) -> List[str]:
    """R14 (Heroku contract 4.2)."""
    if used.needed <= dyno.quota:
        return []
    share = 100 * used.needed / dyno.quota
    running = f"Process running mem={used.needed // MB}M({share:.1f}%)"
    return [running, "Error R14 (Memory quota exceeded)"]


def metrics(dyno: Dyno, used: Memory, loads: Load) -> Iterator[str]:
    """The two lines of Heroku's log-runtime-metrics (contract 6.5). Pages are said where the kernel counts them."""
    who = f"source={process(dyno)} dyno=heroku.{choice(dyno)['id']}.{dyno.key}"
    averages = (f"sample#load_avg_{minutes}m={loads[minutes]:.2f}" for minutes in MINUTES)
    yield f"{who} {' '.join(averages)}"
    sizes = {"total": used.total, "rss": used.rss, "cache": used.cache, "swap": used.swap}
    samples = [f"sample#memory_{name}={size / MB:.2f}MB" for name, size in sizes.items()]
    pages = {"pgpgin": used.pages_in, "pgpgout": used.pages_out}
    samples += [f"sample#memory_{name}={n}pages" for name, n in pages.items() if n is not None]
    yield f"{who} {' '.join(samples)} sample#memory_quota={dyno.quota / MB:.2f}MB"


def process(dyno: Dyno) -> str:
    return f"{dyno.settings['TYPE']}.{dyno.settings['N']}"


def choice(dyno: Dyno) -> Dict[str, str]:
    """What fleet.json says of this app's metrics; nothing where it says nothing."""
    found = read(f"{CHOICES}/{dyno.settings['APP']}.json")
    return json.loads(found) if found else {}


def is_chosen(dyno: Dyno) -> bool:
    return "id" in choice(dyno)


def load(dyno: Dyno, before: Load) -> Load:
    """Threads that run or wait for a processor or disk, averaged as the kernel does it for a host."""
    busy = sum(is_busy(read(f"/proc/{thread}/stat")) for thread in threads(dyno.group))
    kept = {minutes: math.exp(-TICK / 60 / minutes) for minutes in MINUTES}
    return {n: before.get(n, 0.0) * part + busy * (1 - part) for n, part in kept.items()}


def is_busy(stat: str) -> bool:
    """The name of a process stands before its state, and may hold a bracket."""
    return stat.rpartition(") ")[2][:1] in ("R", "D")


def rank(dyno: Dyno, is_over: bool) -> None:
    """Quotas fit into a host, so it runs out because of somebody over his own: he is the one to go."""
    for pid in processes(dyno.group):
        path = f"/proc/{pid}/oom_score_adj"
        # what an app says of its own processes stays
        if (read(path).strip() == str(FIRST_TO_GO)) != is_over:
            write(path, str(FIRST_TO_GO if is_over else CALM))


def write(path: str, text: str) -> None:
    try:
        with open(path, "w") as file:
            file.write(text)
    except OSError as error:
        print(f"{path}: the process ended before it was ranked: {error}", file=sys.stderr)


def say(dyno: Dyno, lines: List[str]) -> None:
    """To the logplex, as `logger` does it. One that is stuck or away must not stop us."""
    if dyno.settings.get("LOG") == "none" or not lines:
        return
    tag = f"{dyno.settings['APP']}/heroku/{process(dyno)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.settimeout(2)
        try:
            log.connect(LOG)
            for line in lines:
                log.send(f"<{LOCAL0_INFO}>{time.strftime('%b %e %H:%M:%S')} {tag}: {line}".encode())
        except OSError as error:
            print(f"{dyno.key}: {LOG} takes no line: {error}", file=sys.stderr)
