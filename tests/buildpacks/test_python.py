"""The Python buildpack: which apps it takes, which manager and which Python they get, and what it says."""

from __future__ import annotations

import json
import os
import platform
import shutil
import stat
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

PACKS = Path(__file__).parents[2] / "deployer/buildpacks"
PACK = PACKS / "python"


STACK = platform.python_version()
GENERATION = STACK.rpartition(".")[0]


@pytest.fixture
def python(tmp_path: Path) -> SimpleNamespace:
    """bin/compile on a source of given files; what a manager is asked to do is written down, not done."""
    packs = tmp_path / "packs"
    shutil.copytree(PACK, packs / "python")
    shutil.copytree(PACKS / ".ours", packs / ".ours")
    folders = {name: tmp_path / name for name in ("app", "cache", "env")}
    for folder in folders.values():
        folder.mkdir()
    asked = tmp_path / "asked"

    def has_manager(name: str) -> None:
        tool = folders["cache"] / "manager/bin" / name
        tool.parent.mkdir(parents=True, exist_ok=True)
        tool.write_text(
            '#!/bin/sh\necho "${0##*/} $*" >>' + f"{asked}\n"
            'echo "[$VIRTUAL_ENV][$XDG_CACHE_HOME][$REQUESTS_CA_BUNDLE]"\ntest ! -f refuse\n'
        )
        tool.chmod(0o755)
        pins = (PACK / "managers.txt").read_text().split()
        pin = next(pin for pin in pins if pin.startswith(f"{name}=="))
        (folders["cache"] / "manager/complete").write_text(f"{pin} on Python {STACK}\n")

    def compiled(env: dict[str, str] | None = None, **files: str) -> subprocess.CompletedProcess[str]:
        shutil.rmtree(folders["app"])
        folders["app"].mkdir()
        for name, text in files.items():
            file = folders["app"] / name.replace("__", "/").replace("_dot_", ".")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        for name, value in (env or {}).items():
            (folders["env"] / name).write_text(value)
        argv = [str(packs / "python/bin/compile"), *map(str, folders.values())]
        path = f"{sys.base_prefix}/bin:{os.environ['PATH']}"
        quiet = {**os.environ, "STACK": "debian-12", "PIP_NO_INDEX": "1", "PATH": path}
        quiet.pop("REQUESTS_CA_BUNDLE", None)
        return subprocess.run(argv, capture_output=True, text=True, check=False, env=quiet)

    return SimpleNamespace(
        compiled=compiled,
        has_manager=has_manager,
        asked=lambda: asked.read_text().splitlines(),
        **folders,
    )


UV = {"pyproject_dot_toml": "", "uv_dot_lock": ""}


def pipfile_lock(**requires: str) -> str:
    return json.dumps({"_meta": {"requires": requires}, "default": {}})


# what is built


def test_an_app_gets_its_environment_and_the_next_build_takes_it_from_the_cache(
    python: SimpleNamespace,
) -> None:
    first = python.compiled(requirements_dot_txt="", runtime_dot_txt="")
    assert first.returncode == 0, first.stdout + first.stderr
    assert (python.app / ".heroku/python/bin/python").exists()
    assert (python.app / ".profile.d/python.sh").exists()
    assert "cache" not in first.stdout
    second = python.compiled(requirements_dot_txt="")
    assert "Restoring packages from the cache" in second.stdout
    assert "nothing to install" in second.stdout
    changed = python.compiled(requirements_dot_txt="# another\n")
    assert "cache" not in changed.stdout


def test_hooks_see_config_vars_to_the_last_byte_but_none_that_would_break_the_build(
    python: SimpleNamespace,
) -> None:
    hook = '#!/bin/sh\nprintf "[%s][%s]" "$VALUE" "$PYTHONHOME" >seen\n'
    env = {"VALUE": "two\nlines 'quoted'\n\n", "PATH": "/nowhere", "PYTHONHOME": "/nowhere", "no-name": "x"}
    python.has_manager("uv")
    done = python.compiled(env, **UV, bin__post_compile=hook)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (python.app / "seen").read_text() == "[two\nlines 'quoted'\n\n][]"


