"""The Go buildpack, with a Go that is a shell script and tells what it did."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest

PACKS = Path(__file__).parents[2] / "deployer/buildpacks"
PACK = PACKS / "go"
GO = """#!/bin/sh
[ "$1" = version ] && echo "go version go{version} linux/amd64" && exit
echo "go $* [$GOPATH] [$GOCACHE] [$GOBIN] [$GOTOOLCHAIN] $GOFLAGS" >>"$SAID"
case "$*" in
*broken*) echo "its own words" >&2; exit 1 ;;
list*) echo example.com/hello ;;
install*) mkdir -p "$GOBIN" && touch "$GOBIN/hello" ;;
esac
"""
MODULE = "module example.com/hello\n\ngo 1.19\n"
MAIN = "// Command x.\npackage main\n"


def tool(path: Path, text: str) -> None:
    """A program that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def go(tmp_path: Path) -> SimpleNamespace:
    """`compiled(go_mod, env, files)` runs bin/compile where Go is 1.19.8."""
    for name in ("go", ".ours"):
        shutil.copytree(PACKS / name, tmp_path / "packs" / name)
    tool(tmp_path / "stack/go", GO.replace("{version}", "1.19.8"))
    said = tmp_path / "said"
    folders = {name: tmp_path / name for name in ("app", "cache", "env")}
    for folder in folders.values():
        folder.mkdir()

    def compiled(
        go_mod: str = MODULE, env: dict[str, str] | None = None, files: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        said.write_text("")
        for name, text in (env or {}).items():
            (folders["env"] / name).write_text(text)
        for name, text in {"go.mod": go_mod, **(files or {})}.items():
            tool(folders["app"] / name, text)
        return subprocess.run(
            [tmp_path / "packs/go/bin/compile", *folders.values()],
            env={
                "PATH": f"{tmp_path}/stack:{os.environ['PATH']}",
                "HOME": str(folders["app"]),
                "STACK": "debian-12",
                "SAID": str(said),
            },
            capture_output=True,
            text=True,
            check=False,
        )

    def source(version: str) -> dict[str, str]:
        """GO_DOWNLOAD_URL of a place that has this version."""
        tool(tmp_path / f"dl/{version}/go/bin/go", GO.replace("{version}", version))
        with tarfile.open(tmp_path / f"dl/go{version}.tar.gz", "w:gz") as tar:
            tar.add(tmp_path / f"dl/{version}/go", "go")
        return {"GO_DOWNLOAD_URL": f"file://{tmp_path}/dl/go{{version}}.tar.gz"}

    return SimpleNamespace(compiled=compiled, said=said, source=source, path=tmp_path, **folders)


def release(app: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        (app / name).write_text(text)
    return subprocess.run([PACK / "bin/release", app], capture_output=True, text=True, check=True).stdout


def test_all_programs_of_the_module_are_installed_into_bin(go: SimpleNamespace) -> None:
    done = go.compiled()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "-----> Installing example.com/hello\n" in done.stdout
    listed, installed = go.said.read_text().splitlines()
    assert listed.startswith("go list -find -tags heroku -f ")
    places = f"[{go.cache}/gopath] [{go.cache}/go-build] [{go.app}/bin] [local] -modcacherw"
    assert installed.rstrip() == f"go install -v -tags heroku example.com/hello {places}"
    assert (go.app / "bin/hello").exists()
    assert (go.app / ".profile.d/go.sh").exists()
    assert f"PATH={go.app}/bin:{go.path}/stack:" in (go.path / "packs/go/export").read_text()


@pytest.mark.parametrize(
    ("go_mod", "env", "files", "wanted"),
    [
        (MODULE + "// +heroku install ./cmd/... ./other\n", {}, {}, "heroku ./cmd/... ./other ["),
        (MODULE + "// +heroku install ./a\n", {"GO_INSTALL_PACKAGE_SPEC": "./b ./c"}, {}, "heroku ./b ./c ["),
        (MODULE, {}, {"vendor/modules.txt": ""}, "-tags heroku -mod=vendor example.com/hello"),
        (MODULE, {"GO_LINKER_SYMBOL": "main.version"}, {}, "-tags heroku example.com/hello"),
        (MODULE, {"GO_LINKER_SYMBOL": "main.v", "GO_LINKER_VALUE": "7"}, {}, "-ldflags -X main.v=7 example"),
        (MODULE, {"GOFLAGS": "-trimpath"}, {}, "-modcacherw -trimpath"),
    ],
)
def test_the_user_chooses_what_is_built_and_how(
    go: SimpleNamespace, go_mod: str, env: dict[str, str], files: dict[str, str], wanted: str
) -> None:
    done = go.compiled(go_mod, env, files)
    assert done.returncode == 0, done.stderr
    assert wanted in go.said.read_text()


@pytest.mark.parametrize(
    ("go_mod", "env"),
    [
        ("module x\n", {}),
        ("module x\ngo 1.12\n", {}),
        ("module x\ngo 1.19\ntoolchain go1.22.1\n", {}),
        ("module x\ngo 1.19\n// +heroku goVersion go1.19\n", {}),
        ("module x\ngo 1.30\n", {"GOVERSION": "go1.19.8"}),
    ],
)
def test_the_stacks_go_is_taken_where_it_will_do(
    go: SimpleNamespace, go_mod: str, env: dict[str, str]
) -> None:
    done = go.compiled(go_mod, env)
    assert "Using Go 1.19.8 of the stack" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("go_mod", "env", "version"),
    [
        ("module x\ngo 1.22.3\n", {}, "1.22.3"),
        ("module x\ngo 1.22\n", {}, "1.22.0"),
        ("module x\ngo 1.20\n", {}, "1.20"),
        ("module x\ngo 1.21\ntoolchain go1.22.1\n", {}, "1.22.1"),
        ("module x\ngo 1.19\n// +heroku goVersion go1.18.2\n", {}, "1.18.2"),
        ("module x\ngo 1.19\n", {"GOVERSION": "go1.24.1"}, "1.24.1"),
    ],
)
def test_another_go_is_downloaded_once(
    go: SimpleNamespace, go_mod: str, env: dict[str, str], version: str
) -> None:
    env = {**env, **go.source(version)}
    done = go.compiled(go_mod, env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"-----> Downloading Go {version}\n-----> Using Go {version}\n" in done.stdout
    assert not list(go.app.glob("**/go/bin/go"))
    again = go.compiled(go_mod, env)
    assert "Downloading" not in again.stdout
    assert f"Using Go {version}" in again.stdout


@pytest.mark.parametrize(
    ("go_mod", "env", "told"),
    [
        (
            "module x\ngo 1.22.3\n",
            {"GO_DOWNLOAD_URL": "file:///nowhere"},
            "go.mod asks for Go 1.22.3; the stack debian-12 has Go 1.19.8, and the download of 1.22.3 failed",
        ),
        (
            MODULE,
            {"GOVERSION": "1.18.9", "GO_DOWNLOAD_URL": "file:///nowhere"},
            "GOVERSION asks for Go 1.18.9 and no other",
        ),
        (MODULE, {"GOVERSION": "newest"}, "GOVERSION asks for a Go version that is none"),
        (MODULE, {"GO_INSTALL_PACKAGE_SPEC": "./broken"}, "Go could not build the app"),
    ],
)
def test_what_cannot_work_is_said_with_what_to_do(
    go: SimpleNamespace, go_mod: str, env: dict[str, str], told: str
) -> None:
    done = go.compiled(go_mod, env)
    assert done.returncode == 1
    assert told in done.stderr
    assert " !     Next: " in done.stderr


def test_a_go_that_is_not_the_one_asked_for_is_refused(go: SimpleNamespace) -> None:
    address = go.source("1.20.1")["GO_DOWNLOAD_URL"].replace("{version}", "1.20.1")
    done = go.compiled("module x\ngo 1.22.3\n", {"GO_DOWNLOAD_URL": address})
    assert "what was downloaded is Go 1.20.1" in done.stderr
    assert done.returncode == 1


def test_gos_own_words_are_shown(go: SimpleNamespace) -> None:
    done = go.compiled(env={"GO_INSTALL_PACKAGE_SPEC": "./broken"})
    assert "       its own words\n" in done.stdout


def test_hooks_run_before_and_after_with_the_config_vars(go: SimpleNamespace) -> None:
    hooks = {
        f"bin/go-{when}-compile": f'#!/bin/sh\necho "{when} $VALUE" >>"$SAID"\n' for when in ("pre", "post")
    }
    done = go.compiled(env={"VALUE": "given"}, files=hooks)
    assert done.returncode == 0, done.stderr
    told = [line.split(" -")[0] for line in go.said.read_text().splitlines()]
    assert told == ["pre given", "go list", "go install", "post given"]
    failed = go.compiled(files={"bin/go-pre-compile": "#!/bin/sh\nexit 3\n"})
    assert "bin/go-pre-compile failed" in failed.stderr
    assert failed.returncode == 1


def test_bin_must_be_a_folder(go: SimpleNamespace) -> None:
    assert "bin is a file" in go.compiled(files={"bin": ""}).stderr


@pytest.mark.parametrize(("name", "status"), [("go.mod", 0), ("main.go", 1), ("gopath/x/go.mod", 1)])
def test_go_apps_are_told_by_their_module(tmp_path: Path, name: str, status: int) -> None:
    tool(tmp_path / name, "")
    done = subprocess.run([PACK / "bin/detect", tmp_path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, "" if status else "Go\n")


@pytest.mark.parametrize(
    ("files", "types"),
    [
        ({"main.go": MAIN}, ["web: bin/hello"]),
        ({"go.mod": "module example.com/hello/v2\n", "main.go": MAIN}, ["web: bin/hello"]),
        ({"cmd/server/main.go": MAIN}, ["web: bin/server"]),
        ({"cmd/web/a.go": MAIN, "cmd/worker/b.go": MAIN}, ["web: bin/web", "worker: bin/worker"]),
        ({"main.go": MAIN, "cmd/worker/b.go": MAIN}, ["web: bin/hello", "worker: bin/worker"]),
        ({"main.go": MAIN, "cmd/web/b.go": MAIN}, ["web: bin/hello"]),
        ({"main.go": MAIN, "vendor/x/main.go": MAIN, "testdata/main.go": MAIN}, ["web: bin/hello"]),
        ({"main.go": MAIN, "tools/gen.go": "//go:build ignore\n\n" + MAIN}, ["web: bin/hello"]),
        ({"main.go": MAIN, "_x/a.go": MAIN, ".x/a.go": MAIN, "x/a_test.go": MAIN}, ["web: bin/hello"]),
        (
            {"go.mod": MODULE + "// +heroku install ./cmd/... \n", "main.go": MAIN, "cmd/a/a.go": MAIN},
            ["web: bin/a"],
        ),
        (
            {"go.mod": MODULE + "// +heroku install example.com/hello/b\n", "b/b.go": MAIN, "c/c.go": MAIN},
            ["web: bin/b"],
        ),
    ],
)
def test_programs_are_process_types(tmp_path: Path, files: dict[str, str], types: list[str]) -> None:
    wanted = "---\ndefault_process_types:\n" + "".join(f"  {each}\n" for each in types)
    assert release(tmp_path, {"go.mod": MODULE, **files}) == wanted
    assert release(tmp_path, {"bin/hello": "", ".profile.d/go.sh": ""}) == wanted


@pytest.mark.parametrize("files", [{"main.go": MAIN, "Procfile": "web: hello"}, {"a.go": "package a\n"}])
def test_a_procfile_and_a_library_have_no_default(tmp_path: Path, files: dict[str, str]) -> None:
    assert release(tmp_path, {"go.mod": MODULE, **files}) == "---\ndefault_process_types: {}\n"
