"""Hosts that could never be: what a machine says of itself that cannot be true together, a concern a function.

A machine of the tests is refused as soon as it is one, by its own `act` and `look`. What a person or a crash can
do to a host (a file edited or gone, a service stopped, a queue left behind) is no contradiction.
"""

from __future__ import annotations

import ipaddress
import json
import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from unitfiles import file_of, required, taken_away

from deployer.providers.host import GUARDS
from deployer.providers.lxc.dynos import RUN
from deployer.world.placement import DYNOS
from deployer.world.releases import APPS

if TYPE_CHECKING:
    from machine import Machine

DYNO = "deployer.dyno@"
MARK = re.compile(r"/run/deployer/(.+\.loaded|wall/.+|drains\.code)")
"""Where daemons note what they took in."""
BROUGHT = {"nginx-light": ("nginx.service",)}
"""The units that come and go with a package."""
STATES = {
    "active": {"running", "exited", "listening", "waiting"},
    "inactive": {"dead"},
    "activating": {"start-pre", "start", "start-post", "auto-restart"},
    "deactivating": {"stop", "stop-sigterm", "stop-sigkill", "stop-post", "final-sigterm"},
    "failed": {"failed"},
}
ENABLED = {"enabled", "disabled", "static", "indirect", "masked"}
PARTS = ("config", "command", "dyno.env", "dyno.json")


class ImpossibleError(AssertionError):
    """No case and no step may make such a host: mend the case, or what the machine does for the step."""


def refuse(machine: Machine) -> None:
    """Raises ImpossibleError with everything that contradicts the rest of it."""
    if found := [said for concern in CONCERNS for said in concern(machine)]:
        raise ImpossibleError(f"{machine.name} could never be: {'; '.join(found)}")


def refuse_at_rest(machine: Machine) -> None:
    """The same after a whole apply: what is only there between two of its steps is not, either."""
    refuse(machine)
    if found := list(ports_of_nobody(machine)):
        raise ImpossibleError(f"{machine.name} could not be after an apply: {'; '.join(found)}")


def refuse_together(machines: Mapping[str, Machine]) -> None:
    """Machines that could each be, and not beside each other."""
    rows = ((address.partition("/")[0], name) for name, m in machines.items() for address in m.interfaces)
    if found := list(_shared(rows, "network address")):
        raise ImpossibleError(f"these hosts could never be: {'; '.join(found)}")


def paths(machine: Machine) -> Iterator[str]:
    yield from (f"{p} is no whole path" for p in (*machine.files, *machine.folders) if not _is_whole(p))
    folders = {above for folder in {*map(_folder, machine.files)} for above in _and_above(folder)}
    yield from (
        f"{p} is a file and a folder" for p in sorted(folders | machine.folders) if p in machine.files
    )


def owners(machine: Machine) -> Iterator[str]:
    rights = {(mode, owner): path for path, (_, mode, owner) in machine.files.items()}
    for (mode, owner), path in rights.items():
        if not 0 <= mode <= 0o7777:
            yield f"{path} has the mode {mode:o}"
        if not re.fullmatch(r"[\w.-]+:[\w.-]+", owner):
            yield f"{path} belongs to {owner!r}, which is no user:group"


def states(machine: Machine) -> Iterator[str]:
    for name, unit in machine.units.items():
        if unit.sub not in STATES.get(unit.active, ()) or unit.enabled not in ENABLED:
            yield f"systemd never says {unit.active}, {unit.sub}, {unit.enabled}, as it does of {name}"


def unit_files(machine: Machine) -> Iterator[str]:
    """An instance is made of its template."""
    for name, unit in machine.units.items():
        file = file_of(name)
        if name.startswith("deployer.") and unit.active == "active" and file not in machine.files:
            yield f"{name} is active, and there is no {file}"


def requirements(machine: Machine) -> Iterator[str]:
    """systemd stops a unit with what it requires, and each takes its mark away (`ExecStopPost`)."""
    for name, unit in machine.units.items():
        text, is_up = machine.unit_file(name), unit.active == "active"
        for other in required(text) if is_up else ():
            if other not in machine.units or machine.units[other].active != "active":
                yield f"{name} is active without {other}, which it requires"
        for path in taken_away(name, text) if unit.active in ("inactive", "failed") else ():
            if path in machine.files:
                yield f"{name} is {unit.active}, and {path} is still there"


def packages(machine: Machine) -> Iterator[str]:
    for package, units in BROUGHT.items():
        for unit in units:
            if package in machine.packages and unit not in machine.units:
                yield f"{package} is installed, and systemd does not know {unit}"
            if unit in machine.units and package not in machine.packages:
                yield f"systemd knows {unit}, and {package} is not installed"


def marks(machine: Machine) -> Iterator[str]:
    """They are written by the daemon that took something in, with what it took in."""
    for path in filter(_is_mark, machine.files):
        content = machine.text(path)
        if (path, content) not in machine.noted:
            yield f"{path} says {content[:16]!r}, which nothing that ran here has noted"


