"""What a host says while it works, and what it is to the user when it fails or falls silent."""

from __future__ import annotations

import json
from typing import Any

from deployer.model.blots import blots, blotted
from deployer.model.steps import Step
from deployer.problems import Problem, Where
from deployer.remote.run import Run, Steps

TAIL = 12
"""Lines of a failed step's output that are shown."""


class Listener:
    """One host's lines, turned into events; secrets in them are blotted out."""

    def __init__(self, run: Run, host: str, steps: Steps) -> None:
        self.run, self.host, self.steps = run, host, steps
        self.problem: Problem | None = None
        self.at: Step | None = None
        """The step that runs; None between two."""
        self.begun = -1
        """The last that was begun, by its number."""
        self.done = -1
        """The last that went well."""
        self.stopped = False
        self.tail: list[str] = []
        self.words = blots(text.reveal() for text in run.hidden if text.secret)

    def hear(self, line: str) -> None:
        i, kind, *rest = self._event(line) or (max(self.begun, 0), "line", line)
        address, step = self.steps[i]
        said = {"host": self.host, "address": address, "say": step.say}
        match kind:
            case "alive":
                return
            case "stopped":
                self.stopped = self.run.stopped = True
                return
            case "line":
                self._line(rest[0], step.live, said)
                return
            case "failed":
                begun = self.begun == i
                self.problem = (self._failure if begun else self._refused)(address, step, rest[0])
            case "start":
                self.tail, self.begun = [], i
            case "ok":
                self.done = i
        self.at = step if kind == "start" else None
        is_live = kind == "start" and step.live
        self.run.event(kind, **said, detail={"live": True} if is_live else {})

    def _event(self, line: str) -> list[Any] | None:
        """What the runner says; None for what something on the way there says, like a shell's profile."""
        try:
            event = json.loads(line)
            known = isinstance(event[1], str) and 0 <= event[0] < len(self.steps)
        except (ValueError, TypeError, LookupError):
            return None
        return event if known else None

    def _line(self, text: str, live: bool, said: dict[str, str]) -> None:
        text = blotted(text, self.words)
        self.tail = [*self.tail, text][-TAIL:]
        self.run.event("line" if live else "output", **said, detail={"text": text})

    def _failure(self, address: str, step: Step, why: str) -> Problem:
        detail = "\n".join((why, *self.tail))
        hint = "mend what it says, then run deploy apply again: it goes on from here"
        self.run.addresses[self.host] = address
        return Problem(f"{self.host}: could not {step.say}", self._where(address), detail, hint)

    def _refused(self, address: str, step: Step, why: str) -> Problem:
        """It was not begun: the lock is gone, so no host goes on."""
        summary = f"{self.host} did not begin to {step.say}: {why}"
        self.run.stop.ask(f"the lock of {self.host} is held no longer; what is left is the next plan")
        self.run.stopped = True
        return Problem(summary, self._where(address), hint="what is left is the next plan: deploy plan")

    def end(self, status: int, why: str) -> None:
        """How the runner ended: -1 is a link that broke before it could say."""
        if status and self.problem is None:
            self.problem = self._lost(why or "the link broke") if status < 0 else self._unable(status, why)

    def _lost(self, why: str) -> Problem:
        """Whether the step that ran came to its end is for the next look to say."""
        running = f"\nit was at: {self.at.say}" if self.at else ""
        hint = "when it is back, run deploy apply again: the plan is what is left"
        self.run.lost.add(self.host)
        return Problem(f"the connection to {self.host} broke", self._where(), why + running, hint)

    def _unable(self, status: int, why: str) -> Problem:
        """It is no step that failed, but what runs them."""
        hint = "mend what it says, then run deploy apply again"
        return Problem(f"{self.host} could not go on (exit status {status})", self._where(), why, hint)

    def _where(self, address: str = "") -> Where:
        return Where(f"{self.host}/{self.run.links.hosts[self.host].address}", pointer=address)
