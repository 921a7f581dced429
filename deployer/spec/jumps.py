"""Jump hosts: what `jump` in fleet.json means."""

from __future__ import annotations

from deployer.spec.fleet import Host


def gate(host: Host) -> Host | None:
    """The jump host, named as one logs in to it: with the key of `host`, and its user if it names none."""
    if host.jump is None:
        return None
    named, _, place = host.jump.rpartition("@")
    user = named or host.user
    address, port = placed(place)
    return Host(name=f"{user}@{address}:{port}", address=address, port=port, user=user, key=host.key)


def placed(text: str) -> tuple[str, int]:
    """`host`, `host:2222`, `[::1]` or `[::1]:2222` as an address and a port."""
    bracket = "]" if text.startswith("[") else ""
    address, _, port = text.removeprefix("[").partition(f"{bracket}:")
    return address.removesuffix("]"), int(port or 22)
