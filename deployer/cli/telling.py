"""What a command says: documents or words, plans, and what happens while it acts."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deployer.cli import options as o
    from deployer.engine.engine import Order
    from deployer.model.events import Event
    from deployer.model.plan import Plan


def say(told: o.Look, document: Any, words: str) -> None:
    """The same as JSON or in words, as the user has it."""
    from deployer.views import json, text

    text.show(json.document(document) if told.as_json else words)


def show(told: o.Look, plan: Plan) -> None:
    """A plan that is acted on; as JSON it is one line among those of the events."""
    from deployer.views import json, text

    document = plan.as_dict()
    text.show(json.line(document) if told.as_json else text.plan(document, told.seconds, text.terminal()))


@contextmanager
def acting(told: o.Act, plan: Plan) -> Iterator[Order]:
    """The order to make a plan true, which tells of its way. What failed hosts leave is shown as a plan."""
    from deployer.engine.engine import Order
    from deployer.problems import PartlyAppliedError

    try:
        yield Order(plan, teller(told), told.lock_wait)
    except PartlyAppliedError as error:
        if error.left:
            show(told, error.left)
        raise


def teller(told: o.Look) -> Callable[[Event], None]:
    """What draws events as they come: a line each, JSON on standard output or words on standard error.

    A reader who leaves (`| head`) ends nothing: hosts are not left in the middle for it.
    """
    from deployer.views import json, text

    def tell(event: Event) -> None:
        document = event.as_dict(told.seconds)
        line = json.line(document) if told.as_json else text.event(document)
        try:
            if line:
                text.show(line, err=not told.as_json)
        except BrokenPipeError:
            stream = sys.stdout if told.as_json else sys.stderr
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())

    return tell
