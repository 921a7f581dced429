"""A word that is no command: the nearest that is one, or what does here what it does elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
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
        nearest = next(iter(get_close_matches(word, [*self.commands, *HERE, *self._grouped()], n=1)), "")
        if hint := way(nearest) or self._ours(nearest):
            return Problem(f"there is no command {word!r}; did you mean {nearest!r}?", hint=hint)
        return None

    def _grouped(self) -> Iterator[str]:
        """The commands of groups, as Heroku writes them."""
        groups = ((name, getattr(group, "commands", ())) for name, group in self.commands.items())
        return (f"{group}:{name}" for group, names in groups for name in names)

    def _ours(self, word: str) -> str:
        """`domains:add` is `deploy domains add`."""
        group, _, name = word.partition(":")
        return f"deploy {group} {name}" if name in getattr(self.commands.get(group), "commands", ()) else ""
