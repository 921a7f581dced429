"""A one-off dyno on one host, with the caller's terminal or pipes. Never together with a fleet run."""

from __future__ import annotations

import random
import shlex
import sys
from collections.abc import Iterable
from typing import Any

from deployer.problems import DeployerError, Problem, UnreachableError, Where
from deployer.remote.session import connection
from deployer.spec.fleet import Host
from deployer.spec.sizes import Size

ATTACH = "/var/lib/deployer/bin/dyno-attach"
NO_RELEASE, NO_ROOM, NOT_THERE = 66, 75, 127
_WHY = {
    NO_RELEASE: "has no release of it",
    NO_ROOM: "has no room for it",
    NOT_THERE: "has not been deployed to by this version",
}


def attach(hosts: Iterable[Host], keys_file: str | None, app: str, size: Size, words: Iterable[str]) -> int:
    """Run a command on the first host that takes it; its exit status.

    Raises UnreachableError where no host answers, DeployerError where none has a release or the memory.
    """
    is_tty = sys.stdin.isatty() and sys.stdout.isatty()
    ask = (ATTACH, app, str(size.memory), str(size.pids))
    argv = (*ask, *(("tty",) if is_tty else ()), str(size.limit), "--", *words)
    problems = []
    for host in sorted(hosts, key=lambda _: random.random()):
        try:
            with connection(host, keys_file) as link:
                if not (status := _run(link, host, ask, in_stream=False, hide=True)):
                    return _run(link, host, argv, pty=is_tty)
        except OSError as error:
            problems.append(Problem(f"{host.name} cannot be reached", _at(host), str(error)))
            continue
        problems.append(Problem(f"{host.name} {_WHY.get(status, f'says {status}')}", _at(host)))
    raise _nowhere(problems)


def _run(link: Any, host: Host, argv: tuple[str, ...], **given: Any) -> int:
    sudo = "" if host.user == "root" else "sudo -n "
    return int(link.run(sudo + shlex.join(argv), warn=True, **given).exited)


def _at(host: Host) -> Where:
    return Where(f"{host.name}/{host.address}")


def _nowhere(problems: list[Problem]) -> DeployerError:
    if all(problem.detail for problem in problems):
        return UnreachableError(problems)
    hint = "release the app first (deploy apply), choose a smaller --size, or scale something down"
    return DeployerError((*problems, Problem("no host can run it", hint=hint)))
