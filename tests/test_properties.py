"""What holds for every app and every fleet: an applied plan leaves nothing to do, and secrets stay secret."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from fleets import ALL, Fleet, fleet, in_order, spec
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from machine import DYNOS, Machine

from deployer.engine import decision
from deployer.model.plan import Plan
from deployer.model.steps import Fetch, Put, Send, Sh, Stage
from deployer.planning.explain import resources
from deployer.planning.unified import unified
from deployer.views.plan import plan as told

often = settings(max_examples=25, deadline=None, derandomize=True, database=None, phases=[Phase.generate])

WORD = "kra-ken"
UGLY = f"{WORD} ' \" \n $({WORD}) `{WORD}` ; \\ ä {{{{ {WORD} }}}} %i\n"
"""What a shell, a template, systemd or a config file could take for its own."""

roles = st.sampled_from(["dynos", "router dynos", "router", "logplex dynos", "dynos build", ""])
hosts = st.lists(roles, max_size=3).map(
    lambda rest: {f"box-{n}": words for n, words in enumerate((ALL, *rest), 1)}
)
worlds = st.fixed_dictionaries(
    {
        "hosts": hosts,
        "processes": st.just({"web": "serve", "worker": "work", "release": "migrate"}),
        "scale": st.fixed_dictionaries({"web": st.integers(0, 4), "worker": st.integers(0, 2)}),
        "config": st.dictionaries(st.sampled_from(["A", "B"]), st.sampled_from(["1", "2"])),
        "source": st.sampled_from(["one", "two"]),
    }
)
histories = st.lists(worlds, min_size=1, max_size=4)


def document(plan: Plan) -> str:
    return json.dumps(plan.as_dict(), ensure_ascii=False)


def argv(plan: Plan) -> list[str]:
    acts = [step.act for _, step in in_order(plan)]
    words = [word for act in acts if isinstance(act, Sh | Send) for word in act.argv]
    return (
        words + [a.path for a in acts if isinstance(a, Put)] + [a.item for a in acts if isinstance(a, Fetch)]
    )


def seen_with(history: list[dict[str, Any]], **same: Any) -> Fleet:
    seen = fleet()
    for world in history:
        seen.apply(spec(**world, **same))
    return seen


def served(machine: Machine) -> dict[str, str]:
    """What this router leads to: `host:port` by dyno, read from the file of nginx."""
    site = machine.files.get("/etc/nginx/conf.d/deployer.hello.conf", ("",))[0]
    return {dyno: address for address, dyno in re.findall(r"server (\S+) .* # (\S+)", site)}


def behind(seen: Fleet, address: str) -> str:
    """Which dyno answers at `host:port`: through the host's table to an address, and who has that."""
    host, port = address.split(":")
    machine = seen.machines[f"box-{host.rpartition('.')[2]}"]
    place = machine.table("deployer.hello")["ports"][port]
    rows = {key: json.loads(machine.text(f"{DYNOS}/{key}/dyno.json")) for key in machine.dynos()}
    return next(key for key, row in rows.items() if f"{row['address']}:{row['port']}" == place)


@often
@given(histories)
def test_an_applied_plan_leaves_nothing_to_do(history: list[dict[str, Any]]) -> None:
    seen = seen_with(history)
    assert told(seen.plan(spec(**history[-1])).as_dict(), 0).startswith("No changes.")


@often
@given(histories, st.integers(0, 400))
def test_a_killed_apply_leaves_its_remainder(history: list[dict[str, Any]], steps: int) -> None:
    seen = seen_with(history[:-1])
    wanted = spec(**history[-1])
    first = seen.plan(wanted)
    seen.run(first, stop_after=steps)
    rest = seen.plan(wanted)
    begun = {c.address for c in first.changes}
    if rest.release == first.release:
        assert {c.address for c in rest.changes} <= begun
    seen.run(rest)
    assert seen.plan(wanted).empty


def ran(seen: Fleet) -> list[str]:
    return [command for machine in seen.machines.values() for command in machine.ran]


def runs(plan: Plan) -> list[int]:
    """Which steps run a command of the app once."""
    acts = [step.act for _, step in in_order(plan)]
    return [n for n, act in enumerate(acts) if isinstance(act, Sh) and act.argv[-1].endswith("/dyno-once")]


@often
@given(histories, st.lists(st.integers(0, 99) | st.just("in a task"), max_size=4))
def test_what_runs_once_runs_once_whatever_is_killed(history: list[dict[str, Any]], kills: list[Any]) -> None:
    """Kills at percents of what is left. Only one between a command and its mark has the command run again."""
    seen, wanted = seen_with(history[:-1], postdeploy="seed"), spec(**history[-1], postdeploy="seed")
    before, due, lost = ran(seen), runs(seen.plan(wanted)), 0
    for kill in kills:
        plan = seen.plan(wanted)
        stop = runs(plan)[0] + 1 if kill == "in a task" and runs(plan) else 0
        steps = stop or len(list(in_order(plan))) * (kill if isinstance(kill, int) else 0) // 100
        seen.run(plan, stop_after=steps)
        lost += steps - 1 in runs(plan)
    seen.apply(wanted)
    assert len(ran(seen)) - len(before) == len(due) + lost
    assert seen.plan(wanted).empty


