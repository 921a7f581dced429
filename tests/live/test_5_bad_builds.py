"""Builds and release phases that go wrong are said, and leave the old release; odd sources arrive whole."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Shop
from small import SERVE, pack, pages

pytestmark = pytest.mark.live


def test_a_failed_release_phase_keeps_the_old_release(app: Shop) -> None:
    (app.folder / "index.html").write_text("one\n")
    (app.folder / "requirements.txt").write_text("")
    (app.folder / "Procfile").write_text(SERVE)
    app.settle()
    (app.folder / "Procfile").write_text(f"{SERVE}\nrelease: echo no such table; exit 3\n")
    done = app.apply(code=8)
    assert "no such table" in done.stderr
    assert "v1 goes on serving" in done.stderr
    assert pages(app, "small") == {"one\n"}
    (app.folder / "Procfile").write_text(SERVE)
    assert app.plan()["changes"] == []


BAD = {
    "does not fit": ({"detect": "exit 1", "compile": "true"}, "App not compatible with buildpack: bad"),
    "fails": ({"detect": "echo Bad", "compile": "echo this is why; exit 3"}, "this is why"),
    "eats all memory": (
        {"detect": "echo Bad", "compile": 'python3 -c \'bytearray(4 << 30).replace(b"a", b"b")\''},
        "needs more memory",
    ),
    "hangs": ({"detect": "echo Bad", "compile": "echo waiting; sleep 600"}, "the build took too long"),
    "makes too large a slug": (
        {"detect": "echo Bad", "compile": "head -c 530000000 /dev/urandom >$1/large"},
        "more than the 500 MB that are allowed",
    ),
}


@pytest.mark.parametrize("how", BAD)
def test_a_bad_build_is_said_and_leaves_the_old_release(app: Shop, how: str) -> None:
    scripts, words = BAD[how]
    (app.folder / "index.html").write_text("one\n")
    (app.folder / "requirements.txt").write_text("")
    (app.folder / "Procfile").write_text(SERVE)
    app.settle()
    pack(app.folder / "bad", **scripts)
    (app.folder / "app.json").write_text(json.dumps({"buildpacks": [{"url": "./bad"}]}))
    app.edit("fleet.json", build={"timeout": 5 if how == "hangs" else 60})
    done = app.apply(code=8)
    assert words in done.stderr
    assert pages(app, "small") == {"one\n"}
    left = "find /var/lib/deployer/apps/small/build /run/deployer/build -mindepth 1 2>/dev/null"
    assert app.ssh("box-1", left, check=False) == ""


def test_a_build_that_fills_the_disk_is_stopped_before_it_hurts_the_host(app: Shop) -> None:
    (app.folder / "index.html").write_text("one\n")
    (app.folder / "requirements.txt").write_text("")
    (app.folder / "Procfile").write_text(SERVE)
    app.settle()
    fill = "head -c 300000000 /dev/zero >$1/large; sleep 20"
    pack(app.folder / "bad", detect="echo Bad", compile=fill)
    (app.folder / "app.json").write_text(json.dumps({"buildpacks": [{"url": "./bad"}]}))
    home = "/var/lib/deployer/apps/small"
    app.ssh(
        "box-1",
        f"cp -a {home} /tmp/small; mount -t tmpfs -o size=700m none {home}; cp -a /tmp/small/. {home}",
    )
    try:
        done = app.apply(code=8)
    finally:
        app.ssh("box-1", f"umount {home}; rm -rf /tmp/small")
    assert "the build left less than 500 MB of disk and was stopped" in done.stderr
    assert pages(app, "small") == {"one\n"}


def test_a_buildpack_that_cannot_be_had_is_said_before_anything_is_done(app: Shop) -> None:
    (app.folder / "Procfile").write_text(SERVE)
    packs = [{"url": "file:///nowhere/pack"}, {"url": "http://127.0.0.1:9/pack.tgz"}]
    (app.folder / "app.json").write_text(json.dumps({"buildpacks": packs}))
    done = app.deploy("plan", code=1)
    assert done.stderr.count("cannot be fetched") == 2


ODD = (b"with space", b"new\nline", b"\xff\xfe", b"-rf", b'quote\'d "$HOME" `id`')


def test_odd_names_arrive_to_the_byte(app: Shop) -> None:
    folder = os.fsencode(app.folder)
    for name in ODD:
        Path(os.fsdecode(os.path.join(folder, name))).write_text("odd\n")
    os.symlink("nowhere", os.path.join(folder, b"broken"))
    (app.folder / "requirements.txt").write_text("")
    (app.folder / "Procfile").write_text(SERVE)
    app.settle()
    (digest,) = {c["slug"] for c in json.loads(app.deploy("releases", "--json").stdout)}
    listed = f"cd /var/lib/deployer/apps/small/slugs/{digest}/app && find . -maxdepth 1 -print0 | base64 -w0"
    for host in ("box-1", "box-2", "box-3"):
        names = base64.b64decode(app.ssh(host, listed)).split(b"\0")
        assert {b"./" + name for name in (*ODD, b"broken")} <= set(names)


def test_a_killed_build_leaves_the_next_one_clean(app: Shop) -> None:
    (app.folder / "Procfile").write_text(SERVE)
    slow = "echo half >$1/index.html; [ -e $2/again ] || { touch $2/again; sleep 60; }; echo whole >$1/index.html"
    pack(app.folder / "slow", detect="echo Slow", compile=slow)
    (app.folder / "app.json").write_text(json.dumps({"buildpacks": [{"url": "./slow"}]}))
    running = subprocess.Popen(app.argv("build"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in running.stdout or ():
        if "Using buildpack" in line:
            break
    time.sleep(1)
    running.kill()
    running.wait()
    app.deploy("unlock")
    app.settle()
    assert pages(app, "small") == {"whole\n"}
