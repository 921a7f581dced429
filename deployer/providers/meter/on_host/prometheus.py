"""Prometheus' text format 0.0.4: writing it, and putting together what several sources say."""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, Mapping, NamedTuple, Tuple, Union

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Samples = Iterable[Tuple[Mapping[str, str], Union[int, float]]]
_VALUE = r"(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|[+-]?Inf|NaN)"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(
    rf"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{{(?:{_LABEL}(?:,{_LABEL})*,?)?\}})? +{_VALUE}(?: +-?\d+)?"
)
ABOUT = re.compile(r"# (?:HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) ?(.*)")


class Family(NamedTuple):
    """One metric: the lines about it, each once, and its samples in order."""

    about: Dict[str, None]
    samples: List[str]


Families = Dict[str, Family]


def escaped(value: str) -> str:
    """A label's value as it stands between quotes."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def family(name: str, kind: str, said: str, samples: Samples) -> Families:
    """One metric of our own; none where it has no sample."""
    lines = []
    for labels, value in samples:
        inner = ",".join(f'{label}="{escaped(text)}"' for label, text in labels.items())
        lines.append(f"{name}{{{inner}}} {value}" if inner else f"{name} {value}")
    about = {f"# HELP {name} {said}": None, f"# TYPE {name} {kind}": None}
    return {name: Family(about, lines)} if lines else {}


def parsed(text: str) -> Families:
    """What another source says. Raises ValueError for a line that is not of this format."""
    found: Families = {}
    current = ""
    for line in text.splitlines():
        about, sample = ABOUT.fullmatch(line), SAMPLE.fullmatch(line)
        if about:
            current = about[1]
            found.setdefault(current, Family({}, [])).about[line] = None
        elif sample:
            # of a histogram and a summary the samples have longer names than the metric
            if not re.fullmatch(f"{current}(?:_bucket|_sum|_count)?", sample[1]):
                current = sample[1]
            found.setdefault(current, Family({}, [])).samples.append(line)
        elif line.strip() and not line.startswith("#"):
            raise ValueError(f"no line of Prometheus' text format: {line[:100]!r}")
    return found


def merged(sources: Iterable[Families]) -> Families:
    """The samples of each metric together; what is said about it comes from the first that has it."""
    whole: Families = {}
    for source in sources:
        for name, (about, samples) in source.items():
            whole.setdefault(name, Family(about, [])).samples.extend(samples)
    return whole


def text(families: Families) -> str:
    rows = (row for about, samples in families.values() if samples for row in (*about, *samples))
    return "".join(f"{row}\n" for row in rows)