@pytest.mark.parametrize(
    ("manager", "files", "asked"),
    [
        (
            "pipenv",
            {"Pipfile": "", "Pipfile_dot_lock": pipfile_lock(python_version=GENERATION)},
            ["pipenv install --deploy"],
        ),
        (
            "pipenv",
            {"Pipfile": "", "Pipfile_dot_lock": pipfile_lock(python_full_version=f"{GENERATION}.99")},
            ["pipenv verify", "pipenv sync"],
        ),
        (
            "poetry",
            {"pyproject_dot_toml": "", "poetry_dot_lock": ""},
            ["poetry sync --only main --compile --no-ansi --no-interaction"],
        ),
        (
            "uv",
            {"pyproject_dot_toml": "", "uv_dot_lock": ""},
            ["uv sync --locked --no-default-groups --compile-bytecode --no-progress"],
        ),
    ],
)
def test_each_lock_is_installed_by_its_manager_outside_the_slug(
    python: SimpleNamespace, manager: str, files: dict[str, str], asked: list[str]
) -> None:
    python.has_manager(manager)
    done = python.compiled(None, **files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert python.asked() == asked
    bundle = "/etc/ssl/certs/ca-certificates.crt"
    assert f"[{python.app}/.heroku/python][{python.cache}/{manager}][{bundle}]" in done.stdout
    assert not (python.app / ".heroku/python/bin" / manager).exists()
    again = python.compiled(None, **files)
    assert "Restoring packages from the cache" in again.stdout


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("# note", 0),
        ("flask==3.1.3", 0),
        ("uvicorn[standard]>=0.30,<1 # web", 0),
        ("tomli~=2.0; python_version < '3.11'", 0),
        (".", 1),
        ("./lib", 1),
        ("-e lib", 1),
        ("-r more.txt", 1),
        ("lib-1.0-py3-none-any.whl", 1),
        ("lib @ https://example.org/lib.zip", 1),
        ("git+https://example.org/lib", 1),
    ],
)
def test_pip_is_spared_only_where_nothing_but_versions_is_asked_for(
    tmp_path: Path, line: str, status: int
) -> None:
    (tmp_path / "requirements.txt").write_text(f"gunicorn==23.0.0\n\n{line}\n")
    argv = ["bash", "-c", f". {PACK}/lib/managers.sh; versions_alone"]
    assert subprocess.run(argv, cwd=tmp_path, check=False).returncode == status


def test_a_folder_in_a_lock_is_installed_anew(python: SimpleNamespace) -> None:
    python.has_manager("uv")
    files = {"pyproject_dot_toml": "", "uv_dot_lock": 'source = { directory = "lib" }\n'}
    assert python.compiled(None, **files).returncode == 0
    assert "Restoring" not in python.compiled(None, **files).stdout


def test_managers_are_pinned_once(python: SimpleNamespace) -> None:
    pins = [line for line in (PACK / "managers.txt").read_text().splitlines() if not line.startswith("#")]
    assert [pin.partition("==")[0] for pin in pins] == ["pipenv", "poetry", "uv"]
    assert all(pin.partition("==")[2] for pin in pins)


