"""Everything that the user's files say about one deployment, as one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from deployer.model.steps import Text, Tree
from deployer.problems import Problem, Where
from deployer.spec.app import App
from deployer.spec.fleet import Fleet
from deployer.spec.packs import Buildpack, Elsewhere
from deployer.spec.platform import Certificate
from deployer.spec.stacks import Stack


@dataclass(frozen=True)
class Spec:
    """What should be. `where(file, pointer)` finds the line of app.json or fleet.json that says so.

    For Procfile the pointer is a process type.
    """

    app: App
    fleet: Fleet
    stack: Stack
    config: Mapping[str, Text]
    """Declared values of app.json, then those of fleet.json; never PORT."""
    generated: tuple[str, ...]
    """Names with `generator: "secret"` and no value: made once, then kept on the hosts."""
    drains: tuple[str, ...] = field(default=(), repr=False, kw_only=True)
    """URLs that fleet.json names; they may hold passwords."""
    drain_ca: str = field(default="", repr=False, kw_only=True)
    """PEM certificates that drains are verified against, beside those of the hosts."""
    tree: Tree = field(repr=False)
    folder: Path
    buildpacks: tuple[Buildpack | Elsewhere, ...] = ()
    slug: str = ""
    """One that was built before, to be released in place of what the source would become."""
    to: str = ""
    """A release to go back to (`v7`, or `previous`), with its slug, processes and config."""
    certificates: tuple[Certificate, ...] = field(default=(), repr=False)
    """Those that fleet.json names, in its order."""
    acme_roots: str = ""
    """PEM of what to trust the ACME CA's own server by, beside the usual roots."""
    recalls: bool = False
    """Whether the config of releases is read back from the hosts, for who changes what goes with it."""
    compares: bool = False
    """Whether the texts of files are read back, too, for who asks what changes inside them."""
    defaults: Mapping[str, str] | None = None
    """Process types that the last buildpack brings; None where only a build can tell."""
    warnings: tuple[Problem, ...] = ()
    where: Callable[[str, str], Where] = field(
        default=lambda file, pointer: Where(file, pointer=pointer), repr=False, compare=False
    )

    @property
    def source_sha(self) -> str:
        """The digest of the source without app.json: what that says about the build is counted by itself, and
        scaling must not look like new source."""
        entries = tuple(entry for entry in self.tree.entries if entry.path != b"app.json")
        return replace(self.tree, entries=entries).sha
