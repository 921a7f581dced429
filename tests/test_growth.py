"""What a plan costs grows with the fleet and no faster: counted in lines of Python that run, not in seconds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
import wide
from fleets import Fleet, fleet

from deployer.engine import decision
from deployer.engine.sight import departing
from deployer.providers.base import render
from deployer.spec.spec import Spec
from deployer.views import json
from deployer.views.plan import plan as told

HOSTS, DYNOS = 16, 160
LINEAR = 2.0
"""Times as many lines for a fleet of twice the size; what is the same for all fleets only makes it less."""


def lines(job: Callable[[], object]) -> int:
    count = 0

    def tell(_: FrameType, event: str, __: Any) -> Any:
        nonlocal count
        count += event == "line"
        return tell

    sys.settrace(tell)
    try:
        job()
    finally:
        sys.settrace(None)
    return count


def planned(seen: Fleet, wanted: Spec) -> Callable[[], object]:
    """All that `deploy plan` does once it has looked."""
    sight = seen.sight(wanted)

    def plan() -> str:
        left = departing(wanted, sight.facts, ())
        document = decision.decide(wanted, sight).plan.as_dict()
        return f"{left} {told(document, 0.0)} {json.document(document)}"

    return plan


@pytest.fixture(scope="module")
def fleets() -> dict[int, Fleet]:
    return {times: wide.grown(times * HOSTS, times * DYNOS) for times in (1, 2)}


def costs(kind: str, fleets: dict[int, Fleet], times: int) -> int:
    hosts, dynos = times * HOSTS, times * DYNOS
    seen = fleet() if kind == "first" else fleets[times]
    wanted = wide.wanted(hosts, dynos, wide.RELEASES + (kind == "release"))
    plan = planned(seen, wanted)
    plan()  # what is loaded and compiled once is no part of it
    render.cache_clear()
    return lines(plan)


@pytest.mark.parametrize("kind", ["first", "empty", "release"])
def test_a_plan_for_twice_the_fleet_costs_twice_as_much(kind: str, fleets: dict[int, Fleet]) -> None:
    small, large = (costs(kind, fleets, times) for times in (1, 2))
    assert small > 10_000
    assert large / small < LINEAR
