"""What holds whatever goes wrong on the way: dynos serve, and the next apply comes to the end."""

from __future__ import annotations

from itertools import count
from typing import Any

from applies import FINE, NO, SILENT, STOP, Applies, At, Killed, Upset, applies
from fleets import ALL, fleet, spec
from harm import harm, types
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from machine import Machine

from deployer.model.plan import Plan
from deployer.model.steps import Stage
from deployer.problems import InputError, ReleaseFailedError
from deployer.spec.spec import Spec

often = settings(max_examples=40, deadline=None, derandomize=True, database=None, phases=[Phase.generate])

FLEETS: list[dict[str, str]] = [
    {"a": ALL},
    {"a": ALL, "b": "router dynos"},
    {"a": "router logplex build", "b": "dynos", "c": "dynos"},
    {"a": "router build dynos", "b": "router logplex dynos build", "c": "dynos"},
]
"""Host n has the address 192.0.2.n."""

rounds = st.lists(
    st.fixed_dictionaries(
        {
            "trouble": st.sampled_from(["killed", "killed", SILENT, SILENT, NO, STOP, "watch", "start"]),
            "percent": st.integers(0, 99),
            "host": st.sampled_from("abc"),
            "crash": st.booleans(),
            "recovers": st.booleans(),
            "source": st.sampled_from(["one", "two", "three"]),
            "scale": st.fixed_dictionaries({"web": st.integers(1, 4), "worker": st.integers(0, 2)}),
            "more": st.sampled_from([{}, {}, {"health": {"path": "/ok"}}, {"default_size": "standard-2x"}]),
        }
    ),
    min_size=1,
    max_size=3,
)
fleets = st.sampled_from(FLEETS)
memories = st.sampled_from([65536, 6300, 4700])
limits = st.sampled_from([{}, {}, {"batch": 1}, {"batch": 2}, {"floor": 1}, {"floor": "50%"}])


def upset_by(row: dict[str, Any], plan: Plan) -> Upset:
    """The trouble of a round: at a percentage of the steps, or when the last wave is watched."""
    left = count(sum(len(change.steps) for change in plan.changes) * row["percent"] // 100, -1)
    last = max((wave for stage, wave in plan.barriers() if stage == Stage.WATCH), default=0)

    def upset(at: At) -> str:
        is_due = next(left) < 0
        match row["trouble"]:
            case "watch":
                return NO if (at.stage, at.wave) == (Stage.WATCH, last) else FINE
            case "start":
                return (
                    NO
                    if is_due and at.say.startswith("start ") and at.address.endswith(plan.release)
                    else FINE
                )
            case "killed" if is_due:
                raise Killed
            case str(what) if what in (SILENT, NO, STOP) and is_due:
                return what if at.host == row["host"] else FINE
        return FINE

    return upset


def recovers(hands: Applies, wanted: Spec) -> None:
    """Without trouble the next apply makes all true, if the hosts have room for it at all."""
    error = hands.apply(wanted)
    if not isinstance(error, InputError):
        assert error is None
        assert hands.seen.plan(wanted).empty


@often
@given(fleets, memories, limits, rounds)
def test_whatever_goes_wrong_dynos_serve_and_the_next_apply_ends(
    hosts: dict[str, str], memory: int, rollout: dict[str, Any], history: list[dict[str, Any]]
) -> None:
    seen = fleet()
    seen.machines |= {name: Machine(name, memory=memory) for name in hosts}
    processes = {"web": "w", "worker": "k"}
    same: dict[str, Any] = {"hosts": hosts, "processes": processes, "rollout": rollout}
    bad: list[str] = []
    seen.apply(spec(**same, scale={"web": 2, "worker": 1}))
    with applies(seen) as hands:
        hands.watcher = lambda at, plan: bad.extend(harm(hands, at, plan))
        for row in history:
            wanted = spec(**same, scale=row["scale"], source=row["source"], **row["more"])
            crash(seen.machines, row)
            goes_through(hands, wanted, row)
        recovers(hands, wanted)
    assert bad == []


def crash(machines: dict[str, Machine], row: dict[str, Any]) -> None:
    alive = [(m, key) for m in machines.values() for key in m.dynos() if m.is_up(key)]
    if row["crash"] and alive:
        machine, key = alive[row["percent"] % len(alive)]
        machine.crash(key)


def goes_through(hands: Applies, wanted: Spec, row: dict[str, Any]) -> None:
    try:
        plan = hands.seen.plan(wanted)
    except InputError:
        return
    before = types(hands.seen.machines)["web"]
    try:
        error = hands.apply(wanted, upset_by(row, plan))
    except Killed:
        error = None
    if isinstance(error, ReleaseFailedError):
        assert types(hands.seen.machines)["web"] or not before
    assert not isinstance(error, InputError)
    hands.down.clear()
    if row["recovers"]:
        recovers(hands, wanted)
