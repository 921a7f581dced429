"""A practice fleet as a whole: up, down, and the power switch of one host."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from deployer.lab import base, contact, container, fleet, host, layout, machine, network, record
from deployer.lab.layout import DEFAULT, Ground
from deployer.lab.look import Lab, status
from deployer.problems import DeployerError, InputError, Problem


def up(hosts: int, folder: Path, say: machine.Say, lab: str = DEFAULT) -> Lab:
    """Makes it `hosts` hosts that answer over SSH and are described in `folder`.

    Idempotent: takes over what runs, makes what lacks, and clears what a killed run left. Labs of other names
    go on beside it. Raises `InputError` for a name that no lab may have and for a number of hosts outside 1
    to 50, and `DeployerError` where this machine cannot hold a lab.
    """
    if not 1 <= hosts <= layout.MOST_HOSTS:
        hint = "for example --hosts 3"
        raise InputError(Problem(f"a lab has 1 to {layout.MOST_HOSTS} hosts, not {hosts}", hint=hint))
    machine.require()
    fleet.read(folder)
    with machine.only_one(_lock(lab), say):
        ground = _claim(lab, say)
        names = layout.names(hosts)
        _clear(ground, names, say)
        host.ensure_key(ground)
        if "nameserver 127." in host.resolver():
            say("names will not resolve in the hosts: the resolver of this machine answers only itself")
        with base.held(say) as root:
            _make_and_start(ground, names, root, say)
        return _describe(ground, names, folder, say)


def prepare(say: machine.Say) -> None:
    """Has ready what every lab is made of, so that the next `up` only copies it. Raises as `up` does."""
    machine.require()
    with machine.only_one(layout.lock("machine"), say):
        machine.install_missing(say)
        machine.make_home()
    with base.held(say):
        pass


def down(say: machine.Say, lab: str = DEFAULT) -> None:
    """Ends and deletes the lab's hosts, its bridge and its rules. Other labs and the Debian root stay."""
    machine.require()
    with machine.only_one(_lock(lab), say):
        _end(record.find(lab), say)


def down_all(say: machine.Say) -> None:
    """The same for every lab of this machine."""
    machine.require()
    for ground in record.all_labs():
        with machine.only_one(ground.lock, say):
            if ground.record.exists():  # nobody else took it down meanwhile, and its number is still its own
                _end(ground, say)


def purge_cache(say: machine.Say) -> None:
    """Deletes the Debian root that all labs are made from; the next `up` makes it again."""
    machine.require()
    base.forget(say)
    machine.remove_if_empty(layout.home())


def stop_host(name: str, lab: str = DEFAULT) -> None:
    """Cuts the power of one host: no service in it is asked to stop, and its disk stays."""
    ground = _require_host(name, lab)
    with machine.only_one(ground.lock, _quiet):
        container.end(ground, name)


def start_host(name: str, lab: str = DEFAULT) -> None:
    """Switches one host on and waits until it has booted."""
    ground = _require_host(name, lab)
    with machine.only_one(ground.lock, _quiet):
        container.ensure_started(ground, name)
        contact.wait_for_boot(ground, name)


def _lock(lab: str) -> Path:
    return layout.lock(f"lab-{layout.named(lab)}")


def _claim(lab: str, say: machine.Say) -> Ground:
    with machine.only_one(layout.lock("machine"), say):
        machine.install_missing(say)
        machine.make_home()
        ground = record.claim(lab)
        network.ensure(ground)
        return ground


def _give_up(ground: Ground) -> None:
    """The record goes last: until then an interrupted `down` can be run again."""
    network.remove(ground)
    for folder in (ground.hosts, ground.keys):
        machine.remove_tree(folder)
    ground.record.unlink(missing_ok=True)
    if not record.all_labs():
        network.restore_forwarding()
    for folder in (ground.folder, layout.labs(), layout.home()):
        machine.remove_if_empty(folder)


def _end(ground: Ground, say: machine.Say) -> None:
    _clear(ground, [], say)
    container.remove_remains(ground)
    with machine.only_one(layout.lock("machine"), say):
        _give_up(ground)


def _clear(ground: Ground, wanted: list[str], say: machine.Say) -> None:
    """Ends and deletes all but the whole hosts of `wanted`, and what a killed run left of any."""
    whole = host.existing(ground)
    doomed = {*whole, *container.remains(ground)} - ({*wanted} & {*whole})
    for name in sorted(doomed, key=layout.number):
        say(f"deleting {name}")
        container.end(ground, name)
        machine.remove_tree(ground.host(name))
    for leftover in host.leftovers(ground):
        machine.remove_tree(leftover)


def _make_and_start(ground: Ground, names: list[str], root: Path, say: machine.Say) -> None:
    def one(name: str) -> str:
        made = host.ensure(ground, name, root)
        started = container.ensure_started(ground, name)
        return f"{name} {'made and started' if made else 'started' if started else 'is up already'}"

    _each(names, one, say)


def _describe(ground: Ground, names: list[str], folder: Path, say: machine.Say) -> Lab:
    keys = host.known_hosts(ground, names)
    machine.write_whole(ground.known_hosts, keys)
    _each(names, lambda name: f"{name} {ground.address(name)} {contact.wait_for_boot(ground, name)}", say)
    fleet.write(ground, folder, names, keys)
    record.keep_folder(ground, folder)
    return status(ground.lab)


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


def _require_host(name: str, lab: str) -> Ground:
    machine.require()
    ground = record.find(layout.named(lab))
    if name not in host.existing(ground):
        known = ", ".join(host.existing(ground)) or "none"
        raise InputError(Problem(f"the lab {lab} has no host {name}", hint=f"its hosts: {known}"))
    return ground


def _quiet(line: str) -> None:
    """The power switch reports nothing."""
