"""The practice fleet as a whole: up, status, down, and the power switch of one host."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from deployer.lab import base, contact, container, fleet, host, layout, machine, network
from deployer.lab.look import Lab, status
from deployer.problems import DeployerError, InputError, Problem


def up(hosts: int, folder: Path, say: machine.Say) -> Lab:
    """Makes it `hosts` hosts that answer over SSH and are described in `folder`.

    Idempotent: takes over what runs, makes what lacks, and clears what a killed run left. Raises `InputError`
    for a number of hosts outside 1 to 50 and `DeployerError` where this machine cannot hold a lab.
    """
    if not 1 <= hosts <= layout.MOST_HOSTS:
        hint = "for example --hosts 3"
        raise InputError(Problem(f"a lab has 1 to {layout.MOST_HOSTS} hosts, not {hosts}", hint=hint))
    machine.require()
    fleet.read(folder)
    with machine.only_one(say):
        machine.install_missing(say)
        machine.make_home()
        names = layout.names(hosts)
        _clear(names, say)
        host.ensure_key()
        root = base.ensure(say)
        network.ensure()
        if "nameserver 127." in host.resolver():
            say("names will not resolve in the hosts: the resolver of this machine answers only itself")
        _make_and_start(names, root, say)
        return _describe(names, folder, say)


def down(say: machine.Say, purge_cache: bool = False) -> None:
    """Ends and deletes all hosts, the bridge and the rule; the Debian root stays unless `purge_cache`."""
    machine.require()
    with machine.only_one(say):
        _clear([], say)
        container.remove_remains()
        network.remove()
        layout.record().unlink(missing_ok=True)
        if purge_cache:
            say(f"deleting {layout.home()}")
            machine.remove_tree(layout.home())


def stop_host(name: str) -> None:
    """Cuts the power of one host: no service in it is asked to stop, and its disk stays."""
    _require_host(name)
    with machine.only_one(_quiet):
        container.end(name)


def start_host(name: str) -> None:
    """Switches one host on and waits until it has booted."""
    _require_host(name)
    with machine.only_one(_quiet):
        container.ensure_started(name)
        contact.wait_for_boot(name)


def _clear(wanted: list[str], say: machine.Say) -> None:
    """Ends and deletes all but the whole hosts of `wanted`, and what a killed run left of any."""
    whole = host.existing()
    for name in sorted({*whole, *container.remains()} - ({*wanted} & {*whole}), key=layout.number):
        say(f"deleting {name}")
        container.end(name)
        machine.remove_tree(layout.host(name))
    for leftover in host.leftovers():
        machine.remove_tree(leftover)


def _make_and_start(names: list[str], root: Path, say: machine.Say) -> None:
    def one(name: str) -> str:
        made = host.ensure(name, root)
        started = container.ensure_started(name)
        return f"{name} {'made and started' if made else 'started' if started else 'is up already'}"

    _each(names, one, say)


def _describe(names: list[str], folder: Path, say: machine.Say) -> Lab:
    machine.write_whole(layout.known_hosts(), host.known_hosts(names))
    _each(names, lambda name: f"{name} {layout.address(name)} {contact.wait_for_boot(name)}", say)
    fleet.write(folder, names, host.known_hosts(names))
    machine.write_whole(layout.record(), json.dumps({"folder": str(folder.absolute())}) + "\n")
    return status()


def _each(names: Iterable[str], work: Callable[[str], str], say: machine.Say) -> None:
    with ThreadPoolExecutor(layout.AT_ONCE) as pool:
        tasks = [pool.submit(work, name) for name in names]
        for task in as_completed(tasks):
            if not task.exception():
                say(task.result())
    failures = [error for error in (task.exception() for task in tasks) if error]
    problems = [p for error in failures if isinstance(error, DeployerError) for p in error.problems]
    if problems:
        raise DeployerError(problems)
    for unforeseen in failures:
        raise unforeseen


def _require_host(name: str) -> None:
    machine.require()
    if name not in host.existing():
        known = ", ".join(host.existing()) or "none"
        raise InputError(Problem(f"the lab has no host {name}", hint=f"its hosts: {known}"))


def _quiet(line: str) -> None:
    """The power switch reports nothing."""
