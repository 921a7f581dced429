"""The probe, function by function: what it makes of files, and of what the tools of a host print."""

from __future__ import annotations

import ast
import hashlib
import json
import runpy
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shipped import script

from deployer.world.facts import Probe

Tools = Callable[[dict[str, str]], dict[str, Any]]


@pytest.fixture
def probe() -> Tools:
    """The probe's names on a host whose tools print this, by the first words of their command line."""

    def load(printed: dict[str, str]) -> dict[str, Any]:
        names = runpy.run_path(str(script("probe.py")), run_name="probe")

        def run(*argv: str) -> str:
            line = " ".join(argv)
            return next((text for words, text in printed.items() if line.startswith(words)), "")

        names["look"].__globals__["run"] = run
        return names

    return load


def test_a_host_without_tools_is_looked_at_all_the_same(probe: Tools) -> None:
    request = {key: ["x"] for key in Probe().as_dict()} | {"lines": [["x", "y"]]}
    seen = probe({})["look"](request)
    empty = (
        "addresses",
        "listeners",
        "files",
        "texts",
        "private",
        "readable",
        "folders",
        "units",
        "packages",
        "tables",
    )
    assert {key: bool(seen[key]) for key in empty} == dict.fromkeys(empty, False)
    assert json.loads(json.dumps(seen)) == seen


def test_files_are_hashed_and_texts_read(probe: Tools, tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_bytes(b"caf\xc3\xa9 \xff")
    (tmp_path / "a.conf").chmod(0o600)
    (tmp_path / "folder.conf").mkdir()
    (tmp_path / "large.conf").write_bytes(b"x" * ((1 << 20) + 1))
    names, pattern = probe({}), [f"{tmp_path}/*.conf", f"{tmp_path}/a.conf"]
    files = names["files"](pattern)
    digest = hashlib.sha256(b"caf\xc3\xa9 \xff").hexdigest()
    assert files[f"{tmp_path}/a.conf"].items() >= {"sha": digest, "mode": 0o600}.items()
    assert files.keys() == {f"{tmp_path}/a.conf", f"{tmp_path}/large.conf"}
    assert names["texts"](pattern) == {f"{tmp_path}/a.conf": "café \ufffd"}


def test_texts_are_read_as_far_as_everybody_may(probe: Tools, tmp_path: Path) -> None:
    names = probe({})
    for name, content, mode in (
        ("a", b"first", 0o644),
        ("b", b"secret", 0o640),
        ("c", b"\xff", 0o644),
        ("d", b"x" * (names["READABLE"] + 1), 0o644),
        ("e", b"last", 0o755),
    ):
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(mode)
    (tmp_path / "f").mkdir()
    assert names["readable"]([f"{tmp_path}/*"]) == {f"{tmp_path}/a": "first", f"{tmp_path}/e": "last"}
    names["readable"].__globals__["LIMIT"] = 7
    assert names["readable"]([f"{tmp_path}/*"]) == {f"{tmp_path}/a": "first"}


def test_packages_that_are_only_configured_are_none(probe: Tools) -> None:
    printed = "installed nginx-light 1.22.1-9\nconfig-files lxc 5.0\nnot-installed zstd \n"
    assert probe({"dpkg-query": printed})["packages"](["x"]) == {"nginx-light": "1.22.1-9"}


def test_units_by_name_and_by_pattern(probe: Tools) -> None:
    block = "Id={}\nLoadState={}\nActiveState=active\nSubState=running\nUnitFileState=enabled\n"
    shown = "\n".join((block.format("a.service", "loaded"), block.format("gone.service", "not-found")))
    names = probe({"systemctl list-units": "d@1.service loaded\n", "systemctl show": shown})
    assert names["units"](["a.service", "d@*.service"]) == {
        "a.service": {"active": "active", "sub": "running", "enabled": "enabled"}
    }
    assert names["instances"](["d@*.service"]) == ["d@1.service"]


def test_listeners_by_port(probe: Tools) -> None:
    printed = (
        'LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=1,fd=3))\n'
        'LISTEN 0 128 [::]:80 [::]:* users:(("nginx",pid=2,fd=6),("nginx",pid=3,fd=6))\n'
        "LISTEN 0 128 *:20000 *:*\n"
    )
    assert probe({"ss": printed})["listeners"]() == {"22": "sshd", "80": "nginx", "20000": ""}


def test_addresses_that_others_can_use(probe: Tools) -> None:
    own = {"local": "127.0.0.1", "prefixlen": 8, "scope": "host"}
    other = {"local": "192.0.2.1", "prefixlen": 24, "scope": "global"}
    rows = [
        {"ifname": "lo", "addr_info": [own]},
        {"ifname": "eth0", "addr_info": [other]},
        {"ifname": "eth1"},
    ]
    assert probe({"ip -j addr": json.dumps(rows)})["links"]() == [("192.0.2.1", 24, "eth0")]


def test_of_files_that_are_not_ours_only_the_lines_asked_for_are_read(probe: Tools, tmp_path: Path) -> None:
    (tmp_path / "a.conf").write_text("\tlisten 80;\npassword hunter2;\n")
    (tmp_path / "b.conf").write_text("password hunter2;\n")
    wanted = [[f"{tmp_path}/*.conf", "listen"], [f"{tmp_path}/none", "x"]]
    assert probe({})["lines"](wanted) == {f"{tmp_path}/a.conf": ["listen 80;"]}


def test_tables_with_the_ports_of_the_kernel(probe: Tools) -> None:
    ports = {"map": {"name": "ports", "elem": [[20000, {"concat": ["10.213.0.2", 5000]}]]}}
    printed = {
        "nft -nn list table ip mine": "table",
        "nft -j": json.dumps({"nftables": [{"metainfo": {}}, ports]}),
    }
    assert probe(printed)["tables"](["mine", "absent"]) == {
        "mine": {"sha": hashlib.sha256(b"table").hexdigest(), "ports": {"20000": "10.213.0.2:5000"}}
    }


def test_a_dyno_answers_or_not(probe: Tools, tmp_path: Path) -> None:
    names = probe({})
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for key, dyno in {
            "up": {"address": "127.0.0.1", "port": port},
            "worker": {"address": "x", "port": 0},
        }.items():
            (tmp_path / key).mkdir()
            (tmp_path / key / "dyno.json").write_text(json.dumps(dyno))
        (tmp_path / "half").mkdir()
        (tmp_path / "half" / "dyno.json").write_text("{")
        names["answers"].__globals__["DYNOS"] = f"{tmp_path}/*/dyno.json"
        assert names["answers"]() == {f"127.0.0.1:{port}": True}
    assert names["answers"]() == {f"127.0.0.1:{port}": False}


@pytest.mark.parametrize("name", ["probe.py", "runner.py", "lock.py", "guard.py"])
def test_what_runs_on_hosts_is_python_3_8(name: str) -> None:
    ast.parse(script(name).read_text("utf-8"), feature_version=(3, 8))
