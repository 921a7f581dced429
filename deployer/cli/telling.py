"""What a command says: documents or words, plans, and what happens while it acts."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deployer.cli import options as o
    from deployer.engine.engine import Order
    from deployer.model.events import Event, Tell
    from deployer.model.plan import Plan
    from deployer.source.journal import Journal
    from deployer.views.progress import Document

    Draw = Callable[[Document], None]

GONE = (errno.EPIPE, errno.EIO)
"""Whoever read has left, or the terminal has."""


def say(told: o.Look, document: Any, words: str) -> None:
    """The same as JSON or in words, as the user has it."""
    from deployer.views import json, text

    text.show(json.document(document) if told.as_json else words)


def show(told: o.Act, plan: Plan) -> None:
    """A plan that is acted on; as JSON it is one line among those of the events."""
    from deployer.views import json, text
    from deployer.views.plan import plan as shown

    document = plan.as_dict()
    words = shown(document, told.seconds, text.terminal(), told.verbose)
    text.show(json.line(document) if told.as_json else words)


@contextmanager
def acting(told: o.Act, plan: Plan) -> Iterator[Order]:
    """The order to make a plan true, which tells of its way. What failed hosts leave is shown as a plan."""
    from deployer.engine.engine import Order
    from deployer.problems import PartlyAppliedError

    try:
        with _kept(told, plan) as journal, _drawn(told) as draw:
            yield Order(plan, _teller(told, journal, draw), told.lock_wait)
    except PartlyAppliedError as error:
        if error.left:
            show(told, error.left)
        raise


@contextmanager
def _kept(told: o.Act, plan: Plan) -> Iterator[Journal]:
    """The journal: the plan, all events and the error, which leads to it."""
    from deployer.source.journal import Journal
    from deployer.views import text
    from deployer.views.plan import plan as shown

    journal = Journal(plan.app, f"{told.at:%Y-%m-%dT%H-%M-%SZ}-{os.getpid()}")
    journal.write(shown(plan.as_dict(), told.seconds, every=True))
    try:
        yield journal
    except BaseException as error:
        journal.write("\n".join(map(text.problem, getattr(error, "problems", ()))) or type(error).__name__)
        error.add_note(str(journal))
        raise


@contextmanager
def _drawn(told: o.Act) -> Iterator[Draw]:
    """As the user has it: JSON, every step in words, a region of the terminal, or in short."""
    from deployer.views import progress

    if told.as_json:
        yield _as_json(told.verbose)
    elif told.verbose:
        yield _in_words(progress.every)
    elif sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        from deployer.views.screen import region  # rich takes a tenth of a second to load

        with region(lambda: told.seconds) as draw:
            yield draw
    else:
        yield _in_words(progress.shortened())


def _as_json(every: bool) -> Draw:
    from deployer.views import json, text

    def draw(event: Document) -> None:
        if every or event["event"] != "output":
            text.show(json.line(event))

    return draw


def _in_words(words: Callable[[Document], str | None]) -> Draw:
    from deployer.views import text

    def draw(event: Document) -> None:
        if line := words(event):
            text.show(line, err=True)

    return draw


def _teller(told: o.Act, journal: Journal, draw: Draw) -> Tell:
    """A reader who leaves (`| head`) ends nothing: hosts are not left in the middle for it."""
    from deployer.views import progress

    def tell(event: Event) -> None:
        document = event.as_dict(told.seconds)
        if line := progress.every(document):
            journal.write(line)
        try:
            draw(document)
        except OSError as error:
            if error.errno not in GONE:
                raise
            stream = sys.stdout if told.as_json else sys.stderr
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

    return tell
