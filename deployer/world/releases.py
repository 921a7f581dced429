"""Which release is wanted: the one that runs, the one that was begun, or a new one."""

from __future__ import annotations

import hashlib
import hmac
import json
import shlex
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from deployer.model.steps import Text
from deployer.spec import platform
from deployer.spec.platform import Platform
from deployer.world.facts import Facts
from deployer.world.world import Outcome, Release, read_release

APPS = "/var/lib/deployer/apps"
KEPT = 5
"""Old releases that stay, with their slugs (docs/architecture.md, "Releases and keys")."""
_RANK: Mapping[Outcome, int] = {"pending": 0, "succeeded": 1, "failed": 2}


@dataclass(frozen=True)
class Keys:
    """What was made once and is kept on the hosts: the seal of digests, and generated config vars."""

    seal: str
    generated: Mapping[str, str]

    def text(self) -> Text:
        document = {"seal": self.seal, "generated": dict(sorted(self.generated.items()))}
        return Text(json.dumps(document, indent=1) + "\n", secret=True)


def keys_path(app: str) -> str:
    return f"{APPS}/{app}/keys.json"


def seen_keys(app: str, facts: Iterable[Facts]) -> Keys | None:
    """The keys as the first host that has them holds them."""
    for host in sorted(facts, key=lambda f: f.host):
        if text := host.private.get(keys_path(app)):
            found = json.loads(text)
            return Keys(found["seal"], found["generated"])
    return None


def platform_path(app: str) -> str:
    """What commands put on the platform, for root only."""
    return f"{APPS}/{app}/platform.json"


def seen_platform(app: str, facts: Iterable[Facts]) -> Platform:
    """The latest of all hosts."""
    found = (
        platform.legible(host.private.get(platform_path(app))) for host in sorted(facts, key=lambda f: f.host)
    )
    return max((p for p in found if p), key=lambda p: p.serial, default=Platform())


def digests(config: Mapping[str, Text], seal: str) -> dict[str, str]:
    """Keyed digests: they tell that a value changed, and nothing to who lacks the seal."""
    return {name: _keyed(seal, config[name].reveal()) for name in sorted(config)}


def _keyed(seal: str, value: str) -> str:
    return hmac.new(seal.encode(), value.encode(), hashlib.sha256).hexdigest()[:12]


def env_file(config: Mapping[str, Text], metadata: Mapping[str, str]) -> Text:
    """Assignments for bash that keep newlines, quotes and any UTF-8 of the values; the user's come last."""
    ours = ((name, metadata[name]) for name in sorted(metadata))
    pairs = (*ours, *((name, config[name].reveal()) for name in sorted(config)))
    return Text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in pairs), secret=True)


def read_env(text: str) -> dict[str, str]:
    """The inverse of `env_file`, metadata included; {} for what no shell would read to its end."""
    try:
        words = shlex.split(text)
    except ValueError:
        return {}
    return dict(word.partition("=")[::2] for word in words[1::2])


def app_id(app: str) -> str:
    """An app's UUID, the same wherever somebody asks."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, app))


def metadata(app: str, release: Release, domain: str = "") -> dict[str, str]:
    """What each dyno of a release is told about it (Heroku contract 3.3); `domain` is the default one."""
    named = {"HEROKU_APP_DEFAULT_DOMAIN_NAME": domain} if domain else {}
    return named | {
        "HEROKU_APP_ID": app_id(app),
        "HEROKU_APP_NAME": app,
        "HEROKU_BUILD_COMMIT": release.commit,
        "HEROKU_RELEASE_CREATED_AT": release.when.replace("+00:00", "Z"),
        "HEROKU_RELEASE_VERSION": release.name,
        "HEROKU_SLUG_COMMIT": release.commit,
        "HEROKU_SLUG_DESCRIPTION": f"Deploy {release.commit[:8] or release.slug[:8]}",
    }


def seen(app: str, facts: Iterable[Facts]) -> dict[int, Release]:
    """All records on all hosts; where hosts differ in the outcome the more advanced one is true."""
    found: dict[int, Release] = {}
    for host in facts:
        for _, document in host.documents(f"{APPS}/{app}/releases", "release.json"):
            release = read_release(document)
            known = found.get(release.number, release)
            found[release.number] = max(known, release, key=lambda r: _RANK[r.outcome])
    return dict(sorted(found.items()))


def current(records: Mapping[int, Release]) -> Release | None:
    """The highest release that succeeded."""
    done = [r for r in records.values() if r.outcome == "succeeded"]
    return done[-1] if done else None


def decide(wanted: Release, records: Mapping[int, Release]) -> Release:
    """The release to converge to, numbered: running, begun by a run that died, or the next one."""
    last = max(records, default=0)
    for known in (current(records), records.get(last)):
        if known and known.outcome != "failed" and known.inputs == wanted.inputs:
            return known
    return replace(wanted, number=last + 1)


def kept(records: Mapping[int, Release], release: Release | None, to: str = "") -> tuple[Release, ...]:
    """The records that stay: the wanted one, five that succeeded before it, and failures since then.

    So does the one that a rollback goes back `to`: to begin the same rollback again must stay possible.
    """
    past = [r for r in records.values() if release is None or r.number != release.number]
    old = [r for r in past if r.outcome == "succeeded"][-KEPT:]
    since = old[0].number if old else 0
    failed = [r for r in past if r.outcome == "failed" and r.number >= since][-KEPT:]
    back = [r for r in past if r.name == to]
    chosen = {r.number: r for r in (*back, *old, *failed, *((release,) if release else ()))}
    return tuple(chosen[n] for n in sorted(chosen))


def why(wanted: Release, before: Release | None) -> str:
    """One line for the list of releases, in Heroku's words where it has them (contract, 7.2)."""
    if before is None or before.slug != wanted.slug:
        return f"Deploy {wanted.commit[:8] or wanted.slug[:8]}"
    if before.stack != wanted.stack:
        return f"Update the stack to {wanted.stack}"
    changed = [n for n in sorted(wanted.config) if before.config.get(n) != wanted.config[n]]
    gone = sorted(before.config.keys() - wanted.config.keys())
    if changed or gone:
        return (
            " and ".join(
                f"{verb} {', '.join(names)}" for verb, names in (("Set", changed), ("Unset", gone)) if names
            )
            + " config vars"
        )
    return "Change process types"