def running_dynos(machine: Machine) -> Iterator[str]:
    for key in _up(machine):
        if missing := [part for part in PARTS if f"{DYNOS}/{key}/{part}" not in machine.files]:
            yield f"{key} runs without {' '.join(missing)} in its folder"
        elif not _place(machine, key).get("address"):
            yield f"{key} runs without an address"
        if f"{RUN}/{key}.loaded" not in machine.files:
            yield f"{key} runs, and has not noted from what it was started"


def names_of_dynos(machine: Machine) -> Iterator[str]:
    for key in machine.dynos():
        place = _place(machine, key)
        said = "{app}.{type}.{n}.v{release}".format_map(defaultdict(str, place))
        if place and said != key:
            yield f"the folder of {key} holds the place of {said}"


def shared_addresses(machine: Machine) -> Iterator[str]:
    places = {key: _place(machine, key) for key in machine.dynos()}
    yield from _shared(((p["address"], key) for key, p in places.items() if p), "address")
    yield from _shared(((p["host_port"], key) for key, p in places.items() if p.get("host_port")), "port")


def shared_ids(machine: Machine) -> Iterator[str]:
    records = [path for path in machine.files if path.startswith(f"{APPS}/") and path.endswith("/app.json")]
    apps = {path.split("/")[-2]: _object(machine.text(path)) for path in records}
    yield from _shared(((row["base"], app) for app, row in apps.items() if row), "user namespace")


def ports(machine: Machine) -> Iterator[str]:
    """Where a forwarded port leads, a dyno may be yet to come; if one is there, that is its port."""
    own = {f"{p['address']}:{p['port']}": p["host_port"] for p in _places(machine)}
    for table, port, to in _forwards(machine):
        if str(own.get(to, port)) != port:
            yield f"port {port} of {table} leads to {to}, the dyno with port {own[to]}"


def ports_of_nobody(machine: Machine) -> Iterator[str]:
    own = {f"{p['address']}:{p['port']}" for p in _places(machine)}
    for table, port, to in _forwards(machine):
        if to not in own:
            yield f"port {port} of {table} leads to {to}, and no dyno is there"


def network(machine: Machine) -> Iterator[str]:
    for address in machine.interfaces:
        try:
            ipaddress.ip_interface(address)
        except ValueError as error:
            yield str(error)
    yield from (f"port {port} does not exist" for port in machine.listeners if not 0 < port < 1 << 16)


def guards(machine: Machine) -> Iterator[str]:
    """The program lies in the folder before it notes what it keeps."""
    for path in filter(_is_note_of_guard, machine.files):
        if f"{_folder(path)}/guard.py" not in machine.files:
            yield f"{path} has no guard.py beside it, which alone writes it"


CONCERNS: tuple[Callable[[Machine], Iterable[str]], ...] = (
    paths,
    owners,
    states,
    unit_files,
    requirements,
    packages,
    marks,
    running_dynos,
    names_of_dynos,
    shared_addresses,
    shared_ids,
    ports,
    network,
    guards,
)


@cache
def _is_whole(path: str) -> bool:
    return path.startswith("/") and posixpath.normpath(path) == path


@cache
def _folder(path: str) -> str:
    return posixpath.dirname(path)


@cache
def _and_above(folder: str) -> tuple[str, ...]:
    names = folder.split("/")
    return tuple("/".join(names[:n]) for n in range(2, len(names) + 1))


@cache
def _is_mark(path: str) -> bool:
    return bool(MARK.fullmatch(path))


@cache
def _is_note_of_guard(path: str) -> bool:
    return path.startswith(f"{GUARDS}/") and path.endswith(("/guard.json", "/restored"))


def _up(machine: Machine) -> Iterator[str]:
    for name, unit in machine.units.items():
        if name.startswith(DYNO) and unit.active == "active":
            yield name.removeprefix(DYNO).removesuffix(".service")


def _place(machine: Machine, key: str) -> dict[str, Any]:
    return _object(machine.text(f"{DYNOS}/{key}/dyno.json"))


def _places(machine: Machine) -> Iterator[dict[str, Any]]:
    yield from filter(None, (_place(machine, key) for key in machine.dynos()))


@cache
def _object(text: str) -> dict[str, Any]:
    """Empty where somebody has damaged it."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _forwards(machine: Machine) -> Iterator[tuple[str, str, str]]:
    for name in machine.tables:
        yield from ((name, port, to) for port, to in machine.table(name)["ports"].items())


def _shared(rows: Iterable[tuple[Hashable, str]], what: str) -> Iterator[str]:
    """Each is one's alone."""
    holders = defaultdict(list)
    for value, holder in rows:
        holders[value].append(holder)
    for value, several in holders.items():
        if len(several) > 1:
            yield f"{' and '.join(several)} have one {what}, {value}"
