"""A plan made true: one pyinfra operation per stage, a barrier after each, events as it happens."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from pyinfra.api import FunctionCommand, operation
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops

from deployer.events import Event, Tell
from deployer.model import Act, Fetch, Plan, Put, Send, Sh, Stage, Step, Text
from deployer.problems import Problem, Where
from deployer.remote import channel
from deployer.remote.connect import Links
from deployer.remote.orders import SHARE_PORT, order
from deployer.source.archive import tarball

SHARE = "/var/lib/deployer/bin/share"
SHARE_SECONDS = 3600
TAIL = 12
"""Lines of a failed step's output that are shown."""
BLOCK = 1 << 16
SHORTEST_SECRET = 4
"""Characters; what is shorter would blot out half of the output and is no secret."""

Work = dict[str, tuple[tuple[str, Step], ...]]
"""Steps of one stage by host, each with the address of its change."""


@dataclass
class Run:
    """One apply under way: what failed, by host, and what must never be said aloud."""

    links: Links
    plan: Plan
    tell: Tell
    hidden: tuple[Text, ...] = ()
    """What no output may show."""
    key: Text = field(default_factory=lambda: Text(secrets.token_hex(32), secret=True))
    began: float = field(default_factory=time.monotonic)
    failed: dict[str, Problem] = field(default_factory=dict)
    stage: Stage | None = None

    def event(self, kind: Any, **words: Any) -> None:
        self.tell(Event(kind, elapsed=time.monotonic() - self.began, **words))


def converge(links: Links, plan: Plan, tell: Tell, hidden: Iterable[Text] = ()) -> Run:
    """Run every stage that has something to do; the first that fails anywhere is the last."""
    run = Run(links, plan, tell, tuple(hidden))
    for stage in Stage:
        work = {host: plan.steps(host, stage) for host in links.open}
        if any(work.values()) and not run.failed:
            _stage(run, stage, work)
    return run


def _stage(run: Run, stage: Stage, work: Work) -> None:
    run.stage = stage
    run.event("stage", say=stage.name, detail={"hosts": sorted(h for h in work if work[h])})
    sources = sorted({s.act.source for steps in work.values() for _, s in steps if isinstance(s.act, Fetch)})
    with _sharing(run, sources):
        _run(run, stage, work)


def _run(run: Run, stage: Stage, work: Work) -> None:
    state = run.links.state
    _forget(run.links)
    add_op(state, _operation, run, stage, work)
    try:
        run_ops(state)
    except PyinfraError:
        if not run.failed:
            raise


def _forget(links: Links) -> None:
    """pyinfra collects operations and failures for one run; each stage is a run of its own."""
    state = links.state
    state.is_executing = False
    state.op_meta.clear()
    state.failed_hosts.clear()
    for remote in links.open.values():
        state.ops[remote].clear()
        remote.op_hash_order.clear()
        state.active_hosts.add(remote)


@operation()
def _operation(run: Run, stage: Stage, work: Work) -> Generator[FunctionCommand, None, None]:
    """One stage of the deployer's plan."""
    yield FunctionCommand(_on_host, (run, work), {})


def _on_host(state: Any, host: Any, run: Run, work: Work) -> bool:
    steps = work.get(host.name, ())
    if not steps:
        return True
    try:
        problem = _send(run, host.name, steps)
    except Exception as error:  # a broken link is this host's failure, not the fleet's
        problem = _broken(run, host.name, error)
    if problem:
        run.failed[host.name] = problem
    return problem is None


def _send(run: Run, host: str, steps: tuple[tuple[str, Step], ...]) -> Problem | None:
    bodies = [_body(run, step.act) for _, step in steps]
    header = json.dumps([order(step.act, size) for (_, step), (size, _) in zip(steps, bodies, strict=True)])
    stdin = _stream(header, [blocks for _, blocks in bodies])
    listener = _Listener(run, host, steps)
    line = channel.python_line(run.links.hosts[host].user)
    ended = channel.execute(run.links.client(host), line, stdin, listener.hear)
    if ended.status and listener.problem is None:
        return _broken(
            run, host, RuntimeError(ended.errors.decode("utf-8", "replace").strip() or "the link broke")
        )
    return listener.problem


