"""From a world to a plan: what counts as what, and who is never asked to remove anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from fleets import fleet, spec

from deployer.model.steps import Sh, Stage, Step
from deployer.planning import planner
from deployer.spec.fleet import Host
from deployer.world.facts import Facts, Probe
from deployer.world.world import World


@dataclass(frozen=True)
class Seen:
    key: str
    size: int


@dataclass(frozen=True)
class Box:
    key: str
    size: int

    def expect(self) -> Seen:
        return Seen(self.key, self.size)


@dataclass
class Boxes:
    """Wants `wanted` everywhere; every host has `there`."""

    wanted: tuple[Box, ...]
    there: tuple[Seen, ...]
    shared: bool = False
    name: str = "boxes"
    base: tuple[str, ...] = ("old*",)

    def desire(self, world: World, host: Host) -> Iterable[Box]:
        return self.wanted

    def probe(self, app: str) -> Probe:
        return Probe(files=frozenset({f"/{self.name}/{app}"}))

    def observe(self, app: str, facts: Facts) -> Iterable[Seen]:
        return self.there

    def converge(self, want: Any, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        return () if want is None and self.shared else (Step(Stage.PREPARE, "do it", Sh(("true",))),)

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        return ",".join(sorted(differs))


def world(hosts: int = 1) -> World:
    return fleet().world(spec(hosts={f"h{n}": "router dynos logplex build" for n in range(hosts)}))


def test_what_is_missing_other_or_too_much() -> None:
    boxes = Boxes(
        (Box("new", 1), Box("other", 1), Box("same", 1)), (Seen("same", 1), Seen("other", 2), Seen("old", 1))
    )
    plan = planner.plan(world(2), [boxes])
    first = [(c.address, c.action, c.cause) for c in plan.changes if c.host == "h0"]
    assert first == [
        ("boxes/h0/new", "create", "size"),
        ("boxes/h0/other", "update", "size"),
        ("boxes/h0/old", "delete", "size"),
    ]
    assert plan.summary() == {"create": 2, "update": 2, "delete": 2, "in_sync": 2, "hosts": 2}


def test_what_others_share_is_no_change() -> None:
    plan = planner.plan(world(), [Boxes((), (Seen("old", 1),), shared=True)])
    assert plan.empty
    assert plan.summary()["in_sync"] == 0


def test_what_is_of_the_base_says_so() -> None:
    plan = planner.plan(world(), [Boxes((Box("new", 1), Box("older", 1)), ())])
    assert [(c.address, c.base) for c in plan.changes] == [("boxes/h0/new", False), ("boxes/h0/older", True)]


def test_digests_tell_plans_apart() -> None:
    one = planner.plan(world(), [Boxes((Box("a", 1),), ())])
    assert one.digest == planner.plan(world(), [Boxes((Box("a", 1),), ())]).digest
    assert one.digest != planner.plan(world(), [Boxes((Box("a", 2),), ())]).digest
    assert one.digest == replace(one, notes=("said", "besides")).digest


def test_probes_are_one_request() -> None:
    both = planner.probe([Boxes((), (), name="a"), Boxes((), (), name="b")], "hello")
    assert both.as_dict()["files"] == ["/a/hello", "/b/hello"]
    assert both.as_dict()["units"] == []
