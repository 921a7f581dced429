"""The way back: the slug, processes and config of an old release, to be released anew (Heroku contract 7)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from deployer.model.steps import Text
from deployer.problems import InputError, Problem, Where
from deployer.spec.fleet import Host
from deployer.spec.spec import Spec
from deployer.world import releases
from deployer.world.facts import Facts, Probe
from deployer.world.releases import APPS, Keys
from deployer.world.world import Release

PREVIOUS = "previous"
"""In place of a number: the last release before the current one that succeeded."""
_STATE = {"failed": "failed", "pending": "was never finished"}


def probe(app: str, name: str) -> Probe:
    """The config of a release, or of all while it has no number yet; nothing but a rollback asks for it."""
    number = name if re.fullmatch(r"v[0-9]+", name) else "*"
    return Probe(private=frozenset({env_path(app, number)}))


def pinned(spec: Spec, facts: Mapping[str, Facts]) -> Spec:
    """The spec with a number in place of PREVIOUS, which is another one once the rollback is done."""
    if not spec.to:
        return spec
    return replace(spec, to=target(spec.to, releases.seen(spec.fleet.app, facts.values())).name)


def target(name: str, records: Mapping[int, Release]) -> Release:
    """The release to go back to. Raises InputError naming those that can be chosen."""
    now = releases.current(records)
    done = {r.name: r for r in records.values() if r.outcome == "succeeded"}
    before = [r.name for r in done.values() if now and r.number < now.number]
    chosen = before[-1] if before and name == PREVIOUS else name
    if chosen not in done:
        raise InputError(_no_way(name, records, before))
    return done[chosen]


def _no_way(name: str, records: Mapping[int, Release], before: list[str]) -> Problem:
    bad = next((r for r in records.values() if r.name == name), None)
    summary = f"there is no release {name}, or it is no longer kept"
    if name == PREVIOUS:
        summary = "there is no release before the current one to go back to"
    elif bad:
        summary = f"{name} {_STATE[bad.outcome]}: there is no way back to it"
    able = f"these can be chosen: {', '.join(before)}" if before else "make a new release: deploy apply"
    return Problem(summary, hint=able)


def returned(
    spec: Spec, records: Mapping[int, Release], hosts: Iterable[Host], facts: Mapping[str, Facts]
) -> Spec:
    """The spec with all that its release brings; what app.json needs, it needs for another source.

    Raises InputError for a release that cannot be chosen, and for config that its record does not vouch for.
    """
    release = target(spec.to, records)
    given = {"processes": dict(release.processes), "env": {}, "addons": ()}
    return replace(
        spec,
        slug=release.slug,
        app=spec.app.model_copy(update=given),
        config=recalled(spec.fleet.app, release, hosts, facts),
        generated=(),
    )


def repeated(wanted: Release, old: Release) -> Release:
    """The new release, told of as Heroku tells of it."""
    return replace(wanted, commit=old.commit, why=f"Rollback to {old.name}")


def notes(spec: Spec, release: Release | None) -> tuple[str, ...]:
    """What the files say of process types that a rollback has none of; otherwise that is an error."""
    if not (spec.to and release):
        return ()
    unknown = sorted({*spec.app.formation, *spec.fleet.formation} - release.processes.keys())
    return tuple(
        f"{spec.to} has no process type {kind}: its formation counts for nothing" for kind in unknown
    )


def recalled(
    app: str, release: Release, hosts: Iterable[Host], facts: Mapping[str, Facts]
) -> Mapping[str, Text]:
    """The user's values, from the first host whose file is what the record vouches for. Raises InputError."""
    keys, path = releases.seen_keys(app, facts.values()), env_path(app, release.name)
    held = [(host, facts[host.name].private[path]) for host in hosts if path in facts[host.name].private]
    for _, text in held:
        values = users(text, release)
        if keys and releases.digests(values, keys.seal) == release.config:
            return values
    raise InputError([_distrust(keys, path, release.name, host) for host, _ in held] or _lost(release.name))


def users(text: str, release: Release) -> dict[str, Text]:
    """Without the metadata, which is made anew for each release."""
    found = releases.read_env(text)
    return {name: Text(found[name], secret=True) for name in release.config if name in found}


def _distrust(keys: Keys | None, path: str, name: str, host: Host) -> Problem:
    where = Where(f"{host.name}/{host.address}")
    hint = "choose another release (deploy releases), or release the older source anew: deploy apply"
    if not keys:
        return Problem(f"{path} cannot be proven: the app's keys are gone from every host", where, hint=hint)
    return Problem(f"{path} was changed by hand: the config of {name} cannot be trusted", where, hint=hint)


def _lost(name: str) -> Problem:
    return Problem(f"no host has the config of {name} any more", hint="choose another one: deploy releases")


def env_path(app: str, release: str) -> str:
    return f"{APPS}/{app}/releases/{release}/env"
