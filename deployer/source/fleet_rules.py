"""What a `fleet.json` of the right shape may still get wrong."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Any

from deployer.problems import Problem
from deployer.source.app_rules import At
from deployer.source.names import PORT, objection
from deployer.source.text import escape, shown
from deployer.spec.fleet import host_list
from deployer.spec.jumps import placed
from deployer.spec.sizes import megabytes

_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_HOSTNAME = re.compile(rf"(?=.{{1,253}}\Z)(?!.*\.[0-9]+\Z)(?![0-9]+\Z){_LABEL}(\.{_LABEL})*")
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z)(\*\.)?({_LABEL}\.)+(?=.*[A-Za-z]){_LABEL}")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
PlacedHost = tuple[str, dict[str, Any]]
"""A host as the file has it, after its JSON pointer."""


def check(data: dict[str, Any], at: At) -> Iterator[Problem]:
    """Every finding that needs no other file. `data` may hold None for list items that were taken out."""
    hosts = tuple(_placed(data))
    yield from _twice(hosts, at)
    yield from _addresses(hosts, at)
    yield from _jumps(data, at)
    yield from _domains(data.get("domains", []), at)
    yield from _domain(data.get("domain"), at)
    yield from _routing(data, hosts, at)
    yield from _networks(data, hosts, at)
    yield from _sizes(data.get("sizes", {}), at)
    yield from _config(data.get("config", {}), at)


def _placed(data: dict[str, Any]) -> Iterator[PlacedHost]:
    hosts = data.get("hosts", [])
    if isinstance(hosts, dict):
        yield from (
            (f"/hosts/{escape(name)}", host) for name, host in zip(hosts, host_list(data), strict=True)
        )
    else:
        kept = [index for index, host in enumerate(hosts) if host]
        named = host_list(data | {"hosts": [hosts[index] for index in kept]})
        yield from ((f"/hosts/{index}", host) for index, host in zip(kept, named, strict=True))


def _twice(hosts: tuple[PlacedHost, ...], at: At) -> Iterator[Problem]:
    """Two hosts with one name, one SSH address, or one address inside the mesh."""
    names: dict[str, str] = {}
    contacts: dict[tuple[str, int], str] = {}
    mesh: dict[str, str] = {}
    for pointer, host in hosts:
        name, address, port = host["name"], canonical(host["address"]), host.get("port", 22)
        inner = canonical(host.get("private_address", address))
        if names.setdefault(name, pointer) != pointer:
            yield Problem(
                f"Two hosts are called {name}", at(f"{pointer}/name"), hint="Give one another name."
            )
        elif contacts.setdefault((address, port), name) != name:
            summary = f"{name} and {contacts[address, port]} have one address, {host['address']}"
            hint = "Give each its own; one machine with several tasks is one host with several roles."
            yield Problem(summary, at(f"{pointer}/address"), hint=hint)
        elif mesh.setdefault(inner, name) != name:
            key = "private_address" if "private_address" in host else "address"
            summary = f"{name} and {mesh[inner]} have one address, {inner}, for the other hosts"
            yield Problem(summary, at(f"{pointer}/{key}"), hint='Say each host\'s own in "private_address".')


def canonical(address: str) -> str:
    """One spelling of an IP address or DNS name."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address.lower().rstrip(".")


def _addresses(hosts: tuple[PlacedHost, ...], at: At) -> Iterator[Problem]:
    for pointer, host in hosts:
        for key in ("address", "private_address"):
            if key in host and _ip(host[key]) is None and not _HOSTNAME.fullmatch(host[key].rstrip(".")):
                summary = f"{host['name']} has no usable {key}: {host[key]!r}"
                hint = "Write an IP address or a DNS name; the user and the port have keys of their own."
                yield Problem(summary, at(f"{pointer}/{key}"), hint=hint)


def _jumps(data: dict[str, Any], at: At) -> Iterator[Problem]:
    written = [("/ssh", data.get("ssh", {})), *_written(data.get("hosts", []))]
    for pointer, way in written:
        if "jump" in way and not 0 < placed(way["jump"].rpartition("@")[2])[1] < 1 << 16:
            yield Problem(f"{way['jump']!r} has no usable port", at(f"{pointer}/jump"), hint=_PORTS)


def _written(hosts: Any) -> Iterator[PlacedHost]:
    """Each host as the file has it, without what `ssh` says of all."""
    rows = hosts.items() if isinstance(hosts, dict) else enumerate(hosts)
    return ((f"/hosts/{escape(str(name))}", host) for name, host in rows if host)


_PORTS = "Ports are 1 to 65535; 22 is taken where none is written."


