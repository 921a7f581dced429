"""The judges of the campaign's watcher: each finds what it is there for, and lets pass what a fault explains."""

from __future__ import annotations

import pytest
from at_any_time import HANDOVER, Floor, Look, OneHolder, Proven

HOSTS = frozenset(("box-1", "box-2"))
OLD, NEW = "hello.web.1.v1", "hello.web.1.v2"


def seen(
    at: float = 0,
    *,
    named: tuple[str, ...] = (),
    up: dict[str, tuple[str, ...]] | None = None,
    locks: dict[str, str] | None = None,
) -> Look:
    """Dynos of `up` are keys by host; without it both hosts are on and have none."""
    dynos = {host: frozenset(f"{host}/{key}" for key in keys) for host, keys in (up or {}).items()}
    return Look(at, {"box-1": frozenset(named)}, dynos or dict.fromkeys(HOSTS, frozenset()), locks or {})


def test_a_router_that_names_a_dyno_which_was_never_up() -> None:
    judge = Proven()
    assert list(judge.judge(seen(named=(f"box-2/{OLD}",), up={"box-1": (), "box-2": (OLD,)}))) == []
    assert list(judge.judge(seen(named=(f"box-2/{OLD}", f"box-2/{NEW}")))) == [
        f"box-1 names box-2/{NEW}, which has never been up"
    ]


def test_one_that_has_crashed_or_whose_host_is_off_stays_named() -> None:
    judge = Proven()
    named = (f"box-2/{OLD}",)
    assert list(judge.judge(seen(named=named, up={"box-1": ()}))) == []
    assert list(judge.judge(seen(named=named))) == []


def test_a_floor_that_was_reached_is_kept() -> None:
    judge = Floor(2, HOSTS)
    both, one = {"box-1": (OLD,), "box-2": (NEW,)}, {"box-1": (OLD,), "box-2": ()}
    assert [list(judge.judge(seen(up=up))) for up in (one, both)] == [[], []]
    assert list(judge.judge(seen(up=one))) == [f"1 web dynos are up, not 2: ['box-1/{OLD}']"]
    assert judge.fewest == 1


@pytest.mark.parametrize("off", [{"box-1": (OLD,)}, {"box-2": ()}])
def test_a_host_that_is_off_takes_its_dynos_until_they_are_back(off: dict[str, tuple[str, ...]]) -> None:
    judge = Floor(2, HOSTS)
    both, booting = {"box-1": (OLD,), "box-2": (NEW,)}, {"box-1": (OLD,), "box-2": ()}
    assert [w for up in (both, off, booting, both) for w in judge.judge(seen(up=up))] == []
    assert list(judge.judge(seen(up=booting))) != []


def test_another_floor_counts_from_when_it_is_reached() -> None:
    judge = Floor(1, HOSTS)
    one, both = {"box-1": (OLD,), "box-2": ()}, {"box-1": (OLD,), "box-2": (NEW,)}
    assert list(judge.judge(seen(up=one))) == []
    judge.ask(2)
    assert [w for up in (one, both) for w in judge.judge(seen(up=up))] == []
    assert list(judge.judge(seen(up=one))) != []


def test_two_holders_are_one_too_many_but_for_the_moment_of_a_handover() -> None:
    judge = OneHolder()
    two = {"box-1": "b", "box-2": "a"}
    assert list(judge.judge(seen(0, locks={"box-1": "a", "box-2": "a"}))) == []
    assert list(judge.judge(seen(1, locks=two))) == []
    assert list(judge.judge(seen(1 + HANDOVER, locks=two))) == []
    assert list(judge.judge(seen(1.1 + HANDOVER, locks=two))) == [
        "for 10 s the lock has had two holders: {'box-1': 'b', 'box-2': 'a'}"
    ]
    assert list(judge.judge(seen(12, locks={"box-1": "b", "box-2": "b"}))) == []
