"""What changes inside files: the texts of a plan beside those on the hosts, with nothing secret in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import unified_diff

from deployer.model.blots import blots, blotted
from deployer.model.plan import Plan
from deployer.model.steps import Put, Sh, Step, Text
from deployer.providers.nginx.pages import written
from deployer.world import rollback
from deployer.world.facts import Facts
from deployer.world.world import World

NOTES = "/run/"
"""What is there was noted by what runs; no plan is about it."""
NOTHING = "/dev/null"
_OPEN_END = "\n\\ No newline at end of file\n"


@dataclass(frozen=True)
class FileDiff:
    """`diff` is unified, from what is there to what is wanted; where it is empty, `hidden` says why."""

    address: str
    file: str
    diff: str
    hidden: str = ""

    def as_dict(self) -> dict[str, str]:
        return {"address": self.address, "file": self.file, "diff": self.diff, "hidden": self.hidden}


def unified(plan: Plan, world: World) -> tuple[FileDiff, ...]:
    """One for each file that a step writes or removes, of a world that was seen with `Spec.compares`."""
    secrets = _secrets(world)
    files = ((c, file, text) for c in plan.changes for file, text in sorted(_left(c.steps).items()))
    found = (_compared(c.address, file, text, world.facts[c.host], secrets) for c, file, text in files)
    return tuple(diff for diff in found if diff)


def _left(steps: Iterable[Step]) -> Mapping[str, Text | None]:
    """What steps leave in files at their end, by path; None where they remove one."""
    found: dict[str, Text | None] = {}
    for step in steps:
        match step.act:
            case Put(path, content):
                found[path] = content
            case Sh(file=path, stdin=content) if path and not path.startswith(NOTES):
                found[path] = content
    return found


def _compared(
    address: str, file: str, wanted: Text | None, facts: Facts, secrets: tuple[str, ...]
) -> FileDiff | None:
    before = facts.readable.get(file, facts.texts.get(file))
    if wanted and wanted.sha == facts.sha(file):
        return None
    if hidden := _hidden(file, wanted, facts):
        return FileDiff(address, file, "", hidden)
    diff = _diff(file, before, wanted.reveal() if wanted else None, secrets)
    return FileDiff(address, file, diff) if diff else None


def _hidden(file: str, wanted: Text | None, facts: Facts) -> str:
    """Why nothing of a file is shown."""
    seen = facts.files.get(file)
    if (wanted and wanted.secret) or (seen and file in facts.private):
        return "it holds secrets"
    if not seen or file in facts.readable or file in facts.texts:
        return ""
    return "it is too large, or no text" if seen.mode & 0o004 else "what is there is for root alone"


def _diff(file: str, before: str | None, after: str | None, secrets: tuple[str, ...]) -> str:
    old, new = ((text or "").splitlines(keepends=True) for text in (before, after))
    here, there = (NOTHING if text is None else file for text in (before, after))
    lines = list(unified_diff(old, new, here, there))
    whole = (line if line.endswith("\n") else line + _OPEN_END for line in lines[2:])
    return "".join((*lines[:2], *(blotted(line, secrets) for line in whole)))


def _secrets(world: World) -> tuple[str, ...]:
    """As each may be written in a file: as it is, in JSON, and in nginx's pages."""
    values = (*(text.reveal() for text in world.hidden), *_former(world))
    lines = {line for value in values for line in value.splitlines()}
    return blots(form for line in lines for form in (line, json.dumps(line)[1:-1], written(line)))


def _former(world: World) -> Iterator[str]:
    """The values of all releases that are kept: a file may still hold one of them."""
    for release in world.records:
        path = rollback.env_path(world.app, release.name)
        for text in {facts.private.get(path, "") for facts in world.facts.values()}:
            yield from (value.reveal() for value in rollback.users(text, release).values())
