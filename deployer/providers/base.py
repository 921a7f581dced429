"""The provider contract: six pure questions about one kind of resource on one host."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Protocol

from deployer.model.plan import NEW
from deployer.model.steps import Step, Text
from deployer.world.facts import Facts, Probe

if TYPE_CHECKING:
    import jinja2

    from deployer.spec.fleet import Host
    from deployer.spec.spec import Spec
    from deployer.world.world import World


class Seen(Protocol):
    """A frozen state of a resource as a host shows it."""

    @property
    def key(self) -> str: ...


class Desired(Protocol):
    """What a host should hold, able to say what it would look like once true."""

    @property
    def key(self) -> str: ...
    def expect(self) -> Any: ...


Line = tuple[str, str]
"""A line of the user's files: app.json, fleet.json or Procfile, and the pointer into it (Spec.where)."""


@dataclass(frozen=True)
class About:
    """What a reader asks of one resource beyond its fields (`deploy explain`)."""

    asks: tuple[Line, ...]
    """The lines that ask for it, the most telling first; each MUST be there, or the nearest around it."""
    places: tuple[str, ...]
    """Where it is on the host: paths, units, names in the kernel or in dpkg."""
    rule: str
    """What leads from the lines to the host, in one or two sentences."""
    keep: str = ""
    """The edit that would have what is there stay, where it is not wanted; empty where no edit would."""
    drop: str = ""
    """The edit after which it is no longer wanted."""


class Provider(Protocol):
    """MUST be pure in all of its methods. `observe` MUST see everything of ours, wanted or not."""

    name: str

    @property
    def base(self) -> tuple[str, ...]:
        """Patterns of the keys that a host has for its roles, whatever apps there are: a plan folds them."""
        ...

    def desire(self, world: World, host: Host) -> Iterable[Any]: ...
    def probe(self, app: str) -> Probe: ...
    def observe(self, app: str, facts: Facts) -> Iterable[Any]: ...
    def converge(self, want: Any, have: Any, differs: frozenset[str]) -> Iterable[Step]: ...
    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        """Why, in words, as the reader of a plan would ask."""
        ...

    def about(self, spec: Spec, host: Host, key: str) -> About:
        """What there is to say of the resource with this key, wanted or only seen."""
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


@lru_cache(1 << 15)
def render(template: str, **values: Hashable) -> Text:
    """The text of a file on a host, from the template beside its provider.

    Most files are the same on all hosts: for equal values it is one text, which is rendered and hashed once.
    """
    return Text(_environment().get_template(template).render(**values))


@cache
def packaged(name: str) -> Text:
    """A script that is shipped as it lies beside its provider."""
    return Text((files("deployer") / "providers" / name).read_text(encoding="utf-8"))


def plain_cause(want: Any, have: Any, differs: frozenset[str]) -> str:
    """The cause where nothing more can be said than which side is missing."""
    if have is None:
        return NEW
    return "no longer in the spec" if want is None else f"{', '.join(sorted(differs))} differ on the host"


def roles(spec: Spec, host: Host) -> Line:
    """Where fleet.json says what a host is for; one that left it is missing among `hosts`."""
    is_there = any(host.name == known.name for known in spec.fleet.hosts)
    return "fleet.json", f"/hosts/{host.name}/roles" if is_there else "/hosts"


def scale(spec: Spec, kind: str) -> tuple[Line, ...]:
    """The lines that say how many dynos of a type run, the one that counts first, and its command."""
    files = (("fleet.json", spec.fleet.formation), ("app.json", spec.app.formation))
    found = tuple((file, f"/formation/{kind}") for file, scales in files if kind in scales)
    is_own = (spec.defaults or {}).get(kind) != spec.app.processes.get(kind)
    return (*found, *((("Procfile", kind),) if is_own else ()))


def given(spec: Spec, *keys: str) -> tuple[Line, ...]:
    """The keys of fleet.json among `keys` that somebody wrote there."""
    return tuple(("fleet.json", f"/{key}") for key in keys if key in spec.fleet.model_fields_set)
