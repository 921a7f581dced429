"""A word that is no command: the nearest that is one, or what does here what it does elsewhere."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from typer.core import TyperGroup

from deployer.cli.heroku import HERE, way
from deployer.problems import InputError, Problem


class Commands(TyperGroup):
    """All commands. typer itself names the nearest of them; this comes before it where more is known."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Raises InputError for a word of Heroku's CLI."""
        if args[0] not in self.commands and not ctx.resilient_parsing and (found := self._elsewhere(args[0])):
            raise InputError(found)
        return super().resolve_command(ctx, args)

    def _elsewhere(self, word: str) -> Problem | None:
        if hint := way(word) or self._ours(word):
            return Problem(f"there is no command {word!r}", hint=hint)
        nearest = next(iter(get_close_matches(word, [*self.commands, *HERE], n=1)), "")
        if nearest not in HERE:
            return None
        return Problem(f"there is no command {word!r}; did you mean {nearest!r}?", hint=way(nearest))

    def _ours(self, word: str) -> str:
        """`domains:add` is `deploy domains add`."""
        group, _, name = word.partition(":")
        return f"deploy {group} {name}" if name in getattr(self.commands.get(group), "commands", ()) else ""
