"""What is done about hosts that fail on the way, and about releases that do, while some of both is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from applies import FINE, NO, SILENT, STOP, Applies, At, Killed, applies, before, both, on, summaries
from fleets import ALL, fleet, spec
from harm import harm
from machine import Machine

from deployer.model.steps import Fetch, Sh, Stage
from deployer.problems import PartlyAppliedError, ReleaseFailedError, StoppedError, UnreachableError
from deployer.providers.nginx import _SERVER
from deployer.spec.spec import Spec
from deployer.world import releases
from deployer.world.facts import Facts

TWO: dict[str, Any] = {"hosts": {"a": ALL, "b": "router dynos"}, "scale": {"web": 2}}
THREE: dict[str, Any] = {"hosts": {"a": ALL, "b": "dynos", "c": "dynos"}, "scale": {"web": 3}}
SITE = "/etc/nginx/conf.d/deployer.hello.conf"
ONE_DYNO = 1600
"""Memory in MB of a host that has room for no more."""


@pytest.fixture
def hands() -> Iterator[Applies]:
    bad: list[str] = []
    with applies(fleet()) as found:
        found.watcher = lambda at, plan: bad.extend(harm(found, at, plan))
        yield found
    assert bad == []


def small(hands: Applies, memory: int, *names: str) -> None:
    hands.seen.machines |= {name: Machine(name, memory=memory) for name in names}


def outcomes(hands: Applies, wanted: Spec) -> list[str]:
    facts: dict[str, Facts] = dict(hands.seen.sight(wanted).facts)
    return [f"{r.name} {r.outcome}" for r in releases.seen("hello", facts.values()).values()]


def dynos(hands: Applies) -> dict[str, list[str]]:
    """Those that are up, by host."""
    return {name: [k for k in m.dynos() if m.is_up(k)] for name, m in hands.seen.machines.items()}


def served(text: str) -> list[str]:
    return sorted(dict(_SERVER.findall(text)).values())


def serves(hands: Applies, router: str) -> list[str]:
    return served(hands.seen.machines[router].text(SITE))


def meshes(hands: Applies, router: str) -> list[list[str]]:
    """What a router was told to serve, time after time."""
    acts = [at.act for at in hands.begun if at.host == router and at.say.startswith("have nginx serve")]
    return [served(act.stdin.reveal()) for act in acts if isinstance(act, Sh) and act.stdin]


def test_a_watch_that_says_no_after_a_host_fell_silent_is_undone(hands: Applies) -> None:
    hands.seen.apply(spec(**THREE))
    was = dynos(hands)
    error = hands.apply(spec(**THREE, source="two"), both(on(Stage.SHIP, SILENT, "c"), on(Stage.WATCH, NO)))
    assert isinstance(error, ReleaseFailedError)
    assert summaries(error) == [
        "a said no to: watch web.1 for 3 s",
        "b said no to: watch web.2 for 3 s",
        "c fell silent",
        "v1 goes on serving",
    ]
    assert dynos(hands) == was
    assert serves(hands, "a") == ["hello.web.1.v1", "hello.web.2.v1", "hello.web.3.v1"]
    assert outcomes(hands, spec(**THREE)) == ["v1 succeeded", "v2 failed"]
    assert hands.apply(spec(**THREE)) is None


def test_a_run_that_died_before_its_watch_is_watched_by_the_next(hands: Applies) -> None:
    hands.seen.apply(spec(**THREE))
    was, wanted = dynos(hands), spec(**THREE, source="two")
    with pytest.raises(Killed):
        hands.apply(wanted, before(Stage.WATCH))
    said = [s.say for c in hands.seen.plan(wanted).changes for s in c.steps if s.stage == Stage.WATCH]
    assert said == [f"watch web.{n} for 3 s" for n in (1, 2, 3)]
    assert isinstance(hands.apply(wanted, on(Stage.WATCH, NO, "b")), ReleaseFailedError)
    assert (dynos(hands), outcomes(hands, wanted)) == (was, ["v1 succeeded", "v2 failed"])


def test_a_lost_router_keeps_the_dynos_that_the_others_serve(hands: Applies) -> None:
    small(hands, ONE_DYNO, "a", "b")
    hands.seen.apply(spec(**TWO))
    was = dynos(hands)
    error = hands.apply(spec(**TWO, source="two"), on(Stage.SHIP, SILENT, "b"))
    assert isinstance(error, PartlyAppliedError)
    assert (dynos(hands), meshes(hands, "a")) == (was, [])
    assert serves(hands, "a") == ["hello.web.1.v1", "hello.web.2.v1"]
    assert hands.apply(spec(**TWO, source="two")) is None


def test_an_undo_brings_back_what_a_killed_run_had_stopped_already(hands: Applies) -> None:
    small(hands, ONE_DYNO, "one")
    hands.seen.apply(spec())
    wanted = spec(source="two")
    with pytest.raises(Killed):
        hands.apply(wanted, before(Stage.START, "write config"))
    assert dynos(hands) == {"one": []}
    error = hands.apply(wanted, on(Stage.START, NO, say="start", of=".v2"))
    assert isinstance(error, ReleaseFailedError)
    assert summaries(error)[-1] == "v1 goes on serving"
    assert dynos(hands) == {"one": ["hello.web.1.v1"]}
    assert serves(hands, "one") == ["hello.web.1.v1"]
    assert hands.seen.plan(spec()).empty


def test_what_fails_while_a_release_is_undone_is_told(hands: Applies) -> None:
    hands.seen.apply(spec(**TWO))

    def upset(at: At) -> str:
        undoes = len(hands.plans) == 2
        return NO if (at.stage, undoes) in {(Stage.WATCH, False), (Stage.ROUTE, True)} else FINE

    error = hands.apply(spec(**TWO, source="two"), upset)
    assert isinstance(error, ReleaseFailedError)
    assert summaries(error)[-1] == "a said no to: have nginx serve hello"
    assert not any("goes on serving" in said for said in summaries(error))


def test_an_undo_leaves_what_a_lost_router_leads_to(hands: Applies) -> None:
    hands.seen.apply(spec(**TWO))
    hands.apply(spec(**TWO, source="two"), both(on(Stage.WATCH, SILENT, "b"), on(Stage.WATCH, NO)))
    assert dynos(hands)["a"] == ["hello.web.1.v1", "hello.web.1.v2"]
    assert serves(hands, "a") == ["hello.web.1.v1", "hello.web.2.v1"]
    assert hands.apply(spec(**TWO)) is None


def test_what_a_lost_host_serves_stays_in_the_routers_until_the_last_wave(hands: Applies) -> None:
    rolling = THREE | {"rollout": {"batch": 1}}
    hands.seen.apply(spec(**rolling))
    error = hands.apply(spec(**rolling, source="two"), on(Stage.SHIP, SILENT, "c"))
    assert isinstance(error, PartlyAppliedError)
    assert meshes(hands, "a") == [
        ["hello.web.1.v2", "hello.web.2.v1", "hello.web.3.v1"],
        ["hello.web.1.v2", "hello.web.2.v2"],
    ]
    assert hands.apply(spec(**rolling, source="two")) is None


def test_a_floor_that_cannot_be_kept_without_a_lost_host_follows_why_it_is_lost(hands: Applies) -> None:
    small(hands, ONE_DYNO, "a")
    tight: dict[str, Any] = {"hosts": {"a": ALL, "b": "dynos"}, "rollout": {"floor": 2}}
    hands.seen.apply(spec(**tight, scale={"web": 2}))
    was = dynos(hands)
    error = hands.apply(spec(**tight, scale={"web": 3}, source="two"), on(Stage.SHIP, SILENT, "b"))
    assert isinstance(error, PartlyAppliedError)
    assert summaries(error)[0] == "b fell silent"
    assert dynos(hands) == was


@pytest.mark.parametrize("memory", [65536, ONE_DYNO])
def test_one_key_on_two_hosts_is_two_dynos(hands: Applies, memory: int) -> None:
    """A host was left out of an apply, its dyno was started elsewhere, and then it is back."""
    same = THREE | {"scale": {"web": 2}, "rollout": {"batch": 1}}
    for name in THREE["hosts"]:
        small(hands, memory, name)
    hands.seen.apply(spec(**same))
    left = {name: words for name, words in THREE["hosts"].items() if name != "b"}
    moved = hands.seen.plan(spec(**same | {"hosts": left}))
    hands.seen.run(moved.until(Stage.ROUTE))
    assert [name for name, keys in dynos(hands).items() if "hello.web.2.v1" in keys] == ["b", "c"]
    assert hands.apply(spec(**same, source="two")) is None
    assert sorted(key for keys in dynos(hands).values() for key in keys) == [
        "hello.web.1.v2",
        "hello.web.2.v2",
    ]
    assert hands.seen.plan(spec(**same, source="two")).empty


@pytest.mark.parametrize(("refuses", "met"), [("a", ["a"]), ("b", ["a", "b"])])
def test_a_file_that_one_router_refused_meets_no_other(hands: Applies, refuses: str, met: list[str]) -> None:
    hands.seen.apply(spec(**TWO))
    error = hands.apply(spec(**TWO, source="two"), on(Stage.ROUTE, NO, refuses, say="have nginx serve"))
    assert isinstance(error, PartlyAppliedError)
    assert [at.host for at in hands.begun if at.stage == Stage.ROUTE] == met
    assert serves(hands, refuses) == ["hello.web.1.v1", "hello.web.2.v1"]
    assert sum(map(len, dynos(hands).values())) == 4


def test_a_host_that_is_silent_at_the_second_look_is_named(hands: Applies) -> None:
    hands.seen.apply(spec(**THREE))

    def upset(at: At) -> str:
        hands.blind |= {"b"} if at.say == "record that v2 succeeded" else set()
        return FINE

    error = hands.apply(spec(**THREE, source="two"), upset)
    assert isinstance(error, PartlyAppliedError)
    assert (error.exit_code, summaries(error)) == (3, ["the connection to b broke"])


def test_before_the_lock_such_a_host_ends_the_apply(hands: Applies) -> None:
    hands.seen.apply(spec(**THREE))
    error = hands.order(spec(**THREE, source="two"), "b")
    assert isinstance(error, UnreachableError)
    assert (error.exit_code, summaries(error), hands.begun) == (4, ["the connection to b broke"], [])


def test_while_images_are_made_the_other_hosts_get_packages_and_scripts(hands: Applies) -> None:
    assert hands.order(spec(**THREE)) is None
    images = [at for at in hands.begun if at.stage == Stage.IMAGE]
    assert {at.host for at in images} == {"a", "b", "c"}
    assert {at.address.split("/")[0] for at in images if at.host != "a"} == {"host"}
    assert not [at for at in hands.begun[: hands.begun.index(images[-1])] if at.stage > Stage.IMAGE]


def test_without_an_image_to_make_a_build_waits_for_no_other_host(hands: Applies) -> None:
    hands.seen.apply(spec(**THREE))
    hands.seen.machines["b"].packages.remove("zstd")
    assert hands.order(spec(**THREE, source="two")) is None
    first = next(i for i, at in enumerate(hands.begun) if at.stage == Stage.BUILD)
    assert {at.host for at in hands.begun[:first]} <= {"a"}


def test_who_agreed_to_each_change_gets_each_after_the_build(hands: Applies) -> None:
    apart = spec(hosts={"a": "build logplex dynos", "b": "router dynos"}, scale={"web": 2})
    assert hands.order(apart, exact=True) is None
    assert {at.host for at in hands.begun if at.stage == Stage.IMAGE} == {"a"}


def test_what_another_host_fails_at_meanwhile_ends_nothing(hands: Applies) -> None:
    """The apply itself asks it once more, and goes on without it if that comes to nothing."""
    assert hands.order(spec(**THREE), upset=on(Stage.IMAGE, NO, "b")) is None
    assert {at.host for at in hands.begun if at.stage == Stage.BUILD} == {"a"}


def test_what_the_build_host_fails_at_ends_the_apply_before_the_build(hands: Applies) -> None:
    error = hands.order(spec(**THREE), upset=on(Stage.IMAGE, NO, "a"))
    assert isinstance(error, PartlyAppliedError)
    assert Stage.BUILD not in {at.stage for at in hands.begun}
    assert hands.order(spec(**THREE)) is None


def test_an_interrupt_keeps_what_had_failed(hands: Applies) -> None:
    hands.seen.apply(spec(**THREE))
    upset = both(on(Stage.SHIP, SILENT, "a"), on(Stage.SHIP, STOP, "b"))
    error = hands.apply(spec(**THREE, source="two"), upset)
    assert isinstance(error, StoppedError)
    assert summaries(error)[0] == "a fell silent"
    assert summaries(error)[1].startswith("interrupted")


@pytest.mark.parametrize("others", [ALL, "router dynos logplex"])
def test_nothing_is_fetched_from_a_lost_builder(hands: Applies, others: str) -> None:
    """Another builder makes what is missing; where there is none, nothing more is begun."""
    apart: dict[str, Any] = {"hosts": {"a": "build", "b": others, "c": "dynos"}, "scale": {"web": 3}}
    hands.seen.apply(spec(**apart))
    error = hands.apply(spec(**apart, source="two"), on(Stage.BUILD, SILENT, "a"))
    assert isinstance(error, PartlyAppliedError)
    assert "a" not in {at.act.source for at in hands.begun if isinstance(at.act, Fetch)}
    has_shipped = any(at.stage == Stage.SHIP for at in hands.begun)
    assert has_shipped == ("build" in others)
    assert hands.apply(spec(**apart, source="two")) is None


def test_dynos_that_start_again_leave_the_routers_and_end_their_requests(hands: Applies) -> None:
    hands.seen.apply(spec(**TWO))
    wanted = spec(**TWO, health={"path": "/ok"})
    assert hands.apply(wanted) is None
    said = [at.say for at in hands.begun if at.stage in (Stage.START, Stage.ROUTE) and "write" not in at.say]
    again = [f"let hello.web.{n}.v1 end its requests" for n in (1, 2)]
    starts = [f"start web.{n} and wait until it is up" for n in (1, 2)]
    mesh = "have nginx serve hello"
    assert said == [mesh, mesh, again[0], starts[0], mesh, mesh, mesh, mesh, again[1], starts[1], mesh, mesh]
    assert meshes(hands, "b") == [
        ["hello.web.2.v1"],
        ["hello.web.1.v1", "hello.web.2.v1"],
        ["hello.web.1.v1"],
        ["hello.web.1.v1", "hello.web.2.v1"],
    ]
    assert hands.seen.plan(wanted).empty
