"""`deploy`: run the command line and turn errors into words and exit codes."""

from __future__ import annotations

import gc
import io
import os
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from deployer.problems import DeployerError


def main() -> None:
    """Exit codes are the table of docs/architecture.md; a traceback only with --debug."""
    # loading makes many objects and no garbage: to look for some at every 700th is a twelfth of the time
    gc.set_threshold(50_000)
    # pydantic would look through every installed package for plugins; we have none
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # as on standard error: a letter that the terminal's encoding lacks must not end an apply
        sys.stdout.reconfigure(errors="backslashreplace")
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    _leave(_run(debug))


def _leave(status: int) -> NoReturn:
    """At once: to take all modules and connections apart would take a fifth of a second, for nothing."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _run(debug: bool) -> int:
    from deployer.problems import INTERRUPTED, DeployerError, ReaderLeftError

    try:
        return _commands()
    except DeployerError as error:
        if debug:
            raise
        _show(error, error)
        return error.exit_code
    except KeyboardInterrupt as error:
        _notes(error)
        return INTERRUPTED
    except BrokenPipeError as left:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # whatever was being done is not known to be finished
        return 0 if isinstance(left, ReaderLeftError) else 1
    except Exception as error:
        if debug:
            raise
        _show(_unforeseen(error), error)
        return 1


def _commands() -> int:
    from deployer.cli.app import app

    if len(sys.argv) == 1:
        sys.argv.append("--help")
    status = app(standalone_mode=False, prog_name="deploy")
    return status if isinstance(status, int) else 0


def _show(told: DeployerError, error: Exception) -> None:
    from deployer.views import text

    for found in told.problems:
        text.show(text.problem(found, text.terminal(err=True)), err=True)
    _notes(error)


def _notes(error: BaseException) -> None:
    """What else is to be said of it, such as where all that happened is."""
    from deployer.views import text

    for note in getattr(error, "__notes__", ()):
        text.show(f"  {note}", err=True)


def _unforeseen(error: Exception) -> DeployerError:
    import typer

    from deployer.problems import DeployerError, Problem

    if isinstance(error, typer.Abort):
        return DeployerError(
            Problem("cancelled; nothing was changed", hint="run the command again when ready")
        )
    if callable(message := getattr(error, "format_message", None)):  # a usage error of typer's
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "deploy"
        return DeployerError(Problem(message(), hint=f"{command} --help shows what it takes"))
    name = type(error).__name__
    return DeployerError(
        Problem(f"an error of the deployer's own: {name}: {error}", hint="run it again with --debug")
    )


if __name__ == "__main__":
    main()
