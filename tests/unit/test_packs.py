"""What words of `buildpacks` mean, which of ours fit a folder, and buildpacks from git and from archives."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
import threading
import zlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deployer.model.steps import Tree
from deployer.problems import InputError, Where
from deployer.remote import packs
from deployer.source import buildpacks
from deployer.source.tree import tree
from deployer.spec.packs import ORDER, Archive, Buildpack, Git, Local, label, meant

REGISTRY = "https://buildpack-registry.s3.amazonaws.com/buildpacks/"
OFFICIAL = "https://github.com/heroku/heroku-buildpack-"


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("python", "python"),
        ("Python", "python"),
        ("heroku/python", "python"),
        ("urn:buildpack:heroku/ruby", "ruby"),
        ("heroku/jvm", "java"),
        ("heroku/node", "nodejs"),
        (f"{OFFICIAL}python", "python"),
        (f"{OFFICIAL}nodejs.git", "nodejs"),
        (f"{OFFICIAL}nodejs.git#main", "nodejs"),
        (f"{OFFICIAL}nginx-static", "static"),
        (f"{OFFICIAL}nodejs#v200", Git(f"{OFFICIAL}nodejs", "v200")),
        (f"{OFFICIAL}apt", Git(f"{OFFICIAL}apt", "")),
        ("https://github.com/other/heroku-buildpack-python", None),
        ("https://git.example/x.git#a/b", Git("https://git.example/x.git", "a/b")),
        ("git@git.example:a/b.git", Git("git@git.example:a/b.git", "")),
        ("file:///srv/pack#1.0", Git("file:///srv/pack", "1.0")),
        ("https://x.example/pack.tgz", Archive("https://x.example/pack.tgz")),
        ("https://x.example/pack.tar.gz?a=b", Archive("https://x.example/pack.tar.gz?a=b")),
        ("heroku-community/apt", Archive(f"{REGISTRY}heroku-community/apt.tgz")),
        ("urn:buildpack:heroku-community/apt", Archive(f"{REGISTRY}heroku-community/apt.tgz")),
        ("./pack", Local("./pack")),
        ("../pack", Local("../pack")),
        ("/srv/pack", Local("/srv/pack")),
        ("~/pack", Local("~/pack")),
        ("heroku/cobol", None),
        ("cobol", None),
        ("a/b/c", None),
        ("", None),
        ("https://x.example/a b", None),
        ("--upload-pack=x", None),
    ],
)
def test_what_a_word_means(word: str, found: Any) -> None:
    is_foreign_git = found is None and word.startswith("https://github.com/")
    assert meant(word) == (Git(word, "") if is_foreign_git else found)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (Git("https://git.example/a/heroku-buildpack-apt.git", ""), "heroku-buildpack-apt"),
        (Git("git@git.example:apt.git", ""), "apt"),
        (Archive("https://x.example/a/pack.tar.gz?token=b/c"), "pack"),
        (Local("../my pack/"), "my-pack"),
        (Local(".."), "buildpack"),
        (Local("/"), "buildpack"),
    ],
    ids=str,
)
def test_a_folder_is_called_after_its_place(place: Any, name: str) -> None:
    assert label(place) == name


# on this machine


def at(pointer: str) -> Where:
    return Where("app.json", pointer=pointer)


def chosen(folder: Path, *words: str) -> tuple[tuple[Any, ...], list[Any]]:
    return buildpacks.chosen(words, tree(folder), at)


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ("Gemfile package.json requirements.txt", "ruby"),
        ("package.json requirements.txt", "nodejs"),
        ("requirements.txt index.html", "python"),
        ("pom.xml", "java"),
        ("build.gradle", "gradle"),
        ("index.php composer.json", "php"),
        ("go.mod", "go"),
        ("index.html", "static"),
    ],
)
def test_the_first_of_ours_that_fits_is_taken(files: str, name: str, tmp_path: Path) -> None:
    for file in files.split():
        (tmp_path / file).touch()
    assert chosen(tmp_path) == ((buildpacks.own(name),), [])


def test_an_app_that_no_buildpack_fits(tmp_path: Path) -> None:
    (tmp_path / "main.c").touch()
    found, (problem,) = chosen(tmp_path)
    assert (found, problem.summary) == ((), "No buildpack fits this app")
    assert problem.detail == f"Tried: {', '.join(ORDER)}."


def test_words_are_taken_in_their_order_and_all_that_is_wrong_is_told(tmp_path: Path) -> None:
    fill(tmp_path / "app/pack")
    (tmp_path / "app/none").mkdir()
    words = ("heroku/nodejs", "./pack", "./none", "cobol", "https://git.example/x.git", "python")
    found, problems = chosen(tmp_path / "app", *words)
    assert [pack.name if isinstance(pack, Buildpack) else pack for pack in found] == [
        "nodejs",
        "pack",
        Git("https://git.example/x.git", ""),
        "python",
    ]
    assert [problem.where.pointer for problem in problems] == ["/buildpacks/2", "/buildpacks/3"]
    assert "no bin/compile" in problems[0].summary


def test_a_folder_of_the_user_is_no_buildpack_of_ours(tmp_path: Path) -> None:
    fill(tmp_path / "python")
    (pack,), _ = chosen(tmp_path, "./python")
    assert (pack.name, pack.ours) == ("python", False)
    assert list(buildpacks.shared((pack,))) == []
    assert [name for name, _ in buildpacks.shared((pack, buildpacks.own("python")))] == [".ours"]


def test_default_types_are_those_of_the_last_buildpack_and_open_where_any_is_not_ours(tmp_path: Path) -> None:
    fill(tmp_path / "pack")
    (tmp_path / "package.json").write_text('{"scripts": {"start": "node ."}}')
    (folder,), _ = chosen(tmp_path, "./pack")
    node, python = (buildpacks.own(name) for name in ("nodejs", "python"))
    assert buildpacks.default_types((python, node), tree(tmp_path)) == {"web": "npm start"}
    assert buildpacks.default_types((node, python), tree(tmp_path)) == {}
    for theirs in (folder, Git("https://git.example/x.git", ""), Archive("https://x.example/x.tgz")):
        assert buildpacks.default_types((node, theirs), tree(tmp_path)) is None
        assert buildpacks.default_types((theirs, node), tree(tmp_path)) is None
    assert buildpacks.default_types((), tree(tmp_path)) is None


# from elsewhere


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where fetched buildpacks lie; none was fetched before in this process."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    packs._fetched.cache_clear()
    return tmp_path / "cache/deployer/buildpacks"


def fill(folder: Path, word: str = "one") -> None:
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "bin/compile").write_text(word)
    (folder / "bin/compile").chmod(0o755)


def held(tree: Tree) -> dict[str, str]:
    """Files by name: what they hold, and an asterisk for those that can be run."""
    rows = ((tree.root / entry.path.decode(), entry) for entry in tree.entries)
    return {e.path.decode(): file.read_text() + "*" * bool(e.mode & 0o100) for file, e in rows if e.sha}


def refused(place: Git | Archive) -> Any:
    with pytest.raises(InputError) as caught:
        packs.fetched([place])
    (problem,) = caught.value.problems
    return problem


@pytest.fixture
def repository(tmp_path: Path) -> SimpleNamespace:
    """A buildpack with a history: bin/compile holds a word for each commit."""
    folder = tmp_path / "pack.git"
    author = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")

    def git(*words: str) -> str:
        argv = ("git", "-C", str(folder), *author, *words)
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    def commit(word: str) -> str:
        fill(folder, word)
        git("add", ".")
        git("commit", "-q", "-m", word)
        return git("rev-parse", "HEAD")

    folder.mkdir()
    git("init", "-q", "-b", "main")
    url = f"file://{folder}"

    def get(ref: str) -> str:
        packs._fetched.cache_clear()
        (pack,) = packs.fetched([Git(url, ref)])
        assert (pack.name, pack.ours) == ("pack", False)
        return held(pack.tree)["bin/compile"]

    return SimpleNamespace(git=git, commit=commit, get=get, url=url)


def test_every_kind_of_name_leads_to_its_commit(repository: SimpleNamespace) -> None:
    first = repository.commit("first")
    repository.git("tag", "light")
    repository.git("tag", "-a", "-m", "x", "annotated")
    repository.commit("second")
    repository.git("branch", "side/way")
    repository.commit("last")
    names = {"": "last", "main": "last", "side/way": "second", first: "first"}
    repository.git("branch", "light")  # git takes the tag, too
    names |= {"light": "first", "annotated": "first"}
    assert {name: repository.get(name) for name in names} == {name: f"{w}*" for name, w in names.items()}


def test_a_name_is_meant_whole(repository: SimpleNamespace) -> None:
    repository.commit("mine")
    repository.git("checkout", "-q", "-b", "zzz/main")
    repository.commit("other")
    assert repository.get("main") == "mine*"
    assert "has no ma*" in refused(Git(repository.url, "ma*")).summary


def test_what_was_fetched_is_kept_and_a_branch_that_moves_is_seen(
    repository: SimpleNamespace, kept: Path
) -> None:
    commit = repository.commit("one")
    assert repository.get("main") == repository.get(commit) == "one*"
    assert len(list(kept.iterdir())) == 1
    repository.commit("two")
    once = packs.fetched([Git(repository.url, "main")])
    repository.commit("three")
    assert packs.fetched([Git(repository.url, "main")]) == once
    assert repository.get("main") == "three*"
    assert len(list(kept.iterdir())) == 3


@pytest.mark.parametrize("ref", ["nothing", "f" * 40])
def test_a_name_that_is_not_there(repository: SimpleNamespace, kept: Path, ref: str) -> None:
    repository.commit("one")
    problem = refused(Git(repository.url, ref))
    assert repository.url in problem.summary
    assert problem.hint
    assert [path.name for path in kept.glob("*")] == []


def test_a_repository_that_is_not_there_or_is_no_buildpack(
    repository: SimpleNamespace, tmp_path: Path
) -> None:
    problem = refused(Git(f"file://{tmp_path}/nowhere", ""))
    assert problem.summary == f"The buildpack file://{tmp_path}/nowhere cannot be fetched"
    assert "nowhere" in problem.detail
    repository.commit("one")
    repository.git("mv", "bin", "lib")
    repository.git("commit", "-q", "-m", "x")
    assert "no bin/compile" in refused(Git(repository.url, "")).summary


def test_all_that_cannot_be_had_is_told_at_once_and_names_are_apart(
    repository: SimpleNamespace, tmp_path: Path
) -> None:
    repository.commit("one")
    ours, theirs = buildpacks.own("python"), Git(repository.url, "")
    lost = [Git(f"file://{tmp_path}/{name}", "") for name in ("a", "b")]
    with pytest.raises(InputError) as caught:
        packs.fetched([ours, lost[0], theirs, lost[1]])
    assert all(where.url in p.summary for where, p in zip(lost, caught.value.problems, strict=True))
    names = [pack.name for pack in packs.fetched([ours, theirs, ours, theirs])]
    assert names == ["python", "pack", "python-3", "pack-4"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A web server over a folder."""
    folder = tmp_path / "site"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()

    def url(name: str) -> Archive:
        return Archive(f"http://127.0.0.1:{server.server_address[1]}/{name}")

    yield SimpleNamespace(folder=folder, url=url)
    server.shutdown()
    server.server_close()
    thread.join()