def _stream(header: str, bodies: list[Iterable[bytes]]) -> Iterator[bytes]:
    yield channel.script("runner.py")
    yield header.encode() + b"\n"
    for body in bodies:
        yield from body


def _body(run: Run, act: Act) -> tuple[int, Iterable[bytes]]:
    """How many bytes the act reads, and the bytes; the only place where a secret is opened."""
    match act:
        case Put():
            content = act.content.reveal().encode()
        case Sh():
            content = act.stdin.reveal().encode() if act.stdin else b""
        case Fetch():
            content = run.key.reveal().encode() + b"\n"
        case Send():
            return _packed(tarball(act.trees, act.texts))
    return len(content), (content,)


def _packed(file: BinaryIO) -> tuple[int, Iterable[bytes]]:
    size = file.seek(0, 2)
    file.seek(0)
    return size, iter(lambda: file.read(BLOCK), b"")


class _Listener:
    """What a host says while it works, turned into events; secrets in it are blotted out."""

    def __init__(self, run: Run, host: str, steps: tuple[tuple[str, Step], ...]) -> None:
        self.run, self.host, self.steps = run, host, steps
        self.problem: Problem | None = None
        self.tail: list[str] = []
        self.words = _secrets(run)

    def hear(self, line: str) -> None:
        i, kind, *rest = json.loads(line)
        address, step = self.steps[i]
        said = {"host": self.host, "address": address, "say": step.say}
        match kind:
            case "start":
                self.tail = []
            case "line":
                self._line(rest[0], step.live, said)
                return
            case "failed":
                self.problem = self._failure(address, step, rest[0])
        self.run.event(kind, **said)

    def _line(self, text: str, live: bool, said: dict[str, str]) -> None:
        for word in self.words:
            text = text.replace(word, "(secret)")
        self.tail = [*self.tail, text][-TAIL:]
        if live:
            self.run.event("line", **said, detail={"text": text})

    def _failure(self, address: str, step: Step, why: str) -> Problem:
        where = Where(f"{self.host}/{self.run.links.hosts[self.host].address}", pointer=address)
        detail = "\n".join((why, *self.tail))
        hint = "mend what it says, then run deploy apply again: it goes on from here"
        return Problem(f"{self.host}: could not {step.say}", where, detail, hint)


def _secrets(run: Run) -> list[str]:
    values = {line for text in run.hidden if text.secret for line in text.reveal().splitlines()}
    return sorted((v for v in values if len(v) >= SHORTEST_SECRET), key=len, reverse=True)


def _broken(run: Run, host: str, error: Exception) -> Problem:
    where = Where(f"{host}/{run.links.hosts[host].address}")
    hint = "when it is back, run deploy apply again: the plan is what is left"
    said = str(error) or type(error).__name__
    return Problem(f"the connection to {host} broke", where, said, hint)


class _sharing:  # noqa: N801  (reads as a statement: with _sharing(...))
    """The hosts that others fetch from serve while the block runs, and to nobody else."""

    def __init__(self, run: Run, sources: list[str]) -> None:
        self.run, self.sources = run, sources

    def __enter__(self) -> None:
        for name in self.sources:
            mesh = self.run.links.hosts[name].mesh
            argv = (SHARE, "start", mesh, str(SHARE_PORT), str(SHARE_SECONDS))
            self._sh(name, argv, self.run.key)

    def __exit__(self, *_: object) -> None:
        for name in self.sources:
            self._sh(name, (SHARE, "stop"), None)

    def _sh(self, name: str, argv: tuple[str, ...], stdin: Text | None) -> None:
        step = Step(Stage.SHIP, "share images and slugs with the other hosts", Sh(argv, stdin))
        if problem := _send(self.run, name, (("share", step),)):
            self.run.failed[name] = problem
