"""What differs between what is wanted and what was seen: plain equality, written once."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from math import inf
from typing import Any

from deployer.model.plan import Field, Shown

_HEX = re.compile(r"[0-9a-f]{64}\Z")
_NOTHING: frozenset[str] = frozenset()


class Sealed(str):
    """A digest of something secret: compared like any other, shown only as its `label`."""

    label: str

    def __new__(cls, digest: str, label: str = "(secret)") -> Sealed:
        sealed = super().__new__(cls, digest)
        sealed.label = label
        return sealed


class Kept:
    """Equal to whatever is there: for what must stay as it was found."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


KEPT = Kept()


def differs(expected: Any, seen: Any) -> frozenset[str]:
    """Names of the fields of two seen-states that are not equal; all of them where one is None."""
    if expected is not None and expected == seen:
        return _NOTHING
    either = expected if expected is not None else seen
    names = _names(type(either))  # type: ignore[arg-type]  # mypy takes a class for unhashable
    if expected is None or seen is None:
        return names
    return frozenset(n for n in names if getattr(expected, n) != getattr(seen, n))


@cache
def _names(kind: type) -> frozenset[str]:
    return frozenset(f.name for f in fields(kind) if f.name != "key") if is_dataclass(kind) else _NOTHING


def shown(expected: Any, seen: Any, most: float = inf) -> tuple[Field, ...]:
    """The differing fields as a person may see them: mappings entry by entry, digests short.

    A mapping that comes or goes as a whole is told by its size if it has more than `most` entries.
    """
    return tuple(
        line
        for name in sorted(differs(expected, seen))
        for line in _lines(name, getattr(seen, name, None), getattr(expected, name, None), most)
    )


def _lines(name: str, before: Any, after: Any, most: float = inf) -> list[Field]:
    if isinstance(before, Mapping) or isinstance(after, Mapping):
        if not (before and after) and len(before or after or ()) > most:
            return [Field(name, _size(before), _size(after))]
        return _entries(name, before or {}, after or {})
    if before == after:
        return []
    old, new = short(before), short(after)
    old = f"{old}, outdated" if old == new else old
    return [Field(name, old, new, _is_digest(before) or _is_digest(after))]


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, Sealed) and bool(_HEX.match(value))


def _size(entries: Mapping[Any, Any] | None) -> str | None:
    return f"{len(entries)} entries" if entries else None


def _entries(name: str, before: Mapping[Any, Any], after: Mapping[Any, Any]) -> list[Field]:
    keys = sorted(before.keys() | after.keys(), key=str)
    changed = (key for key in keys if before.get(key) != after.get(key))
    return [line for key in changed for line in _lines(f"{name}[{key}]", before.get(key), after.get(key))]


def short(value: Any) -> Shown:
    """A value small enough for a line: long digests are cut, lists joined, secrets hidden."""
    if isinstance(value, Sealed):
        return value.label
    if isinstance(value, Kept):
        return "(as it is)"
    if isinstance(value, str):
        return value[:12] if _HEX.match(value) else value
    if value is None or isinstance(value, (int, bool)):
        return value
    return " ".join(str(short(v)) for v in (sorted(value) if isinstance(value, frozenset) else value))


def relied(seen: Any, seal: str) -> str:
    """12 hex digits of a seen-state: the same as long as what the steps of a change rely on is.

    What is secret counts as its digest under the seal of the app, so that nobody tests a guess against a
    plan, and not at all where the hosts hold no seal yet.
    """
    return hashlib.sha256(repr(_canonical(seen, seal)).encode()).hexdigest()[:12]


def _canonical(value: Any, seal: str) -> Any:
    """Equal for equal values, in whatever order a mapping or set was made."""
    if is_dataclass(value):
        return [(f.name, _canonical(getattr(value, f.name), seal)) for f in fields(value)]
    if isinstance(value, Mapping):
        return sorted((str(key), _canonical(item, seal)) for key, item in value.items())
    if isinstance(value, frozenset):
        return sorted((_canonical(item, seal) for item in value), key=repr)
    if isinstance(value, tuple | list):
        return [_canonical(item, seal) for item in value]
    return _keyed(value, seal) if isinstance(value, Sealed) else value


def _keyed(secret: Sealed, seal: str) -> str:
    return hmac.new(seal.encode(), secret.encode(), hashlib.sha256).hexdigest() if seal else secret.label