# what is refused


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"app_dot_py": ""}, "No requirements.txt"),
        ({"setup_dot_py": ""}, "requirements.txt with the line: ."),
        ({"pyproject_dot_toml": "[project]\n"}, "uv lock, and commit"),
        ({"pyproject_dot_toml": "[tool.poetry]\n"}, "poetry lock, and commit"),
        ({"Pipfile": ""}, "pipenv lock, and commit"),
        ({"Pipfile_dot_lock": pipfile_lock()}, "has no Pipfile beside it"),
        ({"uv_dot_lock": ""}, "has no pyproject.toml beside it"),
        ({"requirements_dot_txt": "", "poetry_dot_lock": ""}, "delete poetry.lock"),
        ({"requirements_dot_txt": "", "Pipfile": ""}, "delete Pipfile"),
        ({"poetry_dot_lock": "", "uv_dot_lock": "", "Pipfile_dot_lock": ""}, "delete poetry.lock uv.lock"),
        ({"requirements_dot_txt": "", "venv__pyvenv_dot_cfg": ""}, "git rm -r --cached venv"),
        ({"requirements_dot_txt": "", "bin__pre_compile": "#!/bin/sh\nexit 4\n"}, "bin/pre_compile failed"),
        ({"requirements_dot_txt": "no-such-package-here==1\n"}, "pip could not install"),
    ],
)
def test_what_cannot_work_is_said_with_what_to_do(
    python: SimpleNamespace, files: dict[str, str], told: str
) -> None:
    done = python.compiled(None, **files)
    assert done.returncode == 1
    assert told in done.stdout + done.stderr


def test_a_failing_manager_fails_the_build_with_its_own_words(python: SimpleNamespace) -> None:
    python.has_manager("uv")
    done = python.compiled(None, **UV, refuse="")
    assert done.returncode == 1
    assert f"[{python.app}/.heroku/python]" in done.stdout
    assert "uv could not install what uv.lock says" in done.stderr
    assert not (python.cache / "python").exists()


def test_a_manager_that_cannot_be_had_is_said(python: SimpleNamespace) -> None:
    done = python.compiled(None, **UV)
    assert done.returncode == 1
    assert "could not be installed" in done.stderr
    assert not (python.cache / "manager/complete").exists()


# which Python


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"runtime_dot_txt": f"python-{STACK}\r\n"},
        {"_dot_python-version": f"# ours\n{GENERATION}  # that of the stack\n"},
        {"runtime_dot_txt": f"python-{GENERATION}\n", "_dot_python-version": "2.7\n"},
        {"pyproject_dot_toml": f'[project]\nrequires-python = ">={GENERATION}, <4, !=3.0.*"\n'},
    ],
)
def test_a_pin_that_the_stack_meets_is_met_in_silence(python: SimpleNamespace, files: dict[str, str]) -> None:
    python.has_manager("uv")
    done = python.compiled(None, **{**UV, **files})
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"-----> Using Python {STACK} of the stack" in done.stdout
    assert " !" not in done.stdout


def test_another_patch_release_is_warned_of_and_the_stacks_own_used(python: SimpleNamespace) -> None:
    python.has_manager("uv")
    done = python.compiled(None, **UV, runtime_dot_txt=f"python-{GENERATION}.99\n")
    assert f" !     runtime.txt asks for {GENERATION}.99: the stack's Python {STACK} is used" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"runtime_dot_txt": "python-2.7.18\n"}, "runtime.txt asks for Python 2.7.18"),
        ({"_dot_python-version": "3.8\n"}, "debian-12 has Python 3.11, debian-13 has Python 3.13"),
        ({"_dot_python-version": "3.11\n3.12\n"}, "does not say one version"),
        ({"_dot_python-version": "pypy3.10\n"}, "does not say one version"),
        ({"pyproject_dot_toml": '[project]\nrequires-python = ">=3.99"\n'}, "requires Python >=3.99"),
        ({"pyproject_dot_toml": '[project]\nrequires-python = "~=2.7"\n'}, "requires Python ~=2.7"),
        ({"pyproject_dot_toml": "[project\n"}, "pyproject.toml cannot be read"),
    ],
)
def test_a_python_that_cannot_be_had_is_said(
    python: SimpleNamespace, files: dict[str, str], told: str
) -> None:
    done = python.compiled(requirements_dot_txt="", **files)
    assert done.returncode == 1
    assert told in done.stderr


def test_the_pin_of_a_pipfile_counts_last(python: SimpleNamespace) -> None:
    python.has_manager("pipenv")
    files = {"Pipfile": "", "Pipfile_dot_lock": pipfile_lock(python_version="3.8")}
    assert "Pipfile.lock asks for Python 3.8;" in python.compiled(None, **files).stderr
    assert python.compiled(None, **files, **{"_dot_python-version": GENERATION}).returncode == 0