@often
@given(histories)
def test_a_build_settles_and_touches_nothing_that_serves(history: list[dict[str, Any]]) -> None:
    seen, wanted = seen_with(history[:-1]), spec(**history[-1])
    dynos = {name: machine.dynos() for name, machine in seen.machines.items()}
    world = seen.world(wanted)
    seen.run(seen.plan(wanted).on(world.builder.name).until(Stage.BUILD))
    assert seen.plan(wanted).on(world.builder.name).until(Stage.BUILD).empty
    assert {name: seen.machines[name].dynos() for name in dynos} == dynos


@often
@given(histories)
def test_the_fleet_runs_the_formation_and_serves_it(history: list[dict[str, Any]]) -> None:
    seen, last = seen_with(history), history[-1]
    release = seen.plan(spec(**last)).release
    wanted = {
        f"hello.{kind}.{n}.{release}" for kind, count in last["scale"].items() for n in range(1, count + 1)
    }
    running = [(key, m) for m in seen.machines.values() if m.name in last["hosts"] for key in m.dynos()]
    assert sorted(key for key, _ in running) == sorted(wanted)
    assert all("dynos" in last["hosts"][machine.name] for _, machine in running)
    web = {key for key in wanted if ".web." in key}
    for name, words in last["hosts"].items():
        if "router" in words:
            upstreams = served(seen.machines[name])
            assert upstreams.keys() == web
            assert {key: behind(seen, address) for key, address in upstreams.items()} == {
                key: key for key in web
            }


@often
@given(hosts, histories)
def test_new_dynos_serve_before_old_ones_go(roles: dict[str, str], history: list[dict[str, Any]]) -> None:
    """At every step of an apply each line of each router leads to the dyno that it names."""
    same = [world | {"hosts": roles} for world in history]
    seen = seen_with(same[:-1])
    for host, step in in_order(seen.plan(spec(**same[-1]))):
        seen.machines[host].act(step.act)
        for machine in seen.machines.values():
            for dyno, address in served(machine).items():
                assert behind(seen, address) == dyno, step.say


@often
@given(histories)
def test_equal_inputs_give_equal_bytes(history: list[dict[str, Any]]) -> None:
    seen = seen_with(history[:-1])
    backwards: dict[str, Any] = {
        key: dict(reversed(value.items())) if isinstance(value, dict) and key != "hosts" else value
        for key, value in history[-1].items()
    }
    once, again = seen.plan(spec(**history[-1])), seen.plan(spec(**backwards))
    assert document(once) == document(again)
    assert once.digest == again.digest


@often
@given(histories)
def test_scaling_moves_nothing_that_stays(history: list[dict[str, Any]]) -> None:
    seen, last = seen_with(history), history[-1]
    more = last | {"scale": {kind: count + 1 for kind, count in last["scale"].items()}}
    dynos = [
        c for c in seen.plan(spec(**more), only="lxc").changes if c.address.split("/")[2].startswith("hello.")
    ]
    assert [c.action for c in dynos] == ["create", "create"]


@often
@given(histories)
def test_destroy_leaves_nothing_of_the_app(history: list[dict[str, Any]]) -> None:
    seen, last = seen_with(history), spec(**history[-1])
    seen.run(seen.gone(last))
    assert seen.gone(last).empty
    for name in history[-1]["hosts"]:
        machine = seen.machines[name]
        assert [
            p for p in (*machine.files, *machine.folders) if "hello" in p and not p.startswith("/run/")
        ] == []
        assert [t for t in machine.tables if "hello" in t] == []


@often
@given(histories)
def test_what_stays_after_a_destroy_is_the_base_and_images(history: list[dict[str, Any]]) -> None:
    seen, last = seen_with(history), spec(**history[-1])
    gone = seen.gone(last)
    assert [change.address for change in gone.changes if change.base] == []
    seen.run(gone)
    left = [r for r in resources(decision.gone(seen.sight(last), last)) if r.seen is not None]
    others = [r for r in left if not any(fnmatchcase(r.key, pattern) for pattern in r.provider.base)]
    assert left
    assert {resource.provider.name for resource in others} == {"stack"}


@often
@given(histories, st.text(max_size=20))
def test_no_word_of_the_user_becomes_an_argument(history: list[dict[str, Any]], odd: str) -> None:
    seen = seen_with(history[:-1])
    words = {"processes": {"web": UGLY + odd, "worker": UGLY}, "config": {"A": UGLY + odd}}
    plan = seen.plan(spec(**(history[-1] | words)))
    assert [word for word in argv(plan) if WORD in word] == []
    seen.run(plan)
    holders = {path for m in seen.machines.values() for path, file in m.files.items() if WORD in file[0]}
    assert {path.rpartition("/")[2] for path in holders} <= {"command", "env", "release.json"}


@often
@given(histories, st.text(min_size=1, max_size=20))
def test_secrets_are_in_no_plan(history: list[dict[str, Any]], odd: str) -> None:
    seen = seen_with(history[:-1])
    secret = f"{WORD}{odd}"
    wanted = spec(**(history[-1] | {"config": {"TOKEN": secret}}), generated=("MADE",))
    world = seen.world(wanted)
    made = world.config["MADE"].reveal() if world.config else ""
    plan = seen.plan(wanted)
    inside = str(unified(plan, seen.world(replace(wanted, compares=True))))
    shown = (document(plan), repr(plan), repr(world), str(world), told(plan.as_dict(), 0, every=True), inside)
    assert [where for where in shown if WORD in where or made in where] == []
    assert [word for word in argv(plan) if WORD in word] == []
    seen.run(plan)
    holders = {
        path: file[1] for m in seen.machines.values() for path, file in m.files.items() if WORD in file[0]
    }
    assert holders
    assert set(holders.values()) == {0o600}
