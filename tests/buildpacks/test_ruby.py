"""The Ruby buildpack: what it takes for its own, what it runs, which Ruby it takes, what it says when it cannot."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from scripts import ran, written

PACK = Path(__file__).parents[2] / "deployer/buildpacks/ruby"
RUBY = '#!/bin/sh\ncase "$2" in *RUBY_VERSION*) printf 3.1.7 ;; *) exit "${ADMITTED:-0}" ;; esac\n'
"""Stands in for a Ruby: says its version, and whether the Gemfile admits it."""
TRIED = '. "$1/../.ours/buildpack.sh"; . "$1/lib/version.sh"; build_dir=$PWD cache_dir=$PWD/c env_dir=$PWD/e; choose_ruby'


def locked(*gems: str, more: str = "") -> str:
    return "GEM\n  specs:\n" + "".join(f"    {gem} (1.0)\n" for gem in gems) + "\n" + more


def chosen(folder: Path, files: dict[str, str], admitted: bool = True) -> tuple[int, str]:
    """What `choose_ruby` says where the stack has 3.1.7 and nothing can be downloaded."""
    app = {
        "Gemfile": "",
        "Gemfile.lock": "",
        "e/RUBY_DOWNLOAD_URL": "file:///nowhere/{version}.tar.gz",
        **files,
    }
    written(folder, {**app, "tools/ruby": RUBY})
    (folder / "tools/ruby").chmod(0o755)
    env = {"PATH": f"{folder}/tools:{os.environ['PATH']}", "ADMITTED": "0" if admitted else "1"}
    return ran("bash", "-euo", "pipefail", "-c", TRIED, "x", PACK, env=env, cwd=folder)


@pytest.mark.parametrize(
    ("files", "answer"),
    [
        ({"Gemfile": ""}, (0, "Ruby\n")),
        ({"vendor/bundle/Gemfile": "", "x.rb": ""}, (1, "")),
    ],
)
def test_a_gemfile_makes_a_ruby_app(tmp_path: Path, files: dict[str, str], answer: tuple[int, str]) -> None:
    assert ran(PACK / "bin/detect", written(tmp_path, files)) == answer


RACK = "  web: bundle exec rackup config.ru -p ${PORT:-5000}\n"
RAILS = "  web: bin/rails server -p ${PORT:-5000} -e $RAILS_ENV\n"
IRB = "  rake: bundle exec rake\n  console: bundle exec irb\n"


@pytest.mark.parametrize(
    ("files", "types"),
    [
        (
            {"Gemfile.lock": locked("rack", "railties")},
            f"{RAILS}  rake: bundle exec rake\n  console: bin/rails console\n",
        ),
        ({"Gemfile.lock": locked("rack"), "config.ru": ""}, RACK + IRB),
        ({"Gemfile.lock": locked("rack")}, IRB),
        ({"Gemfile.lock": locked("rack-test"), "config.ru": ""}, IRB),
        ({}, IRB),
    ],
)
def test_default_processes_follow_the_locked_gems(tmp_path: Path, files: dict[str, str], types: str) -> None:
    answer = ran(PACK / "bin/release", written(tmp_path, files))
    assert answer == (0, f"---\ndefault_process_types:\n{types}")


LOCKED = "RUBY VERSION\n   ruby {}\n\nBUNDLED WITH\n   2.3.27\n"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "Using Ruby 3.1.7 of the stack\n"),
        ({"Gemfile.lock": LOCKED.format("3.1.7p261")}, "Using Ruby 3.1.7 of the stack\n"),
        ({"Gemfile.lock": LOCKED.format("3.1.2p20")}, "(the app was locked on 3.1.2)"),
        ({".ruby-version": "# ours\nruby-3.1\n"}, "Using Ruby 3.1.7 of the stack\n"),
        ({"Gemfile": 'ruby "~> 3.1" # or so\n'}, "Using Ruby 3.1.7 of the stack\n"),
        (
            {"Gemfile.lock": LOCKED.format("3.1.7"), ".ruby-version": "2.7.1"},
            "Using Ruby 3.1.7 of the stack\n",
        ),
    ],
)
def test_the_stacks_ruby_does_for_what_it_fits(tmp_path: Path, files: dict[str, str], said: str) -> None:
    status, words = chosen(tmp_path, files)
    assert (status, said in words) == (0, True), words


@pytest.mark.parametrize(
    ("files", "admitted", "said"),
    [
        (
            {"Gemfile.lock": LOCKED.format("3.4.1p0")},
            True,
            "asks for Ruby 3.4.1; the stack debian-12 has Ruby 3.1.7",
        ),
        ({".ruby-version": "2.7.8"}, True, "asks for Ruby 2.7.8"),
        ({"Gemfile": 'ruby "3.1.2"\n'}, False, "asks for Ruby 3.1.2"),
        ({"Gemfile": "ruby '>= 3.2', '< 4'\n"}, False, "asks for Ruby >= 3.2,< 4"),
        ({".ruby-version": "3.1.2", "Gemfile": 'ruby file: ".ruby-version"\n'}, False, "asks for Ruby 3.1.2"),
        ({".ruby-version": "jruby-9.4"}, True, "not a full version of MRI"),
    ],
)
def test_a_ruby_that_cannot_be_had_is_refused(
    tmp_path: Path, files: dict[str, str], admitted: bool, said: str
) -> None:
    status, words = chosen(tmp_path, files, admitted)
    assert (status, said in words, "bundle update --ruby" in words) == (1, True, True), words


def test_a_ruby_from_elsewhere_goes_into_the_slug_and_the_cache(tmp_path: Path) -> None:
    other = written(tmp_path / "made/ruby-3.4.1", {"bin/ruby": "#!/bin/sh\nprintf 3.4.1\n"})
    (other / "bin/ruby").chmod(0o755)
    subprocess.run(
        ["tar", "-czf", tmp_path / "3.4.1.tar.gz", "-C", tmp_path / "made", "ruby-3.4.1"], check=True
    )
    url = {"e/RUBY_DOWNLOAD_URL": f"file://{tmp_path}/{{version}}.tar.gz", ".ruby-version": "3.4.1"}
    app = tmp_path / "app"
    app.mkdir()
    status, words = chosen(app, url)
    assert (status, (app / ".heroku/ruby/bin/ruby").exists()) == (0, True), words
    (app / ".heroku/ruby").rename(app / "gone")
    (tmp_path / "3.4.1.tar.gz").unlink()
    assert "Using Ruby 3.4.1 from the cache" in chosen(app, url)[1]


def test_a_lock_is_needed(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("app", "cache", "env")]
    for folder in folders:
        folder.mkdir()
    (folders[0] / "Gemfile").touch()
    status, words = ran(PACK / "bin/compile", *folders)
    assert (status, "There is no Gemfile.lock" in words, "Next: run bundle install" in words) == (
        1,
        True,
        True,
    )


def seen(variable: str, given: dict[str, str]) -> str:
    # the profile is sourced as it lies there: only its placeholders are not filled in
    script = f'. "{PACK}/profile.d/ruby.sh"; . "{PACK}/profile.d/WEB_CONCURRENCY.sh"; printf %s "${{{variable}:-}}"'
    env = {"HOME": "/app", "PATH": os.environ["PATH"], **given}
    return subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("variable", "given", "value"),
    [
        ("RAILS_ENV", {}, "production"),
        ("RACK_ENV", {"RACK_ENV": "staging"}, "staging"),
        ("RAILS_LOG_TO_STDOUT", {}, "enabled"),
        ("BUNDLE_WITHOUT", {}, "development:test"),
        ("MALLOC_ARENA_MAX", {}, "2"),
        ("PUMA_PERSISTENT_TIMEOUT", {}, "95"),
        ("WEB_CONCURRENCY", {}, ""),
        ("WEB_CONCURRENCY", {"WEB_CONCURRENCY": "7", "SENSIBLE_DEFAULTS": "1"}, "7"),
    ],
)
def test_what_a_dyno_sees(variable: str, given: dict[str, str], value: str) -> None:
    assert seen(variable, given) == value
