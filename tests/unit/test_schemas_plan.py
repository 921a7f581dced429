"""Plans, events and facts are what their published schemas say, and nothing else would pass."""

from __future__ import annotations

import json
import subprocess
import sys
from copy import deepcopy
from dataclasses import fields
from typing import Any, get_args, get_type_hints

import pytest
from fleets import ALL, fleet, spec
from jsonschema import Draft202012Validator
from shipped import script

from deployer.model.events import Event
from deployer.model.steps import Stage
from deployer.planning import planner
from deployer.providers import PROVIDERS
from deployer.source import data
from deployer.world.facts import Facts, read

KINDS = ("plan", "event", "facts")


def validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(data.schema(kind))


def plan() -> dict[str, Any]:
    seen = fleet()
    seen.apply(spec(hosts={"one": ALL, "two": "dynos"}, scale={"web": 3}))
    wanted = spec(hosts={"one": ALL, "two": "dynos"}, scale={"web": 2}, source="two")
    return seen.plan(wanted).as_dict()


@pytest.mark.parametrize("kind", KINDS)
def test_a_schema_is_one_and_describes_every_key(kind: str) -> None:
    content = data.schema(kind)
    Draft202012Validator.check_schema(content)
    parts = [content, *content.get("$defs", {}).values()]
    described = [child for part in parts for child in (part, *part.get("properties", {}).values())]
    assert [c for c in described if "$ref" not in c and not c.get("description", "").endswith(".")] == []


def test_a_plan_is_what_its_schema_says() -> None:
    document = json.loads(json.dumps(plan()))
    assert {change["action"] for change in document["changes"]} == {"create", "update", "delete"}
    assert list(validator("plan").iter_errors(document)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 2),
        (("digest",), "short"),
        (("surprise",), 1),
        (("summary", "create"), -1),
        (("changes", 0, "action"), "replace"),
        (("changes", 0, "cause"), ""),
        (("changes", 0, "steps", 0, "stage"), "LATER"),
        (("changes", 0, "steps", 0, "act"), "a secret could be in there"),
    ],
    ids=str,
)
def test_another_plan_is_refused(path: tuple[Any, ...], value: Any) -> None:
    document = deepcopy(plan())
    node: Any = document
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    assert not validator("plan").is_valid(document)


def test_the_stages_of_the_schema_are_those_of_the_model() -> None:
    assert data.schema("plan")["$defs"]["stage"]["enum"] == [stage.name for stage in Stage]


def test_the_events_of_the_schema_are_those_of_the_model() -> None:
    kinds = get_args(get_type_hints(Event)["kind"])
    assert sorted(data.schema("event")["properties"]["event"]["enum"]) == sorted(kinds)


@pytest.mark.parametrize(
    "event",
    [
        Event("stage", say="START", detail={"hosts": ["one"]}),
        Event("stage", say="START", detail={"hosts": ["one"], "wave": 2}),
        Event("line", "one", "slug/one/abc", "build the slug abc", {"text": "-----> Python"}),
        Event("look", say="look again"),
    ],
    ids=lambda event: event.kind,
)
def test_an_event_is_what_its_schema_says(event: Event) -> None:
    assert list(validator("event").iter_errors(event.as_dict(1.234))) == []
    assert not validator("event").is_valid(event.as_dict(1.234) | {"event": "surprise"})
    assert not validator("event").is_valid(event.as_dict(1.234) | {"secret": "x"})


def test_the_facts_of_the_schema_are_those_of_the_model() -> None:
    of_us = {"host", "python"}
    assert data.schema("facts")["properties"].keys() - {"version"} == {f.name for f in fields(Facts)} - of_us


def test_what_the_probe_prints_is_what_its_schema_says() -> None:
    """The real probe, on this machine, asked for all that a plan asks for."""
    probe = script("probe.py")
    request = json.dumps(planner.probe(PROVIDERS, "hello").as_dict())
    done = subprocess.run(
        [sys.executable, str(probe)], input=request, capture_output=True, text=True, check=True
    )
    document = json.loads(done.stdout)
    assert list(validator("facts").iter_errors(document)) == []
    assert read("here", document).memory > 0


def test_the_machine_of_the_tests_speaks_as_the_probe_does() -> None:
    seen = fleet()
    seen.apply(spec())
    document = seen.machines["one"].document(planner.probe(PROVIDERS, "hello"))
    assert list(validator("facts").iter_errors(document)) == []
    assert all(
        document[key] for key in ("files", "texts", "private", "folders", "units", "tables", "answers")
    )
    document["files"]["/etc/x"] = {"sha": "no digest", "mode": 420, "owner": "root:root"}
    assert not validator("facts").is_valid(document)