def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def _domains(domains: list[str | None], at: At) -> Iterator[Problem]:
    seen: dict[str, int] = {}
    for index, domain in enumerate(domains):
        if domain is None:
            continue
        where = at(f"/domains/{index}")
        if not _DOMAIN.fullmatch(domain):
            hint = "Write the name alone, such as www.example.com or *.example.com."
            yield Problem(f"{domain!r} is no domain", where, hint=hint)
        elif seen.setdefault(domain.lower(), index) != index:
            yield Problem(f"{domain} is listed twice", where, hint="Delete one.", severity="warning")


def _domain(domain: str | None, at: At) -> Iterator[Problem]:
    if domain is not None and (not _DOMAIN.fullmatch(domain) or domain.startswith("*")):
        hint = "Write the part that all apps have in common, such as apps.example.com."
        yield Problem(f"{domain!r} is no domain for a fleet", at("/domain"), hint=hint)


def _routing(data: dict[str, Any], hosts: tuple[PlacedHost, ...], at: At) -> Iterator[Problem]:
    for index, text in enumerate(data.get("routing", {}).get("proxy_protocol", [])):
        if text is not None and _network(text) is None:
            hint = "Write the address or network of a load balancer, such as 10.0.3.0/24."
            yield Problem(f"{text!r} is no network", at(f"/routing/proxy_protocol/{index}"), hint=hint)
    if (text := data.get("virtual_address")) is None:
        return
    address = _ip(str(text))
    if address is None or address.version != 4 or address.packed[3] in (0, 255):
        hint = "Write an IPv4 address that nobody has yet, in the network of the routers."
        yield Problem(f"{text!r} cannot be the routers' address", at("/virtual_address"), hint=hint)
    elif holder := next((host["name"] for _, host in hosts if text in _own(host)), ""):
        hint = "Write one that nobody has yet: the routers hold it in turn."
        yield Problem(f"{text} is the address of {holder}", at("/virtual_address"), hint=hint)
    yield from _unaddressed(hosts, at)


def _own(host: dict[str, Any]) -> tuple[str, str]:
    """Its address for us, and that for the other hosts."""
    return str(host["address"]), str(host.get("private_address", host["address"]))


def _unaddressed(hosts: tuple[PlacedHost, ...], at: At) -> Iterator[Problem]:
    """Routers that the others could not name to keepalived, which knows addresses only."""
    for pointer, host in hosts:
        known = _ip(_own(host)[1])
        if "router" in host.get("roles", ()) and (known is None or known.version != 4):
            hint = f'Write the IPv4 address of {host["name"]} among the others as its "private_address".'
            summary = f"{host['name']} is to have the virtual address, and no IPv4 address of it is known"
            yield Problem(summary, at(pointer), hint=hint)


def _networks(data: dict[str, Any], hosts: tuple[PlacedHost, ...], at: At) -> Iterator[Problem]:
    lists = {"/allow": data.get("allow", []), "/metrics/allow": data.get("metrics", {}).get("allow", [])}
    for pointer, index, text in ((p, i, text) for p, texts in lists.items() for i, text in enumerate(texts)):
        if text is not None and _network(text) is None:
            hint = "Write an address or a network, such as 10.0.3.0/24."
            yield Problem(f"{text!r} is no network", at(f"{pointer}/{index}"), hint=hint)
    inside = _network(data.get("dyno_network", "10.213.0.0/16"))
    if inside is None or inside.version != 4 or not inside.is_private or inside.prefixlen > 24:
        hint = "Write a private IPv4 network of at least 256 addresses, such as 10.213.0.0/16."
        yield Problem(f"{data['dyno_network']!r} is no network for dynos", at("/dyno_network"), hint=hint)
    else:
        yield from _overlaps(inside, hosts, at)


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def _overlaps(inside: Network, hosts: tuple[PlacedHost, ...], at: At) -> Iterator[Problem]:
    for pointer, host in hosts:
        for key in ("address", "private_address"):
            address = _ip(host.get(key, ""))
            if address and address in inside:
                summary = (
                    f"{host['name']} has an address ({address}) inside the network of the dynos, {inside}"
                )
                hint = 'Write another private network as "dyno_network".'
                yield Problem(summary, at(f"{pointer}/{key}"), hint=hint)


def _sizes(sizes: dict[str, Any], at: At) -> Iterator[Problem]:
    for name, size in sizes.items():
        memory, limit = (megabytes(size.get(key)) or 0 for key in ("memory", "limit"))
        if 0 < limit < memory:
            summary = f"dynos of the size {name} would be ended at {size['limit']}, below their memory"
            hint = f"Write a limit of {size['memory']} or more."
            yield Problem(summary, at(f"/sizes/{escape(name)}/limit"), hint=hint)


def _config(config: dict[str, Any], at: At) -> Iterator[Problem]:
    for name in config:
        where, reason = at(f"/config/{escape(name)}"), objection(name)
        if name == PORT:
            yield Problem(f"{name} {reason}; it is left out", where, hint="Take it out.", severity="warning")
        elif reason:
            yield Problem(f"{shown(name)} {reason}", where, hint="Rename it, here and in the app.")
