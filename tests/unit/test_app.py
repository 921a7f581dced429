"""app.json as a typed value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from deployer.source import needs, validate
from deployer.source.files import manifest
from deployer.spec.app import Addon, App, Scale, Var, in_environment, load_app


def app_of(**keys: Any) -> App:
    return load_app(keys, {"web": "x"})


def test_an_empty_file_is_an_app() -> None:
    assert app_of() == App(processes={"web": "x"})


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        (True, "true"),
        (8, "8"),
        (1.5, "1.5"),
        ({"value": False}, "false"),
        ({"value": None}, None),
        ({"required": False}, None),
        ({"value": 'two\nlines, "quotes" and $PORT'}, 'two\nlines, "quotes" and $PORT'),
    ],
)
def test_a_var_is_a_text_or_nothing(raw: Any, value: str | None) -> None:
    assert app_of(env={"A": raw}).env["A"].value == value


@pytest.mark.parametrize(
    ("raw", "required"),
    [({}, True), ({"required": "false"}, False), ({"required": "True"}, True), ({"required": False}, False)],
)
def test_the_word_false_is_not_true(raw: Any, required: bool) -> None:
    assert app_of(env={"A": raw}).env["A"].required is required


def test_sizes_have_one_case() -> None:
    scales = app_of(
        formation={"web": {"quantity": 1, "size": "Standard-1X"}, "clock": {"quantity": 0}}
    ).formation
    assert scales == {"web": Scale(quantity=1, size="standard-1x"), "clock": Scale(quantity=0)}


def test_the_array_form_of_a_formation() -> None:
    rows = [{"process": "web", "quantity": 2}, {"process": "worker", "quantity": 1, "size": "Hobby"}]
    assert app_of(formation=rows).formation["worker"] == Scale(quantity=1, size="hobby")


@pytest.mark.parametrize(
    ("raw", "addon"),
    [
        ("heroku-redis", Addon(service="heroku-redis")),
        ("heroku-postgresql:mini", Addon(service="heroku-postgresql", plan="mini")),
        (
            {"plan": "jawsdb:x", "as": "DB", "options": {"version": 12}},
            Addon(service="jawsdb", plan="x", name="DB", options={"version": "12"}),
        ),
    ],
)
def test_addons(raw: Any, addon: Addon) -> None:
    assert app_of(addons=[raw]).addons == (addon,)


def test_one_addon_may_stand_alone() -> None:
    assert app_of(addons="sentry").addons == (Addon(service="sentry"),)


def test_scripts_and_buildpacks_are_texts() -> None:
    app = app_of(
        scripts={"postdeploy": {"command": "./seed"}, "test": "x"}, buildpacks=[{"url": "heroku/python"}]
    )
    assert (app.scripts, app.buildpacks) == ({"postdeploy": "./seed", "test": "x"}, ("heroku/python",))


def test_an_environment_replaces_whole_keys() -> None:
    base = {"env": {"A": "1", "B": "2"}, "addons": ["x"], "environments": {"staging": {"env": {"A": "3"}}}}
    app = load_app(in_environment(base, "staging"), {})
    assert app.env == {"A": Var(value="3")}
    assert app.addons == (Addon(service="x"),)
    assert app.environments == ("staging",)
    assert load_app(in_environment(base, None), {}).env.keys() == {"A", "B"}


def test_an_app_is_frozen() -> None:
    with pytest.raises(ValidationError):
        app_of().stack = "other"


@pytest.mark.parametrize(
    ("addon", "names"),
    [
        (Addon(service="heroku-postgresql"), ("DATABASE_URL",)),
        (Addon(service="heroku-postgresql", name="users"), ("USERS_URL",)),
        (Addon(service="sendgrid"), ("SENDGRID_API_KEY", "SENDGRID_USERNAME")),
        (Addon(service="sendgrid", name="MAIL"), ("MAIL_*",)),
        (Addon(service="some-thing"), ("SOME_THING_*",)),
        (Addon(service="scheduler", name="X"), ()),
    ],
)
def test_what_tells_that_a_service_is_there(addon: Addon, names: tuple[str, ...]) -> None:
    assert needs.wanted(addon) == names


def test_a_missing_app_json_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "Procfile").write_text("web: x\n")
    found = manifest(tmp_path)
    assert (found.app, found.problems) == (App(processes={"web": "x"}), ())


def test_no_value_of_an_environment_makes_it_crash(tmp_path: Path) -> None:
    (tmp_path / "app.json").write_text(json.dumps({"environments": {"a": 5, "b": {"env": 5}, "c": None}}))
    for environment in ("a", "b", "c"):
        assert any(p.severity == "error" for p in validate(tmp_path, environment))
