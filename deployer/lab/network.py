"""A lab's bridge on this machine, and its way out to the network.

A machine that drops what it forwards (Docker, ufw) does so in iptables' own chain, where our masquerade rule
has no say: there, and only there, two rules let the lab through.
"""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

from deployer.lab import command, layout
from deployer.lab.layout import Ground
from deployer.lab.templates import render
from deployer.problems import DeployerError, Problem, Where

FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
LINKS = Path("/sys/class/net")
Addresses = list[tuple[str, ipaddress.IPv4Network]]
"""A link of this machine, and a network that it has an address in."""


def ensure(ground: Ground) -> None:
    """Bridge, address, forwarding and the lab's rules; taken over where they are there already."""
    _refuse_a_taken_subnet(ground)
    if not _exists(ground.bridge):
        command.run(("ip", "link", "add", ground.bridge, "type", "bridge"))
    command.run(("ip", "link", "set", ground.bridge, "address", ground.bridge_address, "up"))
    command.run(("ip", "address", "replace", f"{ground.gateway}/{layout.PREFIX}", "dev", ground.bridge))
    _forward()
    _open_iptables(ground)
    rules = render("network.nft.j2", bridge=ground.bridge, subnet=ground.subnet, subnets=layout.SUBNETS)
    command.run(("nft", "-f", "-"), stdin=rules)


def is_up(ground: Ground) -> bool:
    """Whether there is a bridge."""
    return _exists(ground.bridge)


def remove(ground: Ground) -> None:
    """Puts the machine back as it was before the lab, but for forwarding, which all labs need."""
    command.attempt(("nft", "delete", "table", "ip", ground.bridge))
    _close_iptables(ground)
    remove_link(ground.bridge)


def restore_forwarding() -> None:
    """After the last lab, unless one that is kept in another `DEPLOYER_LAB_DIR` still needs it."""
    before = layout.forward_before()
    if before.exists():
        if not any(LINKS.glob(f"{layout.BRIDGES}*")):
            FORWARD.write_text(before.read_text())
        before.unlink()


def remove_link(name: str) -> None:
    """A host's cable, or the bridge. The kernel may be about to remove a dead host's itself."""
    done = command.attempt(("ip", "link", "delete", name))
    if _exists(name):
        hint = "put that right, then run the same again"
        raise DeployerError(Problem(f"the network link {name} stays", detail=done.stderr.strip(), hint=hint))


def links(ground: Ground) -> list[str]:
    """The hosts that a cable is there for, whether or not they are."""
    found = LINKS.glob(f"{ground.cables}*")
    return sorted(layout.name(int(link.name.removeprefix(ground.cables))) for link in found)


def addresses() -> Addresses:
    """Those of this machine."""
    found = json.loads(command.run(("ip", "-json", "-4", "address")))
    pairs = ((link["ifname"], f"{a['local']}/{a['prefixlen']}") for link in found for a in link["addr_info"])
    return [(link, ipaddress.IPv4Interface(address).network) for link, address in pairs]


def overlapping(subnet: str, addresses: Addresses) -> list[str]:
    """The links that have an address in it."""
    wanted = ipaddress.IPv4Network(subnet)
    return [link for link, network in addresses if network.overlaps(wanted)]


def _exists(link: str) -> bool:
    return Path(LINKS, link).exists()


def _forward() -> None:
    now = FORWARD.read_text()
    if not layout.forward_before().exists():
        layout.forward_before().write_text(now)
    FORWARD.write_text("1\n")


def _open_iptables(ground: Ground) -> None:
    if "-P FORWARD DROP" in command.attempt(("iptables", "--list-rules", "FORWARD")).stdout:
        _close_iptables(ground)
        for side in ("--in-interface", "--out-interface"):
            command.run(("iptables", "--insert", "FORWARD", side, ground.bridge, "--jump", "ACCEPT"))


def _close_iptables(ground: Ground) -> None:
    for side in ("--in-interface", "--out-interface"):
        delete = ("iptables", "--delete", "FORWARD", side, ground.bridge, "--jump", "ACCEPT")
        while command.attempt(delete).returncode == 0:
            continue


def _refuse_a_taken_subnet(ground: Ground) -> None:
    for link in overlapping(ground.subnet, addresses()):
        if link != ground.bridge:
            summary = f"{ground.subnet} is the lab's, and {link} has an address in it"
            hint = f"take {link} down, or give the lab another name: it gets another subnet"
            raise DeployerError(Problem(summary, Where(link), hint=hint))
