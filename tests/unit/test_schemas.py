"""The published schemas: the same keys as the models, a description for each, and a page made from them."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from deployer.source import data, schema
from deployer.source.text import parse
from deployer.spec.app import Addon, App, Scale, Var
from deployer.spec.fleet import (
    BuildLimits,
    Fleet,
    FromCommand,
    FromEnv,
    FromFile,
    Health,
    Host,
    Metrics,
    Rollout,
    Routing,
)
from deployer.spec.https import Acme, OwnCertificate, Tls
from deployer.spec.sizes import Size
from deployer.spec.stacks import Stack, named

ROOT = Path(__file__).parents[2]
MODELS: dict[tuple[str, str], tuple[type[BaseModel], ...]] = {
    ("app", ""): (App,),
    ("app", "var"): (Var,),
    ("app", "scale"): (Scale,),
    ("app", "addon"): (Addon,),
    ("fleet", ""): (Fleet,),
    ("fleet", "host"): (Host,),
    ("fleet", "scale"): (Scale,),
    ("fleet", "size"): (Size,),
    ("fleet", "rollout"): (Rollout,),
    ("fleet", "build"): (BuildLimits,),
    ("fleet", "health"): (Health,),
    ("fleet", "tls"): (Tls,),
    ("fleet", "acme"): (Acme,),
    ("fleet", "certificate"): (OwnCertificate,),
    ("fleet", "private_key"): (FromEnv, FromFile, FromCommand),
    ("fleet", "routing"): (Routing,),
    ("fleet", "metrics"): (Metrics,),
    ("fleet", "source"): (FromEnv, FromFile, FromCommand),
    ("stack", ""): (Stack,),
}
JUST_TEXT = {("app", "script"), ("app", "buildpack")}
"""Objects of which only one key is kept, as a text."""
NOT_KEPT = {"$schema", "process"}
NOT_OF_THE_FILE = {("stack", "name"), ("stack", "updates")}
"""Given by the folder, and by fleet.json."""


def keys_of_schema(kind: str, definition: str) -> set[str]:
    root = data.schema(kind)
    node = root["$defs"][definition] if definition else root
    keys = set()
    for key, child in node["properties"].items():
        inner = child.get("properties", {}) if child.get("additionalProperties") is False else {}
        keys |= {f"{key}.{step}" for step in inner if key not in ("scripts", "ssh")} or {key}
    ssh = set(node["properties"].get("ssh", {}).get("properties", {}))
    return (keys - NOT_KEPT - {"ssh"}) | {f"ssh.{step}" for step in ssh - keys_of_model(Host)}


def keys_of_model(*models: type[BaseModel]) -> set[str]:
    fields = (field for model in models for field in model.model_fields.items())
    return {key for name, field in fields if (key := _key(name, field))}


def _key(name: str, field: Any) -> str:
    marks = field.json_schema_extra or {}
    return str(marks.get("file", field.validation_alias or name))


def nodes(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if {"type", "enum", "pattern", "$ref"} & {
            key for key, rule in node.items() if not isinstance(rule, dict)
        }:
            yield node
        for child in node.values():
            yield from nodes(child)


@pytest.mark.parametrize(("kind", "definition"), MODELS, ids=str)
def test_schema_and_model_have_the_same_keys(kind: str, definition: str) -> None:
    models = MODELS[kind, definition]
    not_of_the_file = {key for file, key in NOT_OF_THE_FILE if file == kind}
    assert keys_of_schema(kind, definition) == keys_of_model(*models) - not_of_the_file


@pytest.mark.parametrize("kind", ["app", "fleet", "stack"])
def test_every_object_of_a_schema_has_a_model(kind: str) -> None:
    objects = {
        (kind, name) for name, node in data.schema(kind).get("$defs", {}).items() if "properties" in node
    }
    assert objects <= MODELS.keys() | JUST_TEXT


@pytest.mark.parametrize("kind", ["app", "fleet", "stack"])
def test_a_schema_is_one_and_describes_every_key(kind: str) -> None:
    content = data.schema(kind)
    Draft202012Validator.check_schema(content)
    parts = [node for node in nodes(content) if node.keys() != {"$ref"}]
    assert [node for node in parts if not node.get("description", "").endswith(".")] == []


def test_an_environment_may_have_every_key_but_environments() -> None:
    keys = data.schema("app")["properties"]
    inner = keys["environments"]["additionalProperties"]["properties"]
    assert inner == {
        key: {"$ref": f"#/properties/{key}"} for key in keys if key not in ("$schema", "environments")
    }


def test_every_stack_is_sound() -> None:
    for file in data.folder("stacks").glob("*/stack.json"):
        assert schema.check(parse(file.read_text(), str(file)), data.schema("stack"))[1] == ()


@pytest.mark.parametrize(
    ("suite", "names"),
    [
        ("bookworm", "debian-12 heroku-22 heroku-20 heroku-18 cedar-14"),
        ("trixie", "debian-13 Heroku-24 heroku-26"),
    ],
)
def test_herokus_stacks_have_names_here(suite: str, names: str) -> None:
    for name in names.split():
        stack = named(name, data.stacks())
        assert stack
        assert stack.suite == suite


@pytest.mark.parametrize("name", ["container", "no-such-stack"])
def test_any_other_name_leads_to_the_default(name: str) -> None:
    assert data.stack(name).name == "debian-12"


def test_data_lies_in_an_installed_package_or_in_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert data.folder("schemas") == ROOT / "schemas"
    monkeypatch.setattr(data, "_PACKAGE", tmp_path)
    (tmp_path / "_data" / "schemas").mkdir(parents=True)
    assert data.folder("schemas") == tmp_path / "_data" / "schemas"


def test_the_digest_of_a_stack_is_that_of_its_image() -> None:
    (stack,) = (stack for stack in data.stacks() if stack.name == "debian-12")
    assert stack.model_copy(update={"aliases": (), "description": ""}).digest == stack.digest
    assert stack.model_copy(update={"run": (*stack.run, "less")}).digest != stack.digest
    assert len(stack.digest) == 12


def test_security_updates_make_the_image_anew_and_slugs_stay() -> None:
    stack = data.stack("debian-12")
    one, two = (stack.model_copy(update={"updates": day}) for day in ("2026-11-23", "2026-11-24"))
    assert len({stack.digest, one.digest, two.digest}) == 3
    assert stack.definition == one.definition == two.definition == stack.digest


def test_the_reference_page_is_up_to_date() -> None:
    module = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))
    assert (ROOT / "docs" / "reference.md").read_text() == module["page"](), (
        "Run: python docs/make_reference.py"
    )
