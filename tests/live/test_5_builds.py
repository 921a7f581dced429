"""From source in every language to an app that serves; buildpacks of others; builds that go wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, Shop
from small import SERVE, another, pack, pages

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


def test_the_end_of_a_long_build_log_is_shown(app: Shop) -> None:
    (app.folder / "Procfile").write_text(SERVE)
    words = "head -c 1500000 /dev/zero | tr '\\0' x | fold -w 1000; echo the end"
    pack(app.folder / "long", detect="echo Long", compile=words)
    (app.folder / "app.json").write_text(json.dumps({"buildpacks": [{"url": "./long"}]}))
    app.settle()
    done = app.deploy("releases", "show", "v1", "--build")
    assert "the end" in done.stdout
    assert "are left out" in done.stderr
    assert 1000000 < len(done.stdout) < 1100000
