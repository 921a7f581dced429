"""Whether a plan that was agreed to is still the one to run, and if not, what moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from deployer.model.plan import Plan
from deployer.problems import Problem, Where

HINT = "the plan is stale; look at a new one: deploy plan --out FILE"
SHOWN = 8
"""Lines of what the files want otherwise: one change in them can be one of every host."""


class Pair(NamedTuple):
    """A change as it was agreed to and as it would be now, of which either may be missing."""

    agreed: Mapping[str, Any] | None
    now: Mapping[str, Any] | None

    @property
    def is_seen_otherwise(self) -> bool:
        """Whether the host is no longer as the steps found it."""
        return bool(self.agreed and self.now and self.agreed["relies"] != self.now["relies"])

    @property
    def is_wanted_otherwise(self) -> bool:
        """Whether the host is as it was, and something else is wanted of it."""
        return bool(self.agreed and self.now) and not self.is_seen_otherwise


def moved(saved: Mapping[str, Any], fresh: Plan) -> tuple[Problem, ...]:
    """What moved since `saved` (`schemas/plan.schema.json`), a problem each; none if the plan still holds.

    Only what a step relies on counts. Hosts on which nothing of that moved are not named.
    """
    now = fresh.as_dict()
    if saved["app"] != now["app"]:
        return (Problem(f"the plan is one of {saved['app']}, and this is {now['app']}", hint=HINT),)
    pairs = _differing(saved, now)
    if pairs and not any(p.is_seen_otherwise for p in pairs) and _is_asked_otherwise(saved, now, pairs):
        return (_files(saved, now, pairs),)
    return tuple(_moved(pair) for pair in pairs)


def is_remainder(agreed: Mapping[str, Any], fresh: Plan) -> bool:
    """Whether `fresh` holds nothing but what is left of `agreed`, towards the same end.

    A step of a run that was cut off may come to its end between the look and the lock.
    """
    now = fresh.as_dict()
    is_same = all(agreed[name] == now[name] for name in ("app", "release", "hosts"))
    return is_same and all(_is_left(pair) for pair in _differing(agreed, now))


def _is_left(pair: Pair) -> bool:
    if pair.agreed is None or pair.now is None:
        return pair.now is None
    was, action = pair.agreed["action"], pair.now["action"]
    if "delete" in (was, action):
        return bool(was == action)
    then = {f["name"]: (f["before"], f["after"]) for f in pair.agreed["fields"]}
    fields = [(f["before"], f["after"], *then.get(f["name"], (None, None))) for f in pair.now["fields"]]
    # what was not there, or takes several steps, is on its way through states that no field shows
    is_on_its_way = was == "create" or len(pair.agreed["steps"]) > 1
    return all(
        after == end and (is_on_its_way or before in (begin, end)) for before, after, begin, end in fields
    )


def _differing(saved: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Pair, ...]:
    """In the order of the hosts and of the plan; what is gone from the plan follows what is in it."""
    before = {c["address"]: c for c in saved["changes"]}
    after = {c["address"]: c for c in now["changes"]}
    pairs = [Pair(before.get(address), after.get(address)) for address in {**after, **before}]
    return tuple(sorted((p for p in pairs if p.agreed != p.now), key=_host))


def _host(pair: Pair) -> str:
    return str(_any(pair)["host"])


def _any(pair: Pair) -> Mapping[str, Any]:
    return pair.now or pair.agreed or {}


def _is_asked_otherwise(saved: Mapping[str, Any], now: Mapping[str, Any], pairs: tuple[Pair, ...]) -> bool:
    """The release, the hosts, or what one and the same state is to become."""
    is_other = any(saved[name] != now[name] for name in ("release", "hosts"))
    return is_other or any(p.is_wanted_otherwise for p in pairs)


def _files(saved: Mapping[str, Any], now: Mapping[str, Any], pairs: tuple[Pair, ...]) -> Problem:
    names = [("release", [saved["release"]], [now["release"]]), ("hosts", saved["hosts"], now["hosts"])]
    led = [f"{what}: {', '.join(a)} → {', '.join(b)}" for what, a, b in names if a != b]
    wanted = [f"{_any(p)['address']}: {said}" for p in pairs if (said := _otherwise(p))]
    what = "the files, the flags or the room on the hosts"
    summary = f"{what} have changed since the plan was made; what the app has there has not"
    more = [f"and {len(wanted) - SHOWN} more"] if len(wanted) > SHOWN else []
    return Problem(summary, detail="\n".join((*led, *wanted[:SHOWN], *more)), hint=HINT)


def _moved(pair: Pair) -> Problem:
    change = _any(pair)
    where = Where(change["host"], pointer=change["address"])
    if pair.now is None:
        return Problem("already done, or no longer wanted", where, hint=HINT)
    if pair.agreed is None:
        return Problem(f"has come up since: {change['action']}, {change['cause']}", where, hint=HINT)
    return Problem("is not what it was", where, _otherwise(pair), HINT)


def _otherwise(pair: Pair) -> str:
    """The fields of a change that are not those agreed to: what was seen first, else what is wanted."""
    if pair.agreed is None or pair.now is None:
        return ""
    seen, wanted = (_fields(pair.agreed, pair.now, side) for side in ("before", "after"))
    lines = (seen or wanted) if pair.is_seen_otherwise else (wanted or seen)
    return "; ".join(lines) or _unshown(pair.agreed, pair.now)


def _fields(agreed: Mapping[str, Any], fresh: Mapping[str, Any], side: str) -> list[str]:
    old, new = ({f["name"]: f[side] for f in change["fields"]} for change in (agreed, fresh))
    same = "as it should be" if side == "before" else "as it is"  # of what a change does not show
    pairs = {name: (_value(old.get(name, same)), _value(new.get(name, same))) for name in {**old, **new}}
    return [f"{name}: {then} → {now}" for name, (then, now) in pairs.items() if then != now]


def _value(value: object) -> str:
    words = {None: "none", True: "yes", False: "no"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _unshown(agreed: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What no field shows: a secret, or something that was as it should be and now is not as before."""
    names = [name for name in ("action", "cause", "steps") if agreed[name] != now[name]]
    return f"other {' and '.join(names)}" if names else "something that is not shown"
