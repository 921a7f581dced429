"""The PHP buildpack: what it takes for its own, its words, and how heroku-php-nginx reckons. No PHP is needed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from scripts import ran

PACK = Path(__file__).parents[2] / "deployer/buildpacks/php"
SERVER = PACK / "share/heroku-php-nginx"


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("composer.json", (0, "PHP\n")),
        ("index.php", (0, "PHP\n")),
        ("public/index.php", (1, "")),
        ("vendor/x/composer.json", (1, "")),
    ],
)
def test_php_apps_are_told_by_their_files(tmp_path: Path, name: str, answer: tuple[int, str]) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    assert ran(PACK / "bin/detect", tmp_path) == answer


def test_the_default_process_serves_the_folder_itself(tmp_path: Path) -> None:
    assert ran(PACK / "bin/release", tmp_path) == (
        0,
        "---\ndefault_process_types:\n  web: heroku-php-nginx\n",
    )


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder of commands that stand in for PHP and Composer; `answers/NAME` decides what they say."""
    folder = tmp_path / "tools"
    folder.mkdir()
    php = (
        '#!/bin/sh\ncase "$*" in *requirements.php*) cat "$ANSWERS/missing" ;; *json_decode*exit\\(1*) exit "$VALID" ;;\n'
        '*\\$at*) exit "$REQUIRES" ;; */usr/bin/composer*) exit 3 ;; *PHP_VERSION*) printf 8.2.1 ;; *MAJOR*) printf 8.2 ;; esac\n'
    )
    fpm = "#!/bin/sh\necho 'memory_limit => 128M => 128M'\n"
    for name, text in {"php": php, "php-fpm8.2": fpm}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize(
    ("valid", "requires", "lock", "missing", "said"),
    [
        ("1", "0", True, "", "composer.json is not valid JSON"),
        ("0", "0", False, "", "There is no composer.lock"),
        (
            "0",
            "0",
            True,
            "PHP ^9, but there is 8.2.1 (x)",
            "This app requires PHP ^9, but there is 8.2.1 (x)",
        ),
        ("0", "0", True, "ext-redis, which is not there (x)", "Next: choose a stack that has it"),
        ("0", "0", True, "", "Composer could not install the packages"),
    ],
)
def test_what_cannot_work_is_said_with_what_to_do(
    tmp_path: Path, tools: Path, valid: str, requires: str, lock: bool, missing: str, said: str
) -> None:
    folders = [tmp_path / name for name in ("app", "cache", "env")]
    for folder in folders:
        folder.mkdir()
    (folders[0] / "composer.json").write_text("{}")
    if lock:
        (folders[0] / "composer.lock").write_text("{}")
    (tmp_path / "missing").write_text(missing)
    path = f"{tools}:{os.environ['PATH']}"
    env = {"PATH": path, "ANSWERS": str(tmp_path), "VALID": valid, "REQUIRES": requires}
    status, words = ran(PACK / "bin/compile", *folders, env=env)
    assert (status, said in words) == (1, True), words


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-Z",), "there is no -Z here"),
        (("-C",), "-C needs a value"),
        (("-C", "nope.conf"), "there is no file nope.conf"),
        (("nowhere/",), "there is no folder nowhere/"),
        ((".", "."), "more than one document root"),
        ((), "PORT is not set"),
    ],
)
def test_wrong_arguments_are_told(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    status, words = ran("env", "-u", "PORT", "bash", SERVER, *arguments, cwd=tmp_path)
    assert (status, said in words, "usage: heroku-php-nginx" in words) == (2, True, True), words


def reckoned(folder: Path, tools: Path, limit: str, env: dict[str, str], *files: tuple[str, str]) -> str:
    """WEB_CONCURRENCY as heroku-php-nginx sets it, with the functions of the script alone."""
    (folder / "memory").mkdir()
    (folder / "memory/memory.limit_in_bytes").write_text(limit)
    for name, text in files:
        (folder / name).write_text(text)
    functions = SERVER.read_text().split('\nread_arguments "$@"\n')[0].replace("/sys/fs/cgroup", str(folder))
    pool = f"pool={folder}/pool\n" if (folder / "pool").exists() else ""
    script = f'{functions}\nroot={folder} fpm=php-fpm8.2\n{pool}set_concurrency 2>/dev/null; echo "$WEB_CONCURRENCY"'
    return ran("bash", "-c", script, env={"PATH": f"{tools}:{os.environ['PATH']}", **env})[1].strip()


@pytest.mark.parametrize(
    ("limit", "env", "files", "count"),
    [
        (str(512 << 20), {}, (), "4"),
        (str(2560 << 20), {}, (), "20"),
        ("9223372036854771712", {}, (), "4"),
        (str(64 << 20), {}, (), "1"),
        (str(512 << 20), {}, ((".user.ini", "memory_limit = 64M\n"),), "8"),
        (str(512 << 20), {}, (("pool", "php_value[memory_limit] = 256M ; half\n"),), "2"),
        (str(512 << 20), {}, ((".user.ini", "memory_limit=-1\n"),), "1"),
        (
            str(512 << 20),
            {},
            ((".user.ini", "memory_limit=1M\n"), ("pool", "php_admin_value[memory_limit]=32M\n")),
            "16",
        ),
        (str(512 << 20), {"WEB_CONCURRENCY": "9"}, (), "9"),
        (str(512 << 20), {"WEB_CONCURRENCY": "9", "WEB_CONCURRENCY_SET_BY": "nodejs"}, (), "4"),
    ],
)
def test_processes_fit_the_dyno(
    tmp_path: Path,
    tools: Path,
    limit: str,
    env: dict[str, str],
    files: tuple[tuple[str, str], ...],
    count: str,
) -> None:
    assert reckoned(tmp_path, tools, limit, env, *files) == count


@pytest.mark.skipif(not shutil.which("gcc"), reason="needs a C compiler")
def test_with_the_library_sigterm_does_nothing_and_the_children_have_none_of_it(tmp_path: Path) -> None:
    library, program, source = tmp_path / "k.so", tmp_path / "p", tmp_path / "p.c"
    source.write_text(
        "#include <signal.h>\n#include <stdio.h>\n#include <stdlib.h>\n"
        'static void on(int n) { (void)n; puts("handled"); exit(1); }\n'
        "int main(void) { struct sigaction a = {.sa_handler = on}; sigaction(SIGTERM, &a, 0); raise(SIGTERM);\n"
        'puts(getenv("LD_PRELOAD") ? "handed on" : "alive"); sigaction(SIGQUIT, &a, 0); raise(SIGQUIT); return 0; }\n'
    )
    assert ran("gcc", "-shared", "-fPIC", "-o", library, PACK / "share/keep_on_term.c", "-ldl") == (0, "")
    assert ran("gcc", "-o", program, source) == (0, "")
    assert ran(program, env={"LD_PRELOAD": str(library)}) == (1, "alive\nhandled\n")
