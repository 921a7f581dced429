"""Every resource can be told in full: who asks for it, where it is, and what would settle a difference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from certs import pair
from fleets import Fleet, fleet
from jsonschema import Draft202012Validator

from deployer import source
from deployer.cli import explain as command
from deployer.cli import options
from deployer.cli.platform import MESH
from deployer.engine import decision, settling
from deployer.engine.decision import Decided
from deployer.planning.explain import NEAREST, REVERT, explain, named, resources
from deployer.problems import InputError
from deployer.providers import PROVIDERS
from deployer.source import data
from deployer.source.text import positions
from deployer.spec.platform import Platform, with_maintenance
from deployer.spec.spec import Spec
from deployer.views.explanation import explanation
from deployer.world.releases import platform_path

FLEET: dict[str, Any] = {
    "app": "hello",
    "domains": ["hello.example.com"],
    "hosts": {
        "box-1": {"address": "192.0.2.1", "roles": ["router", "dynos", "logplex", "build"]},
        "box-2": {"address": "192.0.2.2", "roles": ["router", "dynos"]},
    },
    "formation": {"web": {"quantity": 2}},
    "config": {"TOKEN": "geheim"},
    "drains": ["https://user:geheim@logs.example.com/geheim"],
    "allow": ["192.0.2.77"],
    "health": {"path": "/up"},
    "virtual_address": "192.0.2.100",
    "stack_updates": "2026-11-23",
    "tls": {"acme": {"email": "ada@example.com"}},
}
APP: dict[str, Any] = {
    "env": {"GREETING": "Hello", "SEED": {"generator": "secret"}},
    "formation": {"web": {"quantity": 1}, "worker": {"quantity": 1}},
    "buildpacks": [{"url": "heroku/python"}],
    "scripts": {"postdeploy": "seed"},
}
PROCFILE = "web: gunicorn app:hello\nworker: tick\nrelease: migrate\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "Procfile").write_text(PROCFILE, "utf-8")
    (tmp_path / "requirements.txt").write_text("", "utf-8")
    (tmp_path / "app.json").write_text(json.dumps(APP, indent=1), "utf-8")
    written(tmp_path)
    return tmp_path


def written(home: Path, **changed: Any) -> Path:
    (home / "fleet.json").write_text(json.dumps(FLEET | changed, indent=1), "utf-8")
    return home


def decided(seen: Fleet, spec: Spec) -> Decided:
    return decision.decide(spec, seen.sight(spec))


def told(seen: Fleet, spec: Spec, word: str) -> dict[str, Any]:
    todo = decided(seen, spec)
    return explain(spec, todo.world, todo.plan, word)


def is_there(where: dict[str, Any]) -> bool:
    """Whether a line leads to just what its pointer names, and not to something around it."""
    path = Path(where["file"])
    if path.name == "Procfile":
        return where["line"] is not None and where["source"].split(":")[0] in PROCFILE
    return where["pointer"] in dict(positions(path.read_text("utf-8")))


def settled(home: Path) -> tuple[Fleet, Spec]:
    seen, spec = fleet(), source.load(home)
    seen.run(decided(seen, spec).plan)
    settings = Platform(serial=1, certificates={"any.example.net": pair("*.example.net")})
    seen.machines["box-1"].write(platform_path("hello"), settings.text().reveal(), 0o600)
    seen.run(decided(seen, spec).plan)
    return seen, spec


def test_every_resource_can_be_told(home: Path) -> None:
    seen, spec = settled(home)
    seen.run(decided(seen, source.load(written(home, config={"TOKEN": "other"}))).plan)
    seen.run(settling.settled(spec, seen.sight(spec), with_maintenance(True), MESH).plan)
    seen.machines["box-1"].files["/etc/nginx/conf.d/deployer.hello.conf"] = ("#", 0o644, "root:root")
    spec = source.load(written(home, formation={"web": {"quantity": 1}}))
    todo = decided(seen, spec)
    known = resources(todo.world)
    assert {r.provider.name for r in known} >= {p.name for p in PROVIDERS} - {"platform", "keepalived"}
    states = set()
    for resource in known:
        found = explain(spec, todo.world, todo.plan, resource.address)
        states.add(found["state"])
        assert found["places"], resource.address
        assert found["rule"].endswith("."), resource.address
        assert [ask for ask in found["asks"] if not is_there(ask)] == [], resource.address
        assert found["asks"] or resource.provider.name == "task", resource.address
        assert resource.address in explanation(json.loads(json.dumps(found)))
        assert "geheim" not in explanation(found)
        assert found["state"] != "create" or found["next"]["edit"], resource.address
    assert states == {"in sync", "shared", "create", "update", "delete"}


def test_every_change_of_a_first_plan_can_be_told(home: Path) -> None:
    seen, spec = fleet(), source.load(home)
    todo = decided(seen, spec)
    for change in todo.plan.changes:
        found = explain(spec, todo.world, todo.plan, change.address)
        assert (found["state"], found["cause"]) == ("create", change.cause)
        assert found["steps"] == change.as_dict()["steps"]
        assert [ask for ask in found["asks"] if not is_there(ask)] == [], change.address


def test_what_is_in_sync_says_so(home: Path) -> None:
    seen, spec = settled(home)
    found = told(seen, spec, "nginx/box-1/hello")
    assert (found["state"], found["next"]) == ("in sync", {"apply": "", "edit": ""})
    assert found["host"] == "box-1/192.0.2.1"
    assert "/etc/nginx/conf.d/deployer.hello.conf" in found["places"]
    assert [Path(a["file"]).name + a["pointer"] for a in found["asks"]] == [
        "fleet.json/domains",
        "fleet.json/formation/web",
        "app.json/formation/web",
        "Procfile",
        "fleet.json/hosts/box-1/roles",
    ]
    assert not any(field["differs"] for field in found["fields"])
    lines = explanation(found).splitlines()
    assert lines[0] == "nginx/box-1/hello: in sync: the host holds what the files ask for"
    assert lines[-1] == "Nothing to do."
    assert '    3 |  "domains": [' in lines
    assert "          ^" in lines


def test_a_file_that_was_changed_by_hand(home: Path) -> None:
    seen, spec = settled(home)
    path = "/var/lib/deployer/bin/fetch"
    seen.machines["box-2"].write(path, "# by hand\n", 0o755)
    found = told(seen, spec, f"host/box-2/file:{path}")
    assert (found["state"], found["next"]) == ("update", {"apply": "deploy apply", "edit": REVERT})
    differing = [field for field in found["fields"] if field["differs"]]
    assert [field["name"] for field in differing] == ["content"]
    assert f"  PREPARE: write {path}" in explanation(found).splitlines()


def test_what_is_not_wanted_names_the_edit_that_keeps_it(home: Path) -> None:
    seen, _ = settled(home)
    spec = source.load(written(home, formation={"web": {"quantity": 1}}))
    found = told(seen, spec, "web.2")
    assert found["state"] == "delete"
    assert found["next"]["edit"].startswith("set the quantity of web to 2 or more, in fleet.json or app.json")


def test_names_that_are_short(home: Path) -> None:
    seen, spec = settled(home)
    todo = decided(seen, spec)
    known = resources(todo.world)
    dyno = named("web.1", known, "hello").address
    assert dyno.endswith("/hello.web.1.v1")
    assert named("hello.web.1.v1", known, "hello").address == dyno
    assert named("lxc/hello.web.1.v1", known, "hello").address == dyno
    plexed = "/etc/systemd/system/deployer.logplex.service"
    assert named(plexed, known, "hello").address == f"rsyslog/box-1/file:{plexed}"


@pytest.mark.parametrize(
    ("word", "summary", "hint"),
    [
        ("nginx/hello", "is the name of 2 resources", "nginx/box-1/hello, nginx/box-2/hello"),
        ("web.7", "nothing is called web.7 here", "/hello.web."),
        ("nginx/box-1/helo", "nothing is called", "nginx/box-1/hello"),
        ("????", "nothing is called", "deploy plan shows"),
    ],
)
def test_a_word_that_names_none_or_several(home: Path, word: str, summary: str, hint: str) -> None:
    seen, spec = settled(home)
    with pytest.raises(InputError) as error:
        told(seen, spec, word)
    (problem,) = error.value.problems
    assert summary in problem.summary
    assert hint in problem.hint
    assert problem.hint.count(", ") < NEAREST


def test_a_host_that_left_is_told_by_what_is_missing(home: Path) -> None:
    seen, _ = settled(home)
    spec = source.load(written(home, hosts={"box-1": FLEET["hosts"]["box-1"]}))
    found = told(seen, spec, "nginx/box-2/hello")
    assert found["state"] == "delete"
    assert found["asks"][-1]["pointer"] == "/hosts"
    assert "No edit of the files would have it stay as it is." not in explanation(found)


def test_of_dynos_of_one_name_the_wanted_one_is_meant(home: Path) -> None:
    seen, _ = settled(home)
    spec = source.load(written(home, config={"TOKEN": "other"}))
    todo = decided(seen, spec)
    addresses = [r.address for r in resources(todo.world) if "web.1" in r.names("hello")]
    assert len(addresses) == 2
    assert named("web.1", resources(todo.world), "hello").key == "hello.web.1.v2"


@pytest.mark.parametrize("as_json", [True, False])
def test_the_command(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    seen, spec = settled(home)
    monkeypatch.setattr(command, "seen", lambda *_, **__: (spec, seen.sight(spec)))
    command.explain(options.Look(home, as_json=as_json), "nginx/box-1/hello")
    found = told(seen, spec, "nginx/box-1/hello")
    shown = capsys.readouterr().out
    assert json.loads(shown) == found if as_json else shown == explanation(found) + "\n"


def test_the_app_of_these_tests_is_sound(home: Path) -> None:
    Draft202012Validator(data.schema("fleet")).validate(FLEET)
    assert [p for p in source.validate(home) if p.severity == "error"] == []
