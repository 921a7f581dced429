"""Which files of live tests come first. A file runs on one fleet, from its first test to its last."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

SECONDS: dict[str, int] = json.loads(Path(__file__).with_name("seconds.json").read_text())
"""What each file takes, as `--durations=0` had it: only their order is of interest."""


def longest_first(items: list[pytest.Item]) -> list[pytest.Item]:
    """So all fleets end at about the same time: whichever is free takes the next file.

    Files of the campaign come after all others: on each fleet it puts an app of its own in the example's place.
    """
    return sorted(items, key=lambda item: (of_the_campaign(item), -SECONDS.get(item.path.stem, 0), item.path))


def of_the_campaign(item: pytest.Item) -> bool:
    return "chaos" in getattr(item, "fixturenames", ())
