"""Running a command on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

from deployer.problems import DeployerError, Problem

DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""Before a command that works on a `.partial` folder: nothing may go on with that when we are killed."""

ALONE = (*DIES_WITH_US, "unshare", "--pid", "--mount", "--mount-proc", "--fork", "--kill-child")
"""The same for a command with children and mounts of its own: they all go with it."""


def run(argv: tuple[str, ...], stdin: str = "", env: Mapping[str, str] | None = None) -> str:
    """Runs a command to its end and returns its output; raises `DeployerError` with its last lines."""
    done = attempt(argv, stdin, env)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        problem = f"`{' '.join(argv)}` ended with {done.returncode}"
        raise DeployerError(Problem(problem, detail=last, hint="put that right, then run the same again"))
    return done.stdout


def attempt(
    argv: tuple[str, ...], stdin: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The same for a command whose failure is an answer; 127, as in a shell, where it does not exist."""
    try:
        return subprocess.run(
            argv,
            input=stdin,
            env=_environment() | dict(env or {}),
            text=True,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        return subprocess.CompletedProcess(argv, 127, "", str(error))


def exists(name: str) -> bool:
    """Whether there is such a command on this machine."""
    return shutil.which(name, path=_environment()["PATH"]) is not None


def _environment() -> dict[str, str]:
    path = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
    return dict(os.environ) | {"PATH": path, "LC_ALL": "C.UTF-8"}
