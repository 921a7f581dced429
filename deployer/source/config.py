"""Config vars from where `fleet.json` says: the file itself, the environment, a file, or a command."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from deployer.model.steps import Text
from deployer.problems import InputError, Problem
from deployer.source.app_rules import At
from deployer.source.names import is_free
from deployer.source.text import escape
from deployer.spec.fleet import FromCommand, FromEnv, FromFile, Literal, Source

LARGEST = 64 * 1024
LARGE = 32 * 1024
"""Bytes of all names and values together (Heroku contract 7.4)."""
PATIENCE = 60
"""Seconds that a command may take to print a value."""


def values(config: Mapping[str, Source], folder: Path, at: At) -> tuple[dict[str, Text], tuple[Problem, ...]]:
    """The value of each name, and a problem for each that cannot be had. Relative paths start at `folder`."""
    found: dict[str, Text] = {}
    problems: list[Problem] = []
    for name in filter(is_free, config):
        try:
            found[name] = Text(value(config[name], folder), secret=True)
        except InputError as error:
            where = at(f"/config/{escape(name)}")
            problems += (Problem(f"{name}: {p.summary}", where, p.detail, p.hint) for p in error.problems)
    return found, tuple(problems)


def sizes(config: Mapping[str, Text], at: At) -> tuple[Problem, ...]:
    """A problem if an app has more config than Heroku lets one have, a warning from half of that on."""
    size = sum(len(name.encode()) + len(text.content.encode()) for name, text in config.items())
    if size <= LARGE:
        return ()
    summary = f"The config vars take {size} bytes; {LARGEST} are the most that they may"
    hint = "Put large values into a file or a service, and their address into the config."
    return (Problem(summary, at("/config"), hint=hint, severity="error" if size > LARGEST else "warning"),)


def value(source: Source, folder: Path) -> str:
    """What a source gives, less one newline at its end. Raises InputError where it gives nothing."""
    if isinstance(source, Literal):
        return source.value
    if isinstance(source, FromEnv):
        return _from_env(source.env)
    content = _from_file(folder, source) if isinstance(source, FromFile) else _from_command(folder, source)
    if b"\0" in content:
        raise InputError(Problem("the value holds a NUL byte", hint="No environment can hold it: encode it."))
    return _text(content).removesuffix("\n").removesuffix("\r")


def _from_env(name: str) -> str:
    if name not in os.environ:
        raise InputError(Problem(f"the environment variable {name} is not set", hint=f"Run: export {name}=…"))
    return _text(os.environb[name.encode()])


def _from_file(folder: Path, source: FromFile) -> bytes:
    path = folder / os.path.expanduser(source.file)
    try:
        return path.read_bytes()
    except OSError as error:
        hint = "Write the file, or put its path right."
        raise InputError(Problem(f"{path} cannot be read: {error.strerror}", hint=hint)) from error


def _from_command(folder: Path, source: FromCommand) -> bytes:
    said = " ".join(source.command)
    hint = f"Run it yourself: {said}"
    try:
        done = subprocess.run(
            source.command,
            check=False,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(Problem(f"{said} has printed nothing for {PATIENCE} s", hint=hint)) from error
    except OSError as error:
        raise InputError(Problem(f"{said} cannot be run: {error.strerror}", hint=hint)) from error
    if done.returncode:
        detail = done.stderr.decode(errors="replace").strip()
        raise InputError(Problem(f"{said} ended with status {done.returncode}", detail=detail, hint=hint))
    return done.stdout


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InputError(
            Problem("the value is not UTF-8 text", hint="Encode it, for instance in base64.")
        ) from error
