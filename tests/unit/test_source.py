"""From a folder to a Spec, places in files, and files that are anything at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.problems import InputError
from deployer.source import data, load, validate, with_certificates
from deployer.source.files import inventory, manifest
from deployer.source.text import duplicates, escape, parse, positions

HOST = {"address": "203.0.113.1", "roles": ["router", "dynos", "logplex", "build"]}


def write(folder: Path, **files: Any) -> Path:
    fleet = {"app": "hello", "hosts": {"one": HOST}}
    sound = {"Procfile": "web: x\n", "requirements.txt": "", "fleet.json": fleet}
    for name, content in (sound | files).items():
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return folder


def test_a_spec_holds_what_the_files_say(tmp_path: Path) -> None:
    spec = load(write(tmp_path, **{"app.json": {"name": "Hello", "stack": "heroku-24"}, "main.py": "x"}))
    assert (spec.app.title, spec.app.stack, spec.stack.name) == ("Hello", "debian-13", "debian-13")
    assert spec.app.processes == {"web": "x"}
    assert [host.name for host in spec.fleet.hosts] == ["one"]
    assert [entry.path for entry in spec.tree.entries] == [
        b"Procfile",
        b"app.json",
        b"main.py",
        b"requirements.txt",
    ]
    assert spec.warnings == ()


def test_later_checks_find_their_line(tmp_path: Path) -> None:
    app = {"env": {"A": "1"}, "environments": {"staging": {"env": {"A": "2"}}}}
    spec = load(
        write(tmp_path, **{"app.json": app, "fleet.staging.json": {"app": "x-1", "hosts": {"b": HOST}}}),
        "staging",
    )
    assert (spec.where("app.json", "/env/A").line, spec.where("app.json", "/env/A").source) == (
        8,
        '    "A": "2"',
    )
    assert Path(spec.where("fleet.json", "/hosts/b/address").file).name == "fleet.staging.json"
    assert (spec.where("Procfile", "/web").line, spec.where("Procfile", "/web").source) == (1, "web: x")
    assert spec.where("app.json", "/env/B/value").line == 7


def test_who_only_looks_needs_no_private_key_and_who_builds_does(tmp_path: Path) -> None:
    own = {"certificate": "chain.pem", "key": {"file": "key.pem"}}
    fleet = {"app": "hello", "hosts": {"one": HOST}, "domains": ["a.test"], "certificates": [own]}
    folder = write(tmp_path, **{"fleet.json": fleet, "chain.pem": "a chain\n"})
    looking = load(folder, builds=False)
    assert looking.certificates == ()
    wants_it = (
        lambda: load(folder),
        lambda: load(folder, slug="ab", builds=False),
        lambda: load(folder, to="v1", builds=False),
        lambda: with_certificates(looking),
    )
    for asked in wants_it:
        with pytest.raises(InputError, match=r"key\.pem"):
            asked()
    (folder / "key.pem").write_text("a key\n")
    assert [c.key for c in with_certificates(looking).certificates] == ["a key\n"]
    assert with_certificates(looking).certificates == load(folder).certificates


def test_errors_stop_a_load_and_warnings_do_not(tmp_path: Path) -> None:
    assert len(load(write(tmp_path, **{"app.json": {"nmae": "x"}})).warnings) == 1
    with pytest.raises(InputError) as error:
        load(write(tmp_path, **{"app.json": {"nmae": "x", "env": 5}}))
    assert len(error.value.problems) == 2


def test_scaling_is_no_new_source(tmp_path: Path) -> None:
    def source(quantity: int, code: str) -> str:
        scale = {"web": {"quantity": quantity}}
        files = {"app.json": {"formation": scale}, "main.py": code}
        fleet = {"app": "hello", "hosts": {"one": HOST}, "formation": scale}
        return load(write(tmp_path, **files, **{"fleet.json": fleet})).source_sha

    assert source(1, "a") == source(2, "a") != source(2, "b")


def test_local_files_that_a_fleet_names_are_found_beside_it_and_are_no_source(tmp_path: Path) -> None:
    fleet = {
        "hosts": {"one": HOST},
        "app": "hello",
        "ssh": {"key": "keys", "known_hosts": "~/known"},
        "config": {"A": {"file": "token"}},
    }
    spec = load(write(tmp_path, **{"fleet.json": fleet, "keys": "k", "token": "t"}))
    assert spec.fleet.hosts[0].key == str(tmp_path / "keys")
    assert spec.fleet.known_hosts == str(Path("~/known").expanduser())
    assert [entry.path for entry in spec.tree.entries] == [b"Procfile", b"requirements.txt"]


@pytest.mark.parametrize(
    ("folder", "environment", "app"),
    [("My App_2", None, "my-app-2"), ("hello", "staging", "hello-staging"), ("hello", "other", "hello")],
)
def test_an_app_without_a_name_is_called_after_its_folder(
    folder: str, environment: str | None, app: str, tmp_path: Path
) -> None:
    fleet = {"hosts": {"one": HOST}}
    (tmp_path / folder).mkdir()
    write(tmp_path / folder, **{"fleet.json": fleet, "fleet.staging.json": fleet})
    assert inventory(tmp_path / folder, environment).fleet.app == app


@pytest.mark.parametrize("folder", ["nowhere", "file"])
def test_a_folder_that_is_none(folder: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (problem,) = validate(tmp_path / folder)
    assert problem.summary == f"There is no folder {tmp_path / folder} to read"


def test_a_file_that_is_a_folder(tmp_path: Path) -> None:
    (write(tmp_path) / "app.json").mkdir()
    (problem,) = validate(tmp_path)
    assert problem.summary == "app.json cannot be read: Is a directory"


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b~/", '"', "{,"]), inner, max_size=3)
    ),
    max_leaves=20,
)


@given(JSON, st.sampled_from([None, 0, 2]))
def test_every_value_has_a_place(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    found = dict(positions(text))
    assert found.keys() == set(pointers(value))
    assert all(not text[offset].isspace() for offset in found.values())


def pointers(value: Any, path: str = "") -> Iterator[str]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in steps:
        step = f"{path}/{escape(str(key))}"
        yield step
        yield from pointers(inner, step)


def test_a_key_inside_one_that_is_there_twice_is_not_told_again() -> None:
    text = '{"a": {"b": 1},\n "a": {"b": 2, "b": 3}, "c": 1}'
    assert [(p.summary, str(p.where)) for p in duplicates(parse(text, "f"))] == [
        ("a is written twice, first in line 1; the last one counts", "f:2:2")
    ]


def keys_in(node: Any) -> Iterator[str]:
    for key, child in node.items() if isinstance(node, dict) else ():
        yield from child if key == "properties" else ()
        yield from keys_in(child)


WORDS = sorted({key for kind in ("app", "fleet") for key in keys_in(data.schema(kind))})
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 99)
    | st.floats(allow_nan=False)
    | st.text(max_size=4)
    | st.sampled_from(["web", "router", "10.0.0.1", "heroku-24", "container", "1GB", "secret", "~x/y", "'"])
)
NAMES = st.sampled_from([*WORDS, "web", "one", "A", "staging", "a/b", "~", ""])
FILES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=30,
)


@given(st.dictionaries(NAMES, FILES), st.dictionaries(NAMES, FILES))
def test_no_file_makes_it_crash(tmp_path_factory: pytest.TempPathFactory, app: Any, fleet: Any) -> None:
    folder = write(tmp_path_factory.mktemp("any"), **{"app.json": app, "fleet.json": fleet})
    for environment in (None, "staging"):
        for problem in (*manifest(folder, environment).problems, *inventory(folder, environment).problems):
            assert problem.hint
            assert problem.where


def test_a_slug_that_was_built_before_needs_no_source(tmp_path: Path) -> None:
    (tmp_path / "fleet.json").write_text(json.dumps({"app": "hello", "hosts": {"one": HOST}}))
    assert load(tmp_path, slug="66d337d7c3c4e08d").slug == "66d337d7c3c4e08d"
    with pytest.raises(InputError, match="No buildpack fits"):
        load(tmp_path)
