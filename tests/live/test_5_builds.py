"""From source in every language to an app that serves; buildpacks of others; builds that go wrong."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Shop

pytestmark = pytest.mark.live

LANGUAGES = {
    "golang": ("main.go", "Hello from Go", "Good day from Go"),
    "java": (
        "greeting/src/main/java/com/example/greeting/Greeting.java",
        "Hello from Java",
        "Good day from Java",
    ),
    "node": ("server.js", "Hello from Node.js", "Good day from Node.js"),
    "php": ("packages/greeting/src/Greeting.php", "Hello from PHP", "Good day from PHP"),
    "python-uv": ("app.py", "Hello from Python", "Good day from Python"),
    "ruby": ("gems/greeting/lib/greeting.rb", "Hello from Ruby", "Good day from Ruby"),
    "static": ("page.md", "Hello", "Good day"),
}
"""A line of each example's source, as it is and as it is changed to; the page shows it."""
STACKS = {"node": "debian-13", "php": "debian-13"}
"""Examples that are deployed on the other stack here, so that both are."""


def another(shop: Shop, folder: Path, name: str, **fleet: Any) -> Shop:
    """An app of its own on the same hosts."""
    document = json.loads((shop.folder / "fleet.json").read_text())
    own = {"app": name, "domains": [f"{name}.test"], "config": {}, "formation": {}}
    (folder / "fleet.json").write_text(json.dumps(document | own | fleet))
    return Shop(folder)


def pages(app: Shop, name: str) -> set[str]:
    """What both routers answer, each asked twice."""
    return {app.get(f"10.77.0.{n}", host=f"{name}.test") for n in (11, 12, 11, 12)}


@pytest.fixture
def app(shop: Shop, tmp_path: Path) -> Iterator[Shop]:
    """A small app without a language of its own, gone afterwards."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = another(shop, folder, "small")
    yield made
    made.deploy("destroy", "--confirm", "small")


def pack(folder: Path, **scripts: str) -> None:
    """A buildpack of these scripts in `folder`."""
    (folder / "bin").mkdir(parents=True)
    for name, text in scripts.items():
        (folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / "bin" / name).chmod(0o755)


def git(folder: Path, *words: str) -> str:
    argv = ("git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.com", *words)
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_example_of_each_language_deploys_and_is_released_again(
    shop: Shop, tmp_path: Path, language: str
) -> None:
    folder = tmp_path / language
    shutil.copytree(ROOT / "examples" / language, folder)
    if language == "java":
        # Maven Central may be out of reach: Debian's packages of Maven's plugins take its place
        script = ROOT / "tests/live/offline_maven.sh"
        subprocess.run(["bash", str(script), str(folder)], check=True, timeout=600)
    made = another(shop, folder, f"in-{language}")
    if language in STACKS:
        made.edit("app.json", stack=STACKS[language])
    file, before, after = LANGUAGES[language]
    try:
        made.settle()
        assert any(before in page for page in pages(made, f"in-{language}"))
        source = (folder / file).read_text()
        assert before in source
        (folder / file).write_text(source.replace(before, after))
        made.settle()
        assert all(after in page for page in pages(made, f"in-{language}"))
        assert {dyno["release"] for dyno in made.ps()} == {"v2"}
        assert {dyno["state"] for dyno in made.ps()} == {"up"}
        assert "-----> Using buildpack: " in made.deploy("releases", "show", "v2", "--build").stdout
    finally:
        made.deploy("destroy", "--confirm", f"in-{language}")


SERVE = "web: cd /app && exec python3 -m http.server $PORT --bind 0.0.0.0"
LIST = (
    'echo "---"\necho "default_process_types:"\necho "  web: cd /app && exec python3 -m http.server \\$PORT"'
)


def test_buildpacks_of_others_run_in_order_and_bring_process_types(app: Shop, tmp_path: Path) -> None:
    first, second = tmp_path / "first", app.folder / "packs/second"
    pack(first, detect="echo First", compile='echo "export WORD=exported" >"$(dirname "$0")/../export"')
    git(tmp_path, "init", "-q", "-b", "main", str(first))
    git(first, "add", "-A")
    git(first, "commit", "-qm", "one")
    git(first, "tag", "v1")
    compiled = 'echo "$WORD $(id -u)" >$1/index.html; mkdir -p $1/.profile.d; echo "export SEEN=$DYNO" >$1/.profile.d/a.sh'
    pack(second, detect="echo Second", compile=compiled, release=LIST)
    packs = [{"url": f"file://{first}#v1"}, {"url": "./packs/second"}]
    (app.folder / "app.json").write_text(json.dumps({"buildpacks": packs}))
    assert "known once the app is built" in app.deploy("plan", code=1).stderr
    app.settle()
    assert pages(app, "small") == {"exported 1000\n"}
    (app.folder / "Procfile").write_text(f"{SERVE}\nrelease: echo release phase of $HEROKU_RELEASE_VERSION\n")
    done = app.apply()
    assert "release phase of v2" in done.stderr
    assert app.plan()["changes"] == []


def test_a_real_buildpack_of_others_works_unchanged(app: Shop) -> None:
    url = os.environ.get("THIRD_PARTY_BUILDPACK", "https://github.com/heroku/heroku-buildpack-inline.git")
    reach = subprocess.run(["git", "ls-remote", url], capture_output=True, check=False, timeout=60)
    if reach.returncode:
        pytest.skip(f"{url} is out of reach here; THIRD_PARTY_BUILDPACK may name a copy")
    pack(app.folder, detect="echo Inline", compile="echo inline >$1/index.html", release=LIST)
    (app.folder / "app.json").write_text(json.dumps({"buildpacks": [{"url": url}]}))
    app.settle()
    assert pages(app, "small") == {"inline\n"}


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


def test_a_slug_is_promoted_without_a_build(app: Shop) -> None:
    (app.folder / "index.html").write_text("one\n")
    (app.folder / "requirements.txt").write_text("")
    (app.folder / "Procfile").write_text(SERVE)
    built = json.loads(app.deploy("build", "--json").stdout.splitlines()[-1])["slug"]
    fleet = json.loads((app.folder / "fleet.json").read_text())
    production = fleet | {"app": "small-production", "domains": ["production.test"]}
    (app.folder / "fleet.production.json").write_text(json.dumps(production))
    (app.folder / "index.html").write_text("not built\n")
    try:
        done = app.apply("-e", "production", "--slug", built)
        assert "-----> Building" not in done.stderr
        assert pages(app, "production") == {"one\n"}
        assert "0 to create" in app.deploy("plan", "-e", "production", "--slug", built).stdout
    finally:
        app.deploy("destroy", "-e", "production", "--confirm", "small-production")


BAD = {
    "does not fit": ({"detect": "exit 1", "compile": "true"}, "App not compatible with buildpack: bad"),
    "fails": ({"detect": "echo Bad", "compile": "echo this is why; exit 3"}, "this is why"),
    "eats all memory": (
        {"detect": "echo Bad", "compile": 'python3 -c \'bytearray(4 << 30).replace(b"a", b"b")\''},
        "needs more memory",
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
    done = app.apply(code=8)
    assert words in done.stderr
    assert pages(app, "small") == {"one\n"}
    left = "find /var/lib/deployer/apps/small/build /run/deployer/build -mindepth 1 2>/dev/null"
    assert app.ssh("box-1", left, check=False) == ""


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
