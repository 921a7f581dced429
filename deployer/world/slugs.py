"""Which slugs the hosts hold, for which apps, and what they have written down about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from deployer.spec.slug import RECORD, Slug, read_slug
from deployer.world.facts import Facts
from deployer.world.releases import APPS


def held(facts: Facts) -> Iterator[tuple[str, str]]:
    """`(app, digest)` of each whole slug on a host."""
    for folder in sorted(facts.folders):
        app, slash, digest = folder.removeprefix(f"{APPS}/").partition("/slugs/")
        if folder.startswith(f"{APPS}/") and slash and not digest.endswith(".partial"):
            yield app, digest


def holders(
    app: str, facts: Mapping[str, Facts], hosts: Iterable[str]
) -> Mapping[str, list[tuple[str, str]]]:
    """By slug, `(host, app)` of those that have it: for `app` first, then as in `hosts`."""
    found: dict[str, list[tuple[str, str]]] = {}
    for host in hosts:
        for owner, digest in held(facts[host]):
            found.setdefault(digest, []).append((host, owner))
    return {digest: sorted(places, key=lambda place: place[1] != app) for digest, places in found.items()}


def record(digest: str, facts: Mapping[str, Facts]) -> Slug | None:
    """What the first host that has the slug says about it."""
    for host in sorted(facts):
        for app, held_one in held(facts[host]):
            document = facts[host].document(f"{APPS}/{app}/slugs/{held_one}/.slug.json")
            if held_one == digest and document.keys() >= RECORD:
                return read_slug(digest, document)
    return None
