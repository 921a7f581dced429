"""Which files are the app's, and the tar that carries them."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import tarfile
from pathlib import Path

import pytest

from deployer.model.steps import Text
from deployer.problems import InputError
from deployer.source.archive import tarball
from deployer.source.tree import tree


def write(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def names(folder: Path, *without: str) -> list[str]:
    return [os.fsdecode(entry.path) for entry in tree(folder, [folder / name for name in without]).entries]


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(("git", "-c", "user.name=x", "-c", "user.email=x@y", *arguments), cwd=folder, check=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    git(tmp_path, "init", "--quiet")
    return tmp_path


def test_without_git_all_files_are_the_apps(tmp_path: Path) -> None:
    write(
        tmp_path,
        "b",
        "a/c",
        "a/.hidden",
        "app.json",
        "Procfile",
        "fleet.json",
        "fleet.staging.json",
        "sub/fleet.json",
    )
    assert names(tmp_path) == ["Procfile", "a/.hidden", "a/c", "app.json", "b", "sub/fleet.json"]


def test_with_git_the_files_that_it_would_track(checkout: Path) -> None:
    write(checkout, "tracked", "deleted", "new", "ignored.log", "node_modules/x", ".gitignore")
    (checkout / ".gitignore").write_text("*.log\nnode_modules\n")
    git(checkout, "add", "tracked", "deleted")
    (checkout / "deleted").unlink()
    assert names(checkout) == [".gitignore", "new", "tracked"]


def test_a_folder_inside_a_checkout(checkout: Path) -> None:
    write(checkout, "apps/one/a", "apps/two/b", ".gitignore")
    (checkout / ".gitignore").write_text("*.log\n")
    write(checkout, "apps/one/x.log")
    assert names(checkout / "apps/one") == ["a"]


def test_a_folder_that_its_checkout_ignores_is_taken_whole(checkout: Path) -> None:
    write(checkout, "build/a", ".gitignore")
    (checkout / ".gitignore").write_text("build\n")
    assert names(checkout / "build") == ["a"]


def test_a_repository_inside_the_repository(checkout: Path) -> None:
    write(checkout, "a", "vendor/lib/b")
    git(checkout / "vendor/lib", "init", "--quiet")
    assert names(checkout) == ["a", "vendor/lib/b"]


def submodule(checkout: Path, name: str) -> None:
    """As a clone without `--recurse-submodules` has it."""
    git(checkout, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},{name}")
    (checkout / name).mkdir(parents=True)


def test_submodules_that_are_not_checked_out_are_all_named(checkout: Path) -> None:
    write(checkout, "a")
    for name in ("vendor/lib", "vendor/more"):
        submodule(checkout, name)
    with pytest.raises(InputError) as error:
        tree(checkout)
    assert [problem.where.file for problem in error.value.problems if problem.where] == [
        f"{checkout}/vendor/lib",
        f"{checkout}/vendor/more",
    ]
    assert "git submodule update --init" in error.value.problems[0].hint
    write(checkout, ".slugignore")
    (checkout / ".slugignore").write_text("vendor\n")
    assert names(checkout) == [".slugignore", "a"]


def test_files_in_place_of_a_submodule_are_taken(checkout: Path) -> None:
    submodule(checkout, "vendor/lib")
    write(checkout, "a", "vendor/lib/b/c")
    assert names(checkout) == ["a", "vendor/lib/b/c"]


def test_git_that_fails_is_a_problem(tmp_path: Path) -> None:
    write(tmp_path, "a", ".git/HEAD")
    with pytest.raises(InputError, match="git cannot list"):
        tree(tmp_path)


def test_slugignore(tmp_path: Path) -> None:
    write(tmp_path, "a.psd", "docs/b", "src/docs/c", "src/d.psd", "spec/e", ".slugignore")
    (tmp_path / ".slugignore").write_text("# art\n*.psd\n/docs\nspec/\n")
    assert names(tmp_path) == [".slugignore", "src/docs/c"]


def test_slugignore_takes_nothing_back(tmp_path: Path) -> None:
    write(tmp_path, "a")
    (tmp_path / ".slugignore").write_text("*.psd\n!a.psd\n")
    with pytest.raises(InputError) as error:
        tree(tmp_path)
    assert str(error.value.problems[0].where) == f"{tmp_path}/.slugignore:2:1"


def test_what_is_private_is_left_out(tmp_path: Path) -> None:
    assert names(write(tmp_path, "a", "keys/id", "token"), "keys/id", "token", "../elsewhere") == ["a"]


def test_modes_are_those_of_git(tmp_path: Path) -> None:
    write(tmp_path, "run", "read").joinpath("run").chmod(0o700)
    (tmp_path / "read").chmod(0o600)
    assert [entry.mode for entry in tree(tmp_path).entries] == [0o644, 0o755]


def test_links_inside_are_kept_as_links(tmp_path: Path) -> None:
    write(tmp_path, "a/b")
    (tmp_path / "a/link").symlink_to("b")
    (tmp_path / "folder").symlink_to("a")
    (tmp_path / "dangling").symlink_to("nowhere")
    links = {entry.path: entry.link for entry in tree(tmp_path).entries if entry.link}
    assert links == {b"a/link": b"b", b"folder": b"a", b"dangling": b"nowhere"}


def test_all_that_cannot_be_carried_is_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, "a/b")
    (tmp_path / "absolute").symlink_to("/etc/passwd")
    (tmp_path / "a/out").symlink_to("../../elsewhere")
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tmp_path / "s"))
        with pytest.raises(InputError) as error:
            tree(tmp_path)
    told = {Path(p.where.file).name for p in error.value.problems if p.where}
    assert told == {"absolute", "out", "fifo", "s"}


def test_names_may_be_any_bytes(tmp_path: Path) -> None:
    name = b"caf\xe9\n\xf0\x9f\x99\x82"
    (Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))).write_text("x")
    found = tree(tmp_path)
    assert [entry.path for entry in found.entries] == [name]
    with tarball([("app", found)]) as file, tarfile.open(fileobj=file) as tar:
        assert [os.fsencode(member.name) for member in tar] == [b"app/" + name]


def test_equal_files_have_equal_digests_and_tars(tmp_path: Path) -> None:
    one, two = (write(tmp_path / name, "b", "a") for name in ("one", "two"))
    os.utime(two / "a", (1, 1))
    (two / "a").chmod(0o640)
    assert tree(one).sha == tree(two).sha
    texts = [("y", Text("2")), ("x", Text("1", secret=True))]
    with tarball([("t", tree(one))], texts) as first, tarball([("t", tree(two))], texts[::-1]) as second:
        assert first.read() == second.read()


@pytest.mark.parametrize("change", ["content", "mode", "name", "link"])
def test_every_change_changes_the_digest(change: str, tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    (tmp_path / "l").symlink_to("a")
    before = tree(tmp_path).sha
    match change:
        case "content":
            (tmp_path / "a").write_text("else")
        case "mode":
            (tmp_path / "a").chmod(0o755)
        case "name":
            (tmp_path / "a").rename(tmp_path / "c")
        case "link":
            (tmp_path / "l").unlink()
            (tmp_path / "l").symlink_to("b")
    assert tree(tmp_path).sha != before


def test_what_a_tar_holds(tmp_path: Path) -> None:
    write(tmp_path, "bin/run", "a").joinpath("bin/run").chmod(0o755)
    (tmp_path / "l").symlink_to("a")
    with tarball([("app", tree(tmp_path))], [("env/KEY", Text("é\n", secret=True))]) as file:
        content = file.read()
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        held = {m.name: (oct(m.mode), m.linkname or (tar.extractfile(m) or io.BytesIO()).read()) for m in tar}
        assert {(m.uid, m.gid, m.mtime) for m in tar} == {(0, 0, 0)}
    assert held == {
        "app/a": ("0o644", b"a"),
        "app/bin/run": ("0o755", b"bin/run"),
        "app/l": ("0o777", "a"),
        "env/KEY": ("0o600", "é\n".encode()),
    }


def test_a_secret_is_in_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployer.source.archive.IN_MEMORY", 1)
    found = tree(write(tmp_path, "a"))
    with (
        tarball([("", found)]) as on_disk,
        tarball([("", found)], [("k", Text("x", secret=True))]) as in_memory,
    ):
        assert (on_disk._rolled, in_memory._rolled) == (True, False)  # type: ignore[attr-defined]


@pytest.mark.parametrize("change", ["edit", "delete"])
def test_a_file_that_changed_after_the_plan_is_refused(change: str, tmp_path: Path) -> None:
    found = tree(write(tmp_path, "a"))
    if change == "edit":
        (tmp_path / "a").write_text("b")
    else:
        (tmp_path / "a").unlink()
    with pytest.raises(InputError, match="changed after the plan was made"):
        tarball([("app", found)])


def test_a_source_that_is_too_large_names_its_largest_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployer.source.tree.LARGEST", 5)
    with pytest.raises(InputError) as error:
        tree(write(tmp_path, "a", "longest"))
    assert error.value.problems[0].detail == "The largest file is longest."
