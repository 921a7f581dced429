"""One resource told in full: what asks for it, where it is, the rule between, and what would settle it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import Any

from deployer.model import diff
from deployer.model.plan import Plan
from deployer.planning import planner
from deployer.problems import InputError, Problem
from deployer.providers import PROVIDERS
from deployer.providers.base import About, Provider
from deployer.spec.fleet import Host
from deployer.spec.spec import Spec
from deployer.world.world import World

NEAREST, SHOWN = 3, 5
REVERT = "put the lines above back, if it is they that changed"


@dataclass(frozen=True)
class Resource:
    """One address: as it would be once true and as it was seen, of which either may be None."""

    provider: Provider
    host: Host
    key: str
    expected: Any
    seen: Any

    @property
    def address(self) -> str:
        return f"{self.provider.name}/{self.host.name}/{self.key}"

    def names(self, app: str) -> tuple[str, ...]:
        """What a reader may call it: as the plan prints it, by its key, by its path; a dyno as `ps` does."""
        bare = self.key.partition(":")[2] or self.key
        dyno = self.key.removeprefix(f"{app}.").rpartition(".")[0]
        is_dyno = self.provider.name == "lxc" and bare == self.key
        return f"{self.provider.name}/{self.key}", self.key, bare, *((dyno,) if is_dyno else ())


def explain(spec: Spec, world: World, plan: Plan, word: str) -> dict[str, Any]:
    """What `deploy explain` prints. Raises InputError for a word that names none or several resources."""
    found = named(word, resources(world), world.app)
    about = found.provider.about(spec, found.host, found.key)
    change = next((c.as_dict() for c in plan.changes if c.address == found.address), {})
    state = change.get("action") or ("in sync" if found.expected is not None else "shared")
    return {
        "address": found.address,
        "host": f"{found.host.name}/{found.host.address}",
        "state": state,
        "cause": change.get("cause", ""),
        "asks": [asdict(spec.where(file, pointer)) for file, pointer in about.asks],
        "places": list(about.places),
        "rule": about.rule,
        "fields": fields(found),
        "steps": change.get("steps", []),
        "next": {"apply": "deploy apply" if change else "", "edit": _edit(state, about)},
    }


def resources(world: World) -> tuple[Resource, ...]:
    """All that is wanted or seen on all hosts, in the order of the plan."""
    found = []
    for host in world.hosts:
        for provider in PROVIDERS:
            wanted, seen = planner.sides(provider, world, host)
            for key in dict.fromkeys((*wanted, *sorted(seen))):
                expected = wanted[key].expect() if key in wanted else None
                found.append(Resource(provider, host, key, expected, seen.get(key)))
    return tuple(r for r in found if r.expected is not None or r.seen is not None)


def named(word: str, known: tuple[Resource, ...], app: str) -> Resource:
    """The resource that a word names; one that is wanted comes before those of the same name that go."""
    found = [r for r in known if r.address == word] or [r for r in known if word in r.names(app)]
    found = [r for r in found if r.expected is not None] or found
    if len(found) == 1:
        return found[0]
    if found:
        more = ", …" if len(found) > SHOWN else ""
        hint = f"name one of them: {', '.join(r.address for r in found[:SHOWN])}{more}"
        raise InputError(Problem(f"{word} is the name of {len(found)} resources", hint=hint))
    raise InputError(Problem(f"nothing is called {word} here", hint=_nearest(word, known, app)))


def _nearest(word: str, known: tuple[Resource, ...], app: str) -> str:
    """By their addresses, whichever of their names the word is like."""
    by_name: dict[str, str] = {}
    for resource in known:
        for name in (resource.address, *resource.names(app)):
            by_name.setdefault(name, resource.address)
    close = [by_name[name] for name in get_close_matches(word, by_name, n=NEAREST)]
    return f"these are near: {', '.join(dict.fromkeys(close))}" if close else "deploy plan shows what changes"


def fields(found: Resource) -> list[dict[str, Any]]:
    """Every field as wanted and as seen; secrets and digests as the plan shows them."""
    wanted = {f.name: f.after for f in diff.shown(found.expected, None)}
    seen = {f.name: f.before for f in diff.shown(None, found.seen)}
    differing = {f.name: f for f in diff.shown(found.expected, found.seen)}
    return [_field(name, wanted, seen, differing) for name in sorted({**wanted, **seen, **differing})]


def _field(
    name: str, wanted: Mapping[str, Any], seen: Mapping[str, Any], differing: Mapping[str, Any]
) -> dict[str, Any]:
    if other := differing.get(name):
        return {"name": name, "wanted": other.after, "seen": other.before, "differs": True}
    return {"name": name, "wanted": wanted.get(name), "seen": seen.get(name), "differs": False}


def _edit(state: str, about: About) -> str:
    """The edit of the files that would have the present state be the wanted one."""
    return {"create": about.drop, "update": REVERT, "delete": about.keep}.get(state, "")
