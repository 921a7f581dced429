"""From what is there to what is wanted: in how many waves, and how many stay healthy on the way."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.model.plan import Capacity
from deployer.planning.rollout import Place, schedule
from deployer.problems import InputError
from deployer.spec.fleet import Rollout as Limits
from deployer.spec.fleet import share
from deployer.world.world import Rollout

Dynos = list[Place]


def dyno(name: str, host: str, up: bool = False, memory: int = 100) -> Place:
    kind, n, _ = name.split(".")
    return Place(name, kind, int(n), host, f"{host}:{name}" if kind == "web" else "", memory, up)


OLD = [dyno("web.1.v1", "a", True), dyno("web.2.v1", "b", True), dyno("worker.1.v1", "a", True)]
NEW = [dyno("web.1.v2", "a"), dyno("web.2.v2", "b"), dyno("worker.1.v2", "a")]


def keys(seats: frozenset[str]) -> list[str]:
    return sorted(seat.split("/")[1] for seat in seats)


def told(rollout: Rollout) -> list[str]:
    """A line a wave: what starts, what is served, what stops."""
    lists = ([keys(w.start), sorted(w.routes.values()), keys(w.stop)] for w in rollout.waves)
    return [" | ".join(" ".join(names) for names in parts) for parts in lists]


def test_with_room_for_two_sets_there_is_one_wave() -> None:
    found = schedule(Limits(), {"a": 200, "b": 100}, OLD, NEW)
    assert told(found) == [
        "web.1.v2 web.2.v2 worker.1.v2 | web.1.v2 web.2.v2 | web.1.v1 web.2.v1 worker.1.v1"
    ]
    assert found.capacity == {"web": Capacity(2, 2, 2), "worker": Capacity(1, 1, 1)}


def test_a_batch_is_of_one_type() -> None:
    found = schedule(Limits(batch=1), {"a": 200, "b": 100}, OLD, NEW)
    assert told(found) == [
        "web.1.v2 worker.1.v2 | web.1.v2 web.2.v1 | web.1.v1 worker.1.v1",
        "web.2.v2 | web.1.v2 web.2.v2 | web.2.v1",
    ]


def test_with_room_for_some_they_follow_one_another() -> None:
    found = schedule(Limits(), {"a": 100, "b": 100}, OLD, NEW)
    assert told(found) == [
        "web.1.v2 web.2.v2 | web.1.v2 web.2.v2 | web.1.v1 web.2.v1",
        "worker.1.v2 | web.1.v2 web.2.v2 | worker.1.v1",
    ]
    assert found.capacity["web"].fewest == 2


def test_without_room_old_ones_stop_first() -> None:
    found = schedule(Limits(), {"a": 0, "b": 0}, OLD, NEW)
    assert told(found)[0] == " | web.2.v1 | web.1.v1"
    assert told(found)[1] == "web.1.v2 | web.1.v2 web.2.v1 | "
    assert found.capacity == {"web": Capacity(2, 1, 2), "worker": Capacity(1, 0, 1)}


def test_a_floor_that_cannot_be_kept_is_refused_with_the_numbers() -> None:
    with pytest.raises(InputError) as refused:
        schedule(Limits(floor=2), {"a": 0, "b": 0}, OLD, NEW)
    [problem] = refused.value.problems
    assert problem.summary == (
        "web cannot keep 2 healthy dynos: web.1 must stop on a before another can start, which leaves 1"
    )
    assert problem.detail == "a has 0 MB left, b has 0 MB left"


def test_dynos_that_must_start_again_leave_the_routers_one_half_at_a_time() -> None:
    again = [dyno("web.1.v1", "a"), dyno("web.2.v1", "b"), dyno("worker.1.v1", "a", True)]
    found = schedule(Limits(), {"a": 0, "b": 0}, OLD, again)
    assert told(found) == [
        " | web.2.v1 | ",
        "web.1.v1 | web.1.v1 web.2.v1 | ",
        " | web.1.v1 | ",
        "web.2.v1 | web.1.v1 web.2.v1 | ",
    ]
    assert found.capacity == {"web": Capacity(2, 1, 2)}


def test_who_is_down_starts_at_once() -> None:
    down = [dyno("web.1.v1", "a"), *OLD[1:]]
    found = schedule(Limits(), {"a": 0, "b": 0}, down, down)
    assert told(found) == ["web.1.v1 | web.1.v1 web.2.v1 | "]
    assert found.capacity == {"web": Capacity(1, 1, 2)}


def test_a_dyno_that_moves_stops_after_it_has_started_elsewhere() -> None:
    moved = [dyno("web.1.v1", "b"), *OLD[1:]]
    found = schedule(Limits(), {"a": 0, "b": 100}, OLD, moved)
    assert [(wave.start, wave.stop) for wave in found.waves] == [({"b/web.1.v1"}, {"a/web.1.v1"})]
    assert found.routes == {"b:web.1.v1": "web.1.v1", "b:web.2.v1": "web.2.v1"}


def test_nothing_to_do_has_no_wave() -> None:
    found = schedule(Limits(), {"a": 0, "b": 0}, OLD, OLD)
    assert (found.waves, found.capacity) == ((), {})
    assert sorted(found.routes.values()) == ["web.1.v1", "web.2.v1"]


SETS = st.lists(
    st.tuples(st.sampled_from(["web", "worker"]), st.sampled_from("abc"), st.booleans()),
    min_size=1,
    max_size=8,
)


def dynos(rows: list[tuple[str, str, bool]], release: str, starting: bool) -> Dynos:
    count: Counter[str] = Counter()
    found = []
    for kind, host, up in rows:
        count[kind] += 1
        found.append(dyno(f"{kind}.{count[kind]}.{release}", host, up and not starting))
    return found


@given(
    SETS,
    SETS,
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 500)),
    st.sampled_from([None, 1, "50%"]),
)
def test_any_rollout_ends_within_the_memory_and_where_it_should(
    before: list[tuple[str, str, bool]],
    after: list[tuple[str, str, bool]],
    extra: dict[str, int],
    batch: int | str | None,
) -> None:
    old, new = dynos(before, "v1", starting=False), dynos(after, "v2", starting=True)
    need = Counter(p.host for p in new)
    free = {
        host: max(100 * (need[host] - sum(p.host == host for p in old)), 0) + extra.get(host, 0)
        for host in "abc"
    }
    found = schedule(Limits(batch=batch), free, old, new)
    there, places = {p.seat: p for p in old}, {p.seat: p for p in (*old, *new)}
    total = Counter(p.type for p in new)
    for wave in found.waves:
        started = [places[seat] for seat in wave.start]
        there |= {p.seat: p for p in started}
        for host in "abc":
            used = sum(p.memory for p in there.values() if p.host == host)
            assert used <= free[host] + sum(p.memory for p in old if p.host == host)
        for kind in total:
            most = total[kind] if batch is None else max(1, share(batch, total[kind]))
            assert sum(p.type == kind for p in started) <= most
        served = {p.route for p in there.values() if p.route and p.seat not in wave.stop}
        assert set(wave.routes) <= served
        for seat in wave.stop:
            del there[seat]
    assert there.keys() == {p.seat for p in new}
    assert sorted(found.routes.values()) == sorted(p.key for p in new if p.route)
