"""A barrier's steps as the script on the host reads them: one line of JSON, then the bytes of each step."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, BinaryIO

from deployer.model.steps import Act, Fetch, Put, Send, Sh, Step, Text
from deployer.source.archive import tarball

FETCH = "/var/lib/deployer/bin/fetch"
SHARE_PORT = 8421
BLOCK = 1 << 16


def orders(
    steps: Iterable[Step], key: Text, token: str, lock: str = "", alone: bool = True
) -> Iterator[bytes]:
    """What runner.py reads after itself. `key` opens what is shared; the run of `token` can be stopped.

    No step is begun once the lock of id `lock` is gone; "" asks for none. Not `alone` holds up nobody else.
    """
    acts = [(step.act, *_body(step.act, key)) for step in steps]
    told = {"run": token, "lock": lock, "alone": alone, "steps": [order(act, size) for act, size, _ in acts]}
    return chain((json.dumps(told).encode() + b"\n",), *(blocks for _, _, blocks in acts))


def order(act: Act, size: int) -> dict[str, Any]:
    """One step of what runner.py is told; `size` are the bytes that follow for it."""
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


def _body(act: Act, key: Text) -> tuple[int, Iterable[bytes]]:
    """How many bytes the act reads, and the bytes; the only place where a secret is opened."""
    match act:
        case Put():
            content = act.content.reveal().encode()
        case Sh():
            content = act.stdin.reveal().encode() if act.stdin else b""
        case Fetch():
            content = key.reveal().encode() + b"\n"
        case Send():
            return _packed(tarball(act.trees, act.texts))
    return len(content), (content,)


def _packed(file: BinaryIO) -> tuple[int, Iterable[bytes]]:
    size = file.seek(0, 2)
    file.seek(0)
    return size, iter(lambda: file.read(BLOCK), b"")
