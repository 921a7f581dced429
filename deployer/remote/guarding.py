"""What the connection hangs on changes under a guard: a host that nobody reaches any more puts it back."""

from __future__ import annotations

import json

from deployer.model.steps import Guard, Put, Sh, Step, Text
from deployer.problems import Problem, Where
from deployer.providers.host import GUARDS
from deployer.remote import channel
from deployer.remote.run import Steps

SECONDS = 60
"""After which a guarded change that nobody confirmed is put back."""
REACH_SECONDS = 20
"""For a new connection, within those."""
ARMING = 2
"""Steps that `armed` puts before the guarded ones."""


def parted(steps: Steps) -> tuple[Steps, Steps, Steps]:
    """What comes before the first guarded step, from it to the last, and what comes after."""
    guarded = [i for i, (_, step) in enumerate(steps) if step.guard]
    if not guarded:
        return steps, (), ()
    first, last = guarded[0], guarded[-1] + 1
    return steps[:first], steps[first:last], steps[last:]


def armed(steps: Steps, token: str) -> Steps:
    """The steps behind a guard for all of them: its script lands first, then it is armed."""
    address, first = steps[0]
    guard = _together([step.guard for _, step in steps if step.guard])
    order = json.dumps({"files": guard.files, "again": guard.again, "seconds": SECONDS})
    script = Put(_script(token), Text(channel.source("guard.py")), 0o700)
    say = f"arm a guard: without a new connection all is put back in {SECONDS} s"
    arm = Sh(("python3", _script(token), "arm", order))
    return (
        (address, Step(first.stage, "bring the guard of the connection", script)),
        (address, Step(first.stage, say, arm)),
        *steps,
    )


def disarm(steps: Steps, token: str) -> Steps:
    """For a new connection, which by being there has shown that the steps are good."""
    return _ending(steps, token, "disarm", "disarm the guard over a new connection")


def cut_short(steps: Steps, token: str, begun: int, done: int) -> Steps:
    """For steps that did not all run: the last of those `armed` that began, and the last that went well.

    Before the first of the steps themselves nothing was changed, and a guard that could not be armed is gone.
    """
    if begun >= ARMING:
        return _ending(steps, token, "undo", "put back what the guard has kept")
    if begun < 0 or done < begun:
        return ()
    return _ending(steps, token, "disarm", "disarm the guard: nothing was changed")


def unreachable(host: str, address: str, steps: Steps) -> Problem:
    """The last of the steps is named: after it nobody got in."""
    change, last = steps[-1]
    summary = f'{host}: nobody could reach it any more after "{last.say}"; it puts itself back'
    return Problem(
        f"{summary} within {SECONDS} s",
        Where(f"{host}/{address}", pointer=change),
        f"no new connection came about in {REACH_SECONDS} s",
        "find what keeps SSH out in what this step changes, then run deploy apply again",
    )


def _together(guards: list[Guard]) -> Guard:
    files = dict.fromkeys(path for guard in guards for path in guard.files)
    again = dict.fromkeys(argv for guard in guards for argv in guard.again)
    return Guard(tuple(files), tuple(again))


def _ending(steps: Steps, token: str, word: str, say: str) -> Steps:
    address, last = steps[-1]
    return ((address, Step(last.stage, say, Sh(("python3", _script(token), word)))),)


def _script(token: str) -> str:
    return f"{GUARDS}/{token}/guard.py"
