"""An act as the script on the host reads it."""

from __future__ import annotations

from typing import Any

from deployer.model import Act, Fetch, Put, Send

FETCH = "/var/lib/deployer/bin/fetch"
SHARE_PORT = 8421


def order(act: Act, size: int) -> dict[str, Any]:
    """One line of what runner.py is told; `size` are the bytes that follow for it."""
    match act:
        case Put():
            return {"do": "put", "path": act.path, "mode": act.mode, "owner": act.owner, "size": size}
        case Fetch():
            owner = () if act.uid is None else (str(act.uid),)
            into = (act.into,) if act.into else ()
            argv = (FETCH, act.address, str(SHARE_PORT), act.item, *owner, *into)
            return {"do": "sh", "argv": argv, "timeout": act.timeout, "size": size}
    watched = {"watched": True} if isinstance(act, Send) else {}
    return {"do": "sh", "argv": act.argv, "timeout": act.timeout, "size": size, **watched}