def archive_of(folder: Path, version: str) -> str:
    """A download of a Python that says it is of this version; the URL has gaps for version and architecture."""
    program = folder / "python/bin/python3"
    program.parent.mkdir(parents=True)
    program.write_text(
        f'#!/bin/sh\ncase $1 in -c) echo {version} ;; *) exec {sys.base_prefix}/bin/python3 "$@" ;; esac\n'
    )
    program.chmod(0o755)
    with tarfile.open(folder / f"9.8.7-{os.uname().machine}.tar.gz", "w:gz") as archive:
        archive.add(folder / "python", "python")
    return f"file://{folder}/{{version}}-{{arch}}.tar.gz"


def test_another_python_is_downloaded_where_the_app_says_from_where(
    python: SimpleNamespace, tmp_path: Path
) -> None:
    python.has_manager("uv")
    url = archive_of(tmp_path / "www", "9.8.7")
    files = {**UV, "_dot_python-version": "9.8.7\n"}
    done = python.compiled({"PYTHON_DOWNLOAD_URL": url}, **files)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Using Python 9.8.7 from PYTHON_DOWNLOAD_URL" in done.stdout
    assert (python.app / ".heroku/python/base/bin/python3").exists()
    shutil.rmtree(tmp_path / "www")
    assert "Restoring packages" in python.compiled(None, **files).stdout


@pytest.mark.parametrize(
    ("asked", "told"), [("9.8.7", "leads to Python 9.8.6, not 9.8.7"), ("9.8.5", "9.8.5 cannot be had")]
)
def test_a_download_that_is_not_what_was_asked_for_is_refused(
    python: SimpleNamespace, tmp_path: Path, asked: str, told: str
) -> None:
    url = archive_of(tmp_path / "www", "9.8.6")
    files = {"requirements_dot_txt": "", "_dot_python-version": asked}
    done = python.compiled({"PYTHON_DOWNLOAD_URL": url}, **files)
    assert done.returncode == 1
    assert told in done.stderr
    assert not (python.cache / "python").exists()


# detect, release, profile


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("requirements.txt", 0),
        ("app.py", 0),
        ("uv.lock", 0),
        ("Pipfile", 0),
        ("poetry.lock", 0),
        ("index.html", 1),
    ],
)
def test_python_apps_are_told_by_their_files(tmp_path: Path, name: str, status: int) -> None:
    (tmp_path / name).touch()
    done = subprocess.run([PACK / "bin/detect", tmp_path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, "" if status else "Python\n")


def test_no_process_type_is_given(tmp_path: Path) -> None:
    done = subprocess.run([PACK / "bin/release", tmp_path], capture_output=True, text=True, check=True)
    assert done.stdout == "---\ndefault_process_types: {}\n"


@pytest.mark.parametrize(
    ("limit", "cores", "given", "wanted"),
    [
        (512, 2, "", "2"),
        (1024, 2, "", "4"),
        (16384, 2, "", "5"),
        (128, 2, "", "1"),
        (1024, 2, "9", "9"),
        (None, 2, "", ""),
    ],
)
def test_web_processes_fit_the_dyno(
    tmp_path: Path, limit: int | None, cores: int, given: str, wanted: str
) -> None:
    if limit:
        (tmp_path / "memory").mkdir()
        (tmp_path / "memory/memory.limit_in_bytes").write_text(f"{limit << 20}\n")
    text = (PACK / "profile.d/WEB_CONCURRENCY.sh").read_text().replace("/sys/fs/cgroup", str(tmp_path))
    ask = f'nproc() {{ echo {cores}; }}\nWEB_CONCURRENCY={given}\n{text}\necho "$WEB_CONCURRENCY"\n'
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout == f"{wanted}\n"


def test_every_script_of_the_buildpack_can_be_run() -> None:
    assert {path.name for path in (PACK / "bin").iterdir() if path.stat().st_mode & stat.S_IXUSR} == {
        "compile",
        "detect",
        "release",
    }
