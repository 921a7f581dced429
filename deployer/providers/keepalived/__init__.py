"""One address for all routers: whichever holds it, another takes it when that one or its nginx dies."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from deployer.model.steps import Put, Stage, Step, Text
from deployer.providers import parts
from deployer.providers.base import About, given, packaged, plain_cause, render, roles
from deployer.providers.host import BIN
from deployer.spec.fleet import Host
from deployer.spec.spec import Spec
from deployer.world import claims
from deployer.world.facts import Facts, Probe
from deployer.world.world import World

CONF = "/etc/deployer/keepalived/{}.conf"
SERVICE = "deployer.vip@{}.service"
UNIT = "/etc/systemd/system/deployer.vip@.service"
LOADED = "/run/deployer/vip.{}.loaded"
CHECK = f"{BIN}/mesh-answers"
FIRST = 200
"""The priority of the first router; each further one has one less."""
_RULE = (
    "Each router runs a keepalived for the address, over the routers' private addresses. The address is "
    "where nginx answers, and moves within seconds. The running keepalived must hold what its file says."
)


@dataclass(frozen=True)
class AddressSeen:
    """`loaded` is the digest of what the running keepalived took in; `others` are apps that ask, too."""

    key: str
    config: str | None
    loaded: str | None
    active: bool
    enabled: bool
    others: tuple[str, ...]


@dataclass(frozen=True)
class Address:
    key: str
    config: Text
    others: tuple[str, ...]

    def expect(self) -> AddressSeen:
        return AddressSeen(self.key, self.config.sha, self.config.sha, True, True, self.others)


class KeepalivedProvider:
    name = "keepalived"
    base = ("package:*", "file:*")

    def desire(self, world: World, host: Host) -> Iterator[Any]:
        address = world.claims.virtual_address
        if not address or "router" not in host.roles or not world.release:
            return
        yield parts.Package("keepalived")
        yield parts.File(CHECK, packaged("keepalived/on_host/mesh-answers.py"), 0o755)
        yield parts.unit_file(UNIT, render("keepalived/service.j2"))
        others = _others(world.app, world.facts[host.name], address)
        yield Address(address, _config(world, host), others)

    def probe(self, app: str) -> Probe:
        return Probe(
            files=frozenset({UNIT, CHECK, CONF.format("*")}),
            texts=frozenset({LOADED.format("*")}),
            units=frozenset({SERVICE.format("*")}),
            packages=frozenset({"keepalived"}),
        )

    def observe(self, app: str, facts: Facts) -> Iterator[Any]:
        yield from parts.see_packages(facts, ("keepalived",))
        yield from parts.see_files(facts, (UNIT, CHECK))
        for address in sorted(_there(facts)):
            config, unit = facts.sha(CONF.format(address)), SERVICE.format(address)
            loaded = parts.loaded(facts, LOADED.format(address))
            states = facts.active(unit), facts.enabled(unit)
            yield AddressSeen(address, config, loaded, *states, _others(app, facts, address))

    def converge(self, want: Any, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        """The address goes with the last app that asks for it; what it stood on is left for the next."""
        if isinstance(want, Address):
            return _take(want, have, differs)
        if isinstance(have, AddressSeen):
            return () if have.others else _remove(have.key)
        return parts.converge(want, have, differs) if want else ()

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        if isinstance(want, Address) and differs == {"loaded"}:
            return "the running keepalived has not taken the file in"
        return plain_cause(want, have, differs)

    def about(self, spec: Spec, host: Host, key: str) -> About:
        if key.startswith(("file:", "unit:", "package:")):
            return parts.about(spec, host, key, _RULE)
        places = (CONF.format(key), SERVICE.format(key), LOADED.format(key))
        asks = (*given(spec, "virtual_address"), roles(spec, host))
        keep, drop = (f'{verb} "virtual_address", in fleet.json' for verb in ("put back", "take out"))
        return About(asks, places, _RULE, keep, drop)


def _there(facts: Facts) -> set[str]:
    names = {CONF: facts.files, SERVICE: facts.units}
    patterns = {re.escape(form).replace(r"\{\}", r"([0-9.]+)"): found for form, found in names.items()}
    matches = (re.fullmatch(fits, name) for fits, found in patterns.items() for name in found)
    return {match[1] for match in matches if match}


def _others(app: str, facts: Facts, address: str) -> tuple[str, ...]:
    found = claims.others(app, facts).items()
    return tuple(sorted(name for name, claim in found if claim.virtual_address == address))


def _config(world: World, host: Host) -> Text:
    address, facts = world.claims.virtual_address, world.facts[host.name]
    others = tuple(router.mesh for router in world.routers if router.name != host.name)
    return render(
        "keepalived/vip.conf.j2",
        address=address,
        router=host.name,
        check=CHECK,
        interface=interface(facts, host.mesh),
        device=_nearest(facts, address) or interface(facts, host.mesh),
        id=int(address.rpartition(".")[2]),
        priority=FIRST - [router.name for router in world.routers].index(host.name),
        own=host.mesh,
        peers=others or (address,),
    )


def interface(facts: Facts, address: str) -> str:
    """The network interface that has an address; empty where none has, as on a host that is not known yet."""
    found = facts.interfaces
    return next((found[place] for place in sorted(found) if place.partition("/")[0] == address), "")


def _nearest(facts: Facts, address: str) -> str:
    """The interface whose network an address lies in."""
    target = ipaddress.ip_address(address)
    nets = ((ipaddress.ip_interface(place).network, place) for place in sorted(facts.interfaces))
    wide = ((net, place) for net, place in nets if net.prefixlen < net.max_prefixlen)
    return max(((net.prefixlen, facts.interfaces[p]) for net, p in wide if target in net), default=(0, ""))[1]


def _take(want: Address, have: AddressSeen | None, differs: frozenset[str]) -> Iterator[Step]:
    """One router after another, after its nginx: only a router that answers may have the address."""
    path, unit = CONF.format(want.key), SERVICE.format(want.key)
    if have is None or "config" in differs:
        yield Step(Stage.ROUTE, f"write {path}", Put(path, want.config))
    if have is None or "enabled" in differs:
        yield parts.systemctl("enable", unit, stage=Stage.ROUTE, say=f"enable {unit}")
    if have is None or differs & {"config", "loaded", "active"}:
        yield parts.systemctl("reload-or-restart", unit, stage=Stage.ROUTE, say=f"have {unit} take it in")


def _remove(address: str) -> Iterator[Step]:
    unit = SERVICE.format(address)
    yield parts.systemctl("disable", "--now", unit, stage=Stage.RETIRE, say=f"give up {address}")
    yield parts.remove(CONF.format(address), Stage.RETIRE)
