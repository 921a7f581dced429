"""The provider contract: four pure questions about one kind of resource on one host."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Protocol

from deployer.facts import Facts, Probe
from deployer.model import Step

if TYPE_CHECKING:
    import jinja2

    from deployer.fleet import Host
    from deployer.world import World


class Seen(Protocol):
    """A frozen state of a resource as a host shows it."""

    @property
    def key(self) -> str: ...


class Desired(Protocol):
    """What a host should hold, able to say what it would look like once true."""

    @property
    def key(self) -> str: ...
    def expect(self) -> Any: ...


class Provider(Protocol):
    """MUST be pure in all of its methods. `observe` MUST see everything of ours, wanted or not."""

    name: str

    def desire(self, world: World, host: Host) -> Iterable[Any]: ...
    def probe(self, app: str) -> Probe: ...
    def observe(self, app: str, facts: Facts) -> Iterable[Any]: ...
    def converge(self, want: Any, have: Any, differs: frozenset[str]) -> Iterable[Step]: ...
    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        """Why, in words, as the reader of a plan would ask."""
        ...


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    loader = jinja2.PackageLoader("deployer", "providers")
    # what a long apply began with, it looks again with, whatever happens to the files meanwhile
    return jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        auto_reload=False,
    )


def render(template: str, **values: Any) -> str:
    """The text of a file on a host, from the template beside its provider."""
    return _environment().get_template(template).render(**values)


@cache
def packaged(name: str) -> str:
    """A script that is shipped as it lies beside its provider."""
    return (files("deployer") / "providers" / name).read_text(encoding="utf-8")


def plain_cause(want: Any, have: Any, differs: frozenset[str]) -> str:
    """The cause where nothing more can be said than which side is missing."""
    if have is None:
        return "not there yet"
    return "no longer in the spec" if want is None else f"{', '.join(sorted(differs))} differ on the host"