def packed(*members: tuple[str, bytes], mode: int = 0o755) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


@pytest.mark.parametrize("around", ["", "pack-main/"], ids=["plain", "wrapped"])
def test_an_archive_is_unpacked_and_what_hosting_sites_wrap_around_it_is_not_there(
    site: SimpleNamespace, kept: Path, around: str
) -> None:
    content = packed((f"{around}bin/compile", b"x"), (f"{around}pack-main/y", b"y"))
    (site.folder / "pack.tgz").write_bytes(content)
    (pack,) = packs.fetched([site.url("pack.tgz")])
    assert (pack.name, held(pack.tree)) == ("pack", {"bin/compile": "x*", "pack-main/y": "y*"})
    assert [path.name for path in kept.iterdir()] == [pack.tree.root.name]


def test_an_archive_that_changes_under_its_name_is_seen(site: SimpleNamespace) -> None:
    for word in (b"one", b"two"):
        (site.folder / "pack.tgz").write_bytes(packed(("bin/compile", word)))
        packs._fetched.cache_clear()
        (pack,) = packs.fetched([site.url("pack.tgz")])
        assert held(pack.tree) == {"bin/compile": f"{word.decode()}*"}


def damaged() -> bytes:
    """What is no gzip any more in the middle of a file."""
    plain = gzip.decompress(packed(("bin/compile", bytes(1 << 20))))
    packer = zlib.compressobj(wbits=31)
    return packer.compress(plain[:500_000]) + packer.flush(zlib.Z_FULL_FLUSH) + b"\xff" * 100


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>", "cannot be unpacked"),
        (b"", "cannot be unpacked"),
        (packed(("bin/compile", bytes(1 << 20)))[:500], "cannot be unpacked"),
        (damaged(), "cannot be unpacked"),
        (packed(("../evil", b"x")), "cannot be unpacked"),
        (packed(("bin/detect", b"x")), "no bin/compile"),
    ],
    ids=["html", "empty", "short", "damaged", "evil", "other"],
)
def test_an_archive_that_is_none(site: SimpleNamespace, kept: Path, content: bytes, said: str) -> None:
    (site.folder / "pack.tgz").write_bytes(content)
    problem = refused(site.url("pack.tgz"))
    assert said in problem.summary + problem.detail
    assert list(kept.glob("**/evil")) == list(kept.glob(".new-*")) == []


