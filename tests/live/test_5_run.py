"""Commands in dynos of their own, attached to whoever calls."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time

import pytest
from campaign import attach, fleet_with
from conftest import Shop

pytestmark = pytest.mark.live

GONE = "Client connection closed. Sending SIGHUP to all processes"
R16 = "Error R16 (Detached) -> An attached process is not responding to SIGHUP after its external connection was closed."
STUBBORN = "import signal, time; signal.signal(signal.SIGHUP, signal.SIG_IGN); print('here', flush=True); time.sleep(40)"


def argv(shop: Shop, *words: str) -> list[str]:
    return [*shop.argv("run"), "--", *words]


def lines(shop: Shop) -> list[str]:
    """What the platform said of one-off dynos, without the times."""
    said = shop.deploy("logs", "--ps", "run", "--source", "heroku", "-n", "300").stdout.splitlines()
    return [row.partition(" ")[2] for row in said]


def test_a_command_has_its_output_its_input_and_its_status(shop: Shop) -> None:
    script = 'read word; echo "$word $DYNO"; echo oops >&2; exit 7'
    done = subprocess.run(
        argv(shop, "sh", "-c", script),
        input="hello\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert re.fullmatch(r"hello run\.\d{4}", done.stdout.strip()), done.stdout
    assert "oops" in done.stderr
    assert shop.changes() == []


def test_the_name_of_a_process_type_stands_for_its_command(shop: Shop) -> None:
    """Golden test 13 of the contract: `web` is gunicorn."""
    done = subprocess.run(
        argv(shop, "web", "--version"), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.split()[:1]) == (0, ["gunicorn"]), done


def test_no_room_is_said(shop: Shop) -> None:
    with fleet_with(shop, sizes={"huge": {"memory": "900GB"}}):
        done = shop.deploy("run", "--size", "huge", "true", code=1)
    assert "has no room for it" in done.stderr


def test_who_ignores_the_end_of_its_client_is_told_of(shop: Shop) -> None:
    """R16 (contract 3.11): the dyno is not killed."""
    client = subprocess.Popen(
        argv(shop, "python3", "-c", STUBBORN),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.PIPE,
    )
    assert client.stdout
    assert client.stdout.readline() == b"here\n"
    client.kill()
    client.wait()
    deadline = time.monotonic() + 30
    while not any(R16 in row for row in lines(shop)):
        assert time.monotonic() < deadline, lines(shop)
        time.sleep(1)
    said = [row for row in lines(shop) if GONE in row or "Error R16" in row]
    name = re.match(r"heroku\[(run\.\d{4})\]: ", said[-1])
    assert name
    assert [row.partition(": ")[2] for row in said if name[1] in row] == [GONE, GONE, GONE, R16]
    units = "".join(
        attach(host, "systemctl list-units --plain 'deployer.once.*'") for host in ("box-1", "box-2", "box-3")
    )
    for host in ("box-1", "box-2", "box-3"):
        attach(host, "systemctl stop 'deployer.once.*'")
    assert name[1] in units, "it goes on"


def shown(terminal: int, what: bytes) -> bytes:
    """All that a terminal shows until it shows this."""
    said, deadline = b"", time.monotonic() + 30
    while what not in said:
        assert time.monotonic() < deadline, said
        if select.select([terminal], [], [], 1)[0]:
            said += os.read(terminal, 4096)
    return said


def test_a_terminal_is_one_in_the_dyno(shop: Shop) -> None:
    words = argv(shop, "bash", "--norc")
    client, ours = pty.fork()
    if not client:
        os.execv(words[0], words)
    shown(ours, b"$ ")
    os.write(ours, b"tty; echo is-$((6*7))\n")
    said = shown(ours, b"is-42")
    os.write(ours, b"exit 5\n")
    status = os.waitstatus_to_exitcode(os.waitpid(client, 0)[1])
    os.close(ours)
    assert (status, b"/dev/pts/" in said) == (5, True), said
