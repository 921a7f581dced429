"""The lab's bridge on this machine, and its way out to the network.

A machine that drops what it forwards (Docker, ufw) does so in iptables' own chain, where our masquerade rule
has no say: there, and only there, two rules let the lab through.
"""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

from deployer.lab import command, layout
from deployer.lab.templates import render
from deployer.problems import DeployerError, Problem, Where

FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def ensure() -> None:
    """Bridge, address, forwarding and one masquerade rule; taken over where they are there already."""
    _refuse_a_taken_subnet()
    if not _exists(layout.BRIDGE):
        command.run(("ip", "link", "add", layout.BRIDGE, "type", "bridge"))
    command.run(("ip", "link", "set", layout.BRIDGE, "address", layout.BRIDGE_ADDRESS, "up"))
    command.run(("ip", "address", "replace", f"{layout.GATEWAY}/{layout.PREFIX}", "dev", layout.BRIDGE))
    _forward()
    _open_iptables()
    command.run(("nft", "-f", "-"), stdin=render("network.nft.j2", table=layout.TABLE, subnet=layout.SUBNET))


def is_up() -> bool:
    """Whether there is a bridge."""
    return _exists(layout.BRIDGE)


def remove() -> None:
    """Puts the machine back as it was before the lab."""
    command.attempt(("nft", "delete", "table", "ip", layout.TABLE))
    _close_iptables()
    remove_link(layout.BRIDGE)
    before = _forward_before()
    if before.exists():
        FORWARD.write_text(before.read_text())
        before.unlink()


def remove_link(name: str) -> None:
    """A host's cable, or the bridge. The kernel may be about to remove a dead host's itself."""
    done = command.attempt(("ip", "link", "delete", name))
    if _exists(name):
        hint = "put that right, then run the same again"
        raise DeployerError(Problem(f"the network link {name} stays", detail=done.stderr.strip(), hint=hint))


def links() -> list[str]:
    """The hosts that a cable is there for, whether or not they are."""
    found = Path("/sys/class/net").glob(f"{layout.VETH}*")
    return sorted(layout.name(int(link.name.removeprefix(layout.VETH))) for link in found)


def _exists(link: str) -> bool:
    return Path("/sys/class/net", link).exists()


def _forward() -> None:
    now = FORWARD.read_text()
    if not _forward_before().exists():
        _forward_before().write_text(now)
    FORWARD.write_text("1\n")


def _open_iptables() -> None:
    if "-P FORWARD DROP" in command.attempt(("iptables", "--list-rules", "FORWARD")).stdout:
        _close_iptables()
        for side in ("--in-interface", "--out-interface"):
            command.run(("iptables", "--insert", "FORWARD", side, layout.BRIDGE, "--jump", "ACCEPT"))


def _close_iptables() -> None:
    for side in ("--in-interface", "--out-interface"):
        delete = ("iptables", "--delete", "FORWARD", side, layout.BRIDGE, "--jump", "ACCEPT")
        while command.attempt(delete).returncode == 0:
            continue


def _forward_before() -> Path:
    return layout.home() / "ip_forward.before"


def _refuse_a_taken_subnet() -> None:
    links = json.loads(command.run(("ip", "-json", "-4", "address")))
    for link in links:
        if link["ifname"] != layout.BRIDGE and _overlaps(link["addr_info"]):
            summary = f"{layout.SUBNET} is the lab's, and {link['ifname']} has an address in it"
            hint = f"run the lab on another machine, or take {link['ifname']} down"
            raise DeployerError(Problem(summary, Where(link["ifname"]), hint=hint))


def _overlaps(addresses: list[dict[str, str]]) -> bool:
    lab = ipaddress.ip_network(layout.SUBNET)
    networks = (ipaddress.ip_interface(f"{a['local']}/{a['prefixlen']}").network for a in addresses)
    return any(network.overlaps(lab) for network in networks)
