"""A plan made true: one pyinfra operation per barrier, events as it happens."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops

from deployer.model.events import Tell
from deployer.model.plan import Plan
from deployer.model.steps import Barrier, Fetch, Sh, Stage, Step, Text
from deployer.problems import Problem
from deployer.remote import channel, guarding
from deployer.remote.connect import Links, anew
from deployer.remote.hearing import Listener
from deployer.remote.orders import SHARE_PORT, orders
from deployer.remote.run import Run, Steps
from deployer.remote.stopping import Stop

SHARE = "/var/lib/deployer/bin/share"
SHARE_SECONDS = 3600
SILENCE = 30.0
"""Seconds without a line after which a host that works is lost: its runner says that it lives every five."""

Work = dict[str, Steps]
"""Steps of one barrier by host."""


def converge(
    links: Links,
    plan: Plan,
    tell: Tell,
    hidden: Iterable[Text] = (),
    stop: Stop | None = None,
    lock: str = "",
) -> Run:
    """Run every barrier that has something to do; the first that fails anywhere is the last.

    With the id of a `lock`, no host begins a step once that lock is gone there: `stop` is asked to end.
    """
    run = Run(links, plan, tell, tuple(hidden), stop or Stop(), lock)
    for barrier in plan.barriers():
        work = {host: steps for host in sorted(links.open) if (steps := plan.steps(host, *barrier))}
        if work and _goes_on(run):
            _barrier(run, barrier, work)
    return run


def _goes_on(run: Run) -> bool:
    return not run.failed and not _stops(run)


def _stops(run: Run) -> bool:
    """Asked only where there is more to do."""
    run.stopped = run.stopped or run.stop.why is not None
    return run.stopped


def _barrier(run: Run, barrier: Barrier, work: Work) -> None:
    run.stage, wave = barrier
    number = wave if run.stage == Stage.RETIRE else wave + 1
    count = {host: len(steps) for host, steps in work.items()}
    detail = {"hosts": list(work), "steps": count, **({"wave": number} if wave else {})}
    run.event("stage", say=run.stage.name, detail=detail)
    steps = chain.from_iterable(work.values())
    with _sharing(run, sorted({s.act.source for _, s in steps if isinstance(s.act, Fetch)})):
        for part in _parts(run.stage, work):
            if _goes_on(run):
                _run(run, part)


def _parts(stage: Stage, work: Work) -> list[Work]:
    """Hosts work at once, but routers one after another: what one chokes on the next never meets."""
    return [{host: steps} for host, steps in work.items()] if stage == Stage.ROUTE else [work]


def _run(run: Run, work: Work) -> None:
    state = run.links.state
    _forget(run.links)
    add_op(state, _operation, run, work)
    try:
        run_ops(state)
    except PyinfraError:
        if not run.failed:
            raise


def _forget(links: Links) -> None:
    """pyinfra collects operations and failures for one run; each barrier is a run of its own."""
    state = links.state
    state.is_executing = False
    state.op_meta.clear()
    state.failed_hosts.clear()
    for remote in links.open.values():
        state.ops[remote].clear()
        remote.op_hash_order.clear()
        state.active_hosts.add(remote)


@operation()
def _operation(run: Run, work: Work) -> Generator[FunctionCommand, None, None]:
    """One barrier of the deployer's plan."""
    yield FunctionCommand(_on_host, (run, work), {})


def _on_host(state: Any, host: Any, run: Run, work: Work) -> bool:
    before, guarded, after = guarding.parted(work.get(host.name, ()))
    problem = _guarded(run, host.name, before, guarded) if guarded else _send(run, host.name, before).problem
    if problem is None and after and not _stops(run):
        problem = _send(run, host.name, after).problem
    if problem:
        run.failed[host.name] = problem
    elif host.name in work and not run.stopped:
        run.event("done", host=host.name, say=run.stage.name if run.stage else "")
    return problem is None


def _guarded(run: Run, host: str, before: Steps, guarded: Steps) -> Problem | None:
    """The steps count only once a new connection has shown that the host can still be reached."""
    token = secrets.token_hex(8)
    heard = _send(run, host, (*before, *guarding.armed(guarded, token)))
    if host in run.lost:
        return heard.problem
    if heard.problem or heard.stopped:
        begun, done = heard.begun - len(before), heard.done - len(before)
        _send(run, host, guarding.cut_short(guarded, token, begun, done), stoppable=False)
        return heard.problem
    return _confirmed(run, host, guarded, token)


def _confirmed(run: Run, host: str, guarded: Steps, token: str) -> Problem | None:
    links = anew(run.links, host, guarding.REACH_SECONDS)
    if links is None:
        run.addresses[host] = guarded[-1][0]
        return guarding.unreachable(host, run.links.hosts[host].address, guarded)
    try:
        return _send(run, host, guarding.disarm(guarded, token), links, stoppable=False).problem
    finally:
        links.close()


def _send(run: Run, host: str, steps: Steps, links: Links | None = None, stoppable: bool = True) -> Listener:
    """One runner on the host, heard to its end. What is not `stoppable` runs in any case, without a lock."""
    heard = Listener(run, host, steps)
    if not steps:
        return heard
    line = channel.python_line(run.links.hosts[host].user)
    try:
        token, lock = (run.stop.token, run.lock) if stoppable else ("", "")
        told = orders((step for _, step in steps), run.key, token, lock, alone=run.stage != Stage.BUILD)
        stdin = chain((channel.script("runner.py"),), told)
        client = (links or run.links).client(host)
        ended = channel.execute(client, line, stdin, heard.hear, SILENCE)
        heard.end(ended.status, ended.errors.decode("utf-8", "replace").strip())
    except Exception as error:  # a broken link is this host's failure, not the fleet's
        heard.end(-1, str(error) or type(error).__name__)
    return heard


@contextmanager
def _sharing(run: Run, sources: list[str]) -> Iterator[None]:
    """The hosts that others fetch from serve while the block runs, and to nobody else.

    Whoever interrupts the block does not wait for their end: they serve an hour at most, under this key.
    """
    for name in sources:
        argv = (SHARE, "start", run.links.hosts[name].mesh, str(SHARE_PORT), str(SHARE_SECONDS))
        _share(run, name, argv, run.key)
    yield
    for name in sources:
        _share(run, name, (SHARE, "stop"), None)


def _share(run: Run, name: str, argv: tuple[str, ...], stdin: Text | None) -> None:
    step = Step(Stage.SHIP, "share images and slugs with the other hosts", Sh(argv, stdin))
    if problem := _send(run, name, (("share", step),), stoppable=False).problem:
        run.failed[name] = problem