def test_an_archive_that_is_not_there(site: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "404" in refused(site.url("pack.tgz")).detail
    assert refused(Archive("http://127.0.0.1:1/pack.tgz")).detail
    assert refused(Archive("http://127.0.0.1:port/pack.tgz")).detail
    (site.folder / "pack.tgz").write_bytes(packed(("bin/compile", b"x")))
    monkeypatch.setattr(packs, "LARGEST", 10)
    assert "more than" in refused(site.url("pack.tgz")).detail


def test_what_an_installer_compiled_is_no_part_of_a_buildpack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = tmp_path / "mine"
    (pack / "lib/__pycache__").mkdir(parents=True)
    (pack / "lib/__pycache__/a.pyc").write_bytes(b"x")
    (pack / "lib/a.py").write_text("")
    monkeypatch.setattr(buildpacks, "HOME", tmp_path)
    assert [entry.path for entry in buildpacks.own.__wrapped__("mine").tree.entries] == [b"lib/a.py"]


def test_what_is_left_out_of_the_source_is_not_detected(tmp_path: Path) -> None:
    for name, text in {"package.json": "{}", "requirements.txt": "", ".slugignore": "package.json\n"}.items():
        (tmp_path / name).write_text(text)
    assert chosen(tmp_path) == ((buildpacks.own("python"),), [])


def test_a_token_in_an_address_is_not_shown() -> None:
    assert packs.shown(Git("https://bob:s3cret@host.example/pack.git", "")) == "https://host.example/pack.git"
    assert packs.shown(Git("git@host.example:pack.git", "")) == "git@host.example:pack.git"
