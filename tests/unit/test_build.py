"""What makes slugs and images and moves them: identity, the scripts of the build host."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from shipped import loaded, script

from deployer.model.steps import Entry, Fetch, Text, Tree
from deployer.remote import orders
from deployer.spec.packs import Buildpack
from deployer.spec.slug import Build, document, process_types, read_slug, send
from deployer.spec.stacks import Stack

ROOT = Path(__file__).parents[2] / "deployer"
KEY, OTHER_KEY = "ab" * 32, "cd" * 32
USER = 3000
rooted = pytest.mark.skipif(
    os.geteuid() != 0 or not all(map(shutil.which, ("zstd", "openssl", "setpriv"))),
    reason="needs root, zstd, openssl and setpriv, as a host has them",
)


# a slug's identity


def a_tree(content: str) -> Tree:
    return Tree(Path("/nowhere"), (Entry(b"app.py", 0o644, sha=content),))


STACK = Stack(name="debian-12", suite="bookworm", run=("python3",), build=("gcc",))
BUILD = Build(a_tree("s"), "s", STACK, (Buildpack("python", a_tree("p")),), ((".ours", a_tree("o")),))


def test_equal_inputs_have_one_digest_and_a_commit_is_not_an_input() -> None:
    assert re.fullmatch("[0-9a-f]{16}", BUILD.digest)
    assert replace(BUILD, source_version="60a874b").digest == BUILD.digest
    updated = STACK.model_copy(update={"updates": "2026-11-23"})
    assert replace(BUILD, stack=updated).digest == BUILD.digest


@pytest.mark.parametrize(
    "change",
    [
        {"source_sha": "t"},
        {"stack": STACK.model_copy(update={"run": ("python3", "curl")})},
        {"buildpacks": (Buildpack("python", a_tree("q")),)},
        {"buildpacks": (Buildpack("ruby", a_tree("p")),)},
        {"shared": ((".ours", a_tree("n")),)},
    ],
)
def test_every_input_changes_the_digest(change: dict[str, Any]) -> None:
    assert replace(BUILD, **change).digest != BUILD.digest


def test_config_vars_travel_as_files_and_in_nothing_else() -> None:
    act = send("hello", BUILD, {"KEY": Text("hunter2", secret=True)}, 5000, "10.213.255.254")
    assert act.argv[1:] == ("hello", BUILD.digest, "5000")
    assert [name for name, _ in act.trees] == ["source", "buildpacks/python", "buildpacks/.ours"]
    assert dict(act.texts)["env/KEY"].reveal() == "hunter2"
    assert "hunter2" not in repr(act) + document(BUILD, "10.213.255.254")


def test_the_build_host_is_told_all_that_it_asks_for() -> None:
    told = json.loads(document(BUILD, "10.0.0.2"))
    assert told["image"] == f"debian-12.{STACK.digest}.build"
    asked = "address buildpacks commit definition env hidden image memory pids stack timeout"
    assert set(asked.split()) == set(told)


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ('---\ndefault_process_types:\n  web: "a \\"b\\""\n  work: c d\n', {"web": 'a "b"', "work": "c d"}),
        ("addons: []\ndefault_process_types: {web: a b, work: 'c: d'}\n", {"web": "a b", "work": "c: d"}),
        ('{"default_process_types": {"web": "a $PORT"}, "config_vars": {}}', {"web": "a $PORT"}),
        ("default_process_types:\n  1: 2\n  none:\n", {"1": "2"}),
        ("--- {}\n", {}),
        ("", {}),
        ("default_process_types:\n", {}),
        ("default_process_types: web\n", {}),
        ("- default_process_types\n", {}),
        ("default_process_types: {web: [\n", {}),
        ("default_process_types: !!python/object/apply:os.getcwd []\n", {}),
        ("default_process_types: {web: 2026-99-99}\n", {}),
        ("default_process_types: " + "[" * 9000, {}),
        ("web: default_process_types \x00", {}),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_release_says_what_runs_and_nonsense_says_nothing(text: str, types: dict[str, str]) -> None:
    assert process_types(text) == types


def test_the_procfile_wins_over_the_buildpack() -> None:
    said = {"stack": "s", "definition": "d", "commit": "", "size": 1, "buildpacks": []}
    said["release"] = "default_process_types: {web: theirs, work: theirs, rake: theirs}"
    said["procfile"] = "# rake: x\nweb: a: b \r\nno line\n work : c\nrake:\n"
    assert read_slug("ab12", said).processes == {"web": "a: b", "work": "c", "rake": "theirs"}


# where images come from

INDEX = """\
Origin: {origin}
Component: {component}
Release: {release}
Repo-URI: http://mirror.example/debian/
Sourcesentry: {entry}
"""


@pytest.fixture
def sources() -> ModuleType:
    return loaded("stack-sources.py")


def index(entry: str, release: str = "bookworm", origin: str = "Debian", component: str = "main") -> str:
    return INDEX.format(entry=entry, release=release, origin=origin, component=component)


def test_a_stack_takes_the_mirrors_and_the_key_of_the_host(sources: ModuleType, tmp_path: Path) -> None:
    listed = tmp_path / "debian.sources"
    listed.write_text("# first\nTypes: deb\nSigned-By: /keys/a.gpg\n\nTypes: deb\nSigned-By: /keys/b.gpg\n")
    text = index(f"{listed}:1") + "\n" + index(f"{listed}:2", "bookworm-security")
    assert sources.lines(text, "trixie") == [
        "deb [signed-by=/keys/a.gpg] http://mirror.example/debian/ trixie main",
        "deb [signed-by=/keys/b.gpg] http://mirror.example/debian/ trixie-security main",
    ]


def test_a_line_of_the_old_form_gives_its_key_too(sources: ModuleType, tmp_path: Path) -> None:
    listed = tmp_path / "sources.list"
    listed.write_text("deb http://x y main\ndeb [arch=amd64 signed-by=/keys/c.gpg] http://x y main\n")
    assert sources.signer(f"{listed}:2") == "/keys/c.gpg"
    assert sources.signer(f"{listed}:1") == ""


def test_what_is_not_debian_itself_is_left_out(sources: ModuleType, tmp_path: Path) -> None:
    listed = tmp_path / "a.sources"
    listed.write_text("Types: deb\n")
    entry = f"{listed}:1"
    foreign = [
        index(entry, origin="Node"),
        index(entry, component="contrib"),
        index(entry, "bookworm-backports"),
    ]
    assert sources.lines("\n".join(foreign), "bookworm") == []


# stack images


@pytest.fixture
def stack() -> ModuleType:
    return loaded("stack-make.py")


DEFINITION = {
    "name": "debian-12",
    "digest": "0123456789ab",
    "suite": "bookworm",
    "run": ["python3"],
    "build": [],
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"run": ["-o"]},
        {"build": ["a b"]},
        {"suite": "../x"},
        {"name": "a/b"},
        {"digest": "xyz"},
        {"run": ["a,b"]},
    ],
)
def test_a_word_that_is_no_name_never_reaches_apt(stack: ModuleType, wrong: dict[str, Any]) -> None:
    with pytest.raises(stack.Failed) as caught:
        stack.read(json.dumps({**DEFINITION, **wrong}))
    assert caught.value.args[0] == 2


def test_versions_and_architectures_are_names(stack: ModuleType) -> None:
    assert stack.read(json.dumps({**DEFINITION, "run": ["libstdc++6=12.2.0-14+deb12u1"]}))


def test_an_image_keeps_nothing_that_only_apt_needed(stack: ModuleType, tmp_path: Path) -> None:
    for name in ("etc/apt/apt.conf.d/proxy", "var/lib/apt/lists/x", "etc/passwd", "etc/apt/trusted.gpg.d/k"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp/link").symlink_to("/etc")
    stack.strip(tmp_path)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if not path.is_dir()}
    assert left == {"etc/passwd", "etc/apt/trusted.gpg.d/k"}
    assert (tmp_path / "tmp").is_dir()
    assert Path("/etc").exists()


@rooted
def test_what_fills_an_image_stays_in_it_and_leaves_no_mount(stack: ModuleType, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for folder in (root, tmp_path / "none"):
        folder.mkdir()
    with open(tmp_path / "lock", "w") as lock:
        for name in ("first", "second"):
            stack.run(
                root, lock.fileno(), "sh", "-c", f"touch {root}/{name}; ln {root}/{name} {root}/{name}.link"
            )
    assert sorted(os.listdir(root)) == ["first", "first.link", "second", "second.link"]
    assert (root / "first").stat().st_nlink == 2
    assert os.listxattr(root / "first") == os.listxattr(root) == []
    assert not root.is_mount()


@rooted
def test_a_signal_ends_what_fills_an_image(
    stack: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in (tmp_path / "root", tmp_path / "none"):
        folder.mkdir()
    monkeypatch.setattr(stack, "tell", lambda line: signal.raise_signal(signal.SIGTERM))
    slow = f"echo 'I: fills...'; sleep 2; touch {tmp_path}/full"
    before = signal.signal(signal.SIGTERM, stack.stopped)
    try:
        with open(tmp_path / "lock", "w") as lock, pytest.raises(SystemExit) as ended:
            stack.run(tmp_path / "root", lock.fileno(), "sh", "-c", slow)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 128 + signal.SIGTERM
    assert not (tmp_path / "full").exists()


@pytest.mark.parametrize(
    ("line", "carried"),
    [
        ('Acquire::http::Proxy "http://p:3128";', True),
        ('Acquire::Check-Valid-Until "false";', True),
        ('Acquire::https::CAInfo "/x";', True),
        ('Acquire::IndexTargets::deb::Packages::Optional "0";', False),
        ('APT::Install-Recommends "1";', False),
    ],
)
def test_an_image_is_fetched_as_the_host_fetches(stack: ModuleType, line: str, carried: bool) -> None:
    assert bool(stack.SETTINGS.match(line.split(" ")[0])) == carried


# what comes over the line to the build host


def archive(*members: tuple[bytes, bytes | tarfile.TarInfo]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", errors="surrogateescape") as tar:
        for name, content in members:
            member = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo()
            member.name = os.fsdecode(name)
            data = b"" if isinstance(content, tarfile.TarInfo) else content
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return file.getvalue()


def special(kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo()
    member.type, member.linkname = kind, target
    return member


def unpack(folder: Path, tar: bytes) -> subprocess.CompletedProcess[bytes]:
    folder.mkdir(mode=0o700)
    os.chown(folder, USER, USER)
    argv = [sys.executable, str(script("unpack.py")), str(USER), f"source={folder}"]
    return subprocess.run(argv, input=tar, capture_output=True, check=False)


@rooted
def test_names_of_any_bytes_arrive_and_belong_to_the_app(tmp_path: Path) -> None:
    names = (b"a b/c\nd", b"caf\xe9", "ünï".encode(), b"-rf", b"l" * 150 + b"/" + b"m" * 150)
    done = unpack(tmp_path / "app", archive(*((b"source/" + name, name) for name in names)))
    assert done.returncode == 0, done.stderr
    for name in names:
        path = os.path.join(os.fsencode(tmp_path), b"app", name)
        with open(path, "rb") as file:
            assert file.read() == name
        assert os.stat(path).st_uid == USER


@rooted
@pytest.mark.parametrize(
    "members",
    [
        [(b"source/../evil", b"x")],
        [(b"/etc/evil", b"x")],
        [(b"other/evil", b"x")],
        [(b"source/dev", special(tarfile.CHRTYPE))],
        [(b"source/fifo", special(tarfile.FIFOTYPE))],
        [(b"source/hard", special(tarfile.LNKTYPE, "/etc/passwd"))],
    ],
)
def test_what_has_no_place_in_a_slug_is_refused(tmp_path: Path, members: list[Any]) -> None:
    assert unpack(tmp_path / "app", archive(*members)).returncode == 2
    assert not (tmp_path / "evil").exists()


@rooted
def test_no_link_leads_out_of_the_folder(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    done = unpack(
        tmp_path / "app",
        archive((b"source/l", special(tarfile.SYMTYPE, str(outside))), (b"source/l/evil", b"x")),
    )
    assert done.returncode == 25
    assert list(outside.iterdir()) == []


@rooted
@pytest.mark.parametrize("kept", [512, 1024, 1536, 2048])
def test_a_line_that_breaks_between_two_files_does_not_pass_for_the_end(tmp_path: Path, kept: int) -> None:
    whole = archive((b"source/a", b"a"), (b"source/b", b"b"))
    assert unpack(tmp_path / "cut", whole[:kept]).returncode in (2, 25)
    assert unpack(tmp_path / "whole", whole).returncode == 0


# the build


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A build host's folders, with a stand-in for the one-off dyno."""
    module, home = loaded("slug-build.py"), tmp_path / "home"
    monkeypatch.setattr(module, "HOME", home)
    monkeypatch.setattr(module, "RUN", tmp_path / "run")
    (home / "bin").mkdir(parents=True)
    for place in ("unpack", "slug-relay"):
        shutil.copy(script(f"{place}.py"), home / "bin" / place)
        (home / "bin" / place).chmod(0o755)
    app = home / "apps/hello"
    job = module.Job("hello", "ab12", USER - 1000, 0, {})

    def build(dyno: str, tar: bytes) -> None:
        (home / "bin/dyno-once").write_text(
            f"#!/bin/sh\ncat >{tmp_path}/spec\ncd {app}/build || exit 9\n{dyno}\n"
        )
        (home / "bin/dyno-once").chmod(0o755)
        with open(tmp_path / "tar", "wb") as file:
            file.write(tar)
        with open(tmp_path / "tar") as file, monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", file)
            saved = os.dup(0)
            os.dup2(file.fileno(), 0)
            try:
                module.build(job)
            finally:
                os.dup2(saved, 0)
                os.close(saved)
                module.sweep(job)

    return SimpleNamespace(module=module, app=app, build=build, run=tmp_path / "run", spec=tmp_path / "spec")


INPUT = {
    "stack": "debian-12",
    "definition": "0123456789ab",
    "image": "debian-12.x.build",
    "buildpacks": ["apt", "python"],
    "hidden": ["KEY"],
    "commit": "60a874b",
    "address": "10.213.255.254",
    "memory": 2560,
    "pids": 4096,
    "timeout": 900,
    "env": {"STACK": "debian-12"},
}
RELEASE = "---\ndefault_process_types:\n  worker: python w.py\n"
COMPILED = f"""
echo two >slug/app/made
cat >result/release <<E\n{RELEASE}E
echo web: run >result/procfile
"""


def source(**changes: Any) -> bytes:
    document = json.dumps(INPUT | changes).encode()
    env = (
        (b"env/KEY", b"hunter2"),
        (b"env/PLAIN", b"public"),
        (b"env/TINY", b"abc"),
        (b"env/LONG", b"hunter2/x"),
    )
    return archive((b"source/app.py", b"1"), *env, (b"build.json", document))


SOURCE = source()


@rooted
def test_a_slug_is_whole_under_its_name(host: SimpleNamespace) -> None:
    host.build(COMPILED, SOURCE)
    slug = host.app / "slugs/ab12"
    assert (slug / "app/made").read_text() == "two\n"
    assert (slug / "app/app.py").stat().st_uid == USER
    record = json.loads((slug / ".slug.json").read_text())
    assert record.pop("size") > 0
    told = {key: INPUT[key] for key in ("stack", "definition", "buildpacks", "commit")}
    assert record == told | {"release": RELEASE, "procfile": "web: run\n"}
    assert read_slug("ab12", record).processes == {"web": "run", "worker": "python w.py"}


@rooted
def test_a_build_runs_in_a_dyno_with_its_folders_and_leaves_no_config_vars(host: SimpleNamespace) -> None:
    host.build(COMPILED, SOURCE)
    spec = json.loads(host.spec.read_text())
    assert {bind["target"] for bind in spec["binds"]} >= {"/app", "/tmp/cache", "/tmp/env", "/tmp/buildpacks"}
    assert spec["timeout"] == 900
    assert spec["command"] == ["/tmp/slug-compile", "apt", "python"]
    assert "hunter2" not in host.spec.read_text()
    assert not (host.run / "build/hello").exists()
    assert sorted(path.name for path in host.app.iterdir()) == ["cache", "cache.stack", "slugs"]


@rooted
@pytest.mark.parametrize(
    ("dyno", "status"),
    [("exit 20", 20), ("exit 21", 21), ("exit 124", 22), ("exit 137", 24), ("exit 143", 26), ("exit 1", 25)],
)
def test_a_build_that_fails_says_how_and_leaves_what_was(
    host: SimpleNamespace, dyno: str, status: int
) -> None:
    with pytest.raises(host.module.Failed) as caught:
        host.build(dyno, SOURCE)
    assert caught.value.args[0] == status
    assert sorted(path.name for path in host.app.iterdir()) == ["cache", "cache.stack"]


@rooted
def test_a_slug_that_is_too_large_is_not_kept(host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host.module, "LARGEST", 1000)
    with pytest.raises(host.module.Failed) as caught:
        host.build(COMPILED + "head -c 5000 /dev/urandom >slug/app/large", SOURCE)
    assert caught.value.args[0] == 23
    assert not (host.app / "slugs").exists()


@rooted
def test_a_link_in_place_of_a_result_leads_nowhere(host: SimpleNamespace) -> None:
    with pytest.raises(OSError, match="symbolic"):
        host.build(COMPILED + "ln -sf /etc/passwd result/release", SOURCE)


@rooted
def test_a_slug_that_is_there_is_not_built_again(host: SimpleNamespace) -> None:
    host.build(COMPILED, SOURCE)
    host.build("exit 21", SOURCE)
    assert (host.app / "slugs/ab12/app/made").exists()


@rooted
def test_a_log_is_kept_and_shows_no_secret(host: SimpleNamespace, capfd: pytest.CaptureFixture[str]) -> None:
    said = COMPILED + "echo it is hunter2/x, public, abc; echo and hunter2 >&2; printf end"
    host.build(said, source(hidden=["KEY", "LONG", "TINY"]))
    log = (host.app / "slugs/ab12/.build.log").read_text()
    assert log == "it is (secret), public, abc\nand (secret)\nend"
    assert log in capfd.readouterr().out


@rooted
def test_a_build_that_fills_the_disk_is_stopped(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    large, pause = host.app / "build/slug/app/large", time.sleep
    monkeypatch.setattr(host.module, "time", SimpleNamespace(sleep=lambda _: pause(0.01)))
    usage = SimpleNamespace(rmtree=shutil.rmtree)
    usage.disk_usage = lambda _: SimpleNamespace(free=0 if large.exists() else host.module.SPARE + 1)
    monkeypatch.setattr(host.module, "shutil", usage)
    with pytest.raises(host.module.Failed) as caught:
        host.build(
            "trap 'exit 143' TERM; touch slug/app/large; for n in $(seq 99); do sleep 0.05; done", SOURCE
        )
    assert caught.value.args[0] == 26
    assert not (host.app / "slugs").exists()


@rooted
def test_a_cache_is_for_one_stack(host: SimpleNamespace) -> None:
    for stack, kept in (("debian-12", False), ("debian-12", True), ("debian-13", False)):
        shutil.rmtree(host.app / "slugs", ignore_errors=True)
        host.build(COMPILED + "ls ../cache >slug/app/found; touch ../cache/kept", source(stack=stack))
        assert (host.app / "slugs/ab12/app/found").read_text() == "kept\n" * kept


# buildpacks in the dyno


@pytest.fixture
def inside(tmp_path: Path) -> SimpleNamespace:
    """slug-compile with the dyno's folders in a temporary place."""
    text = script("slug-compile.sh").read_text().replace("/tmp/", f"{tmp_path}/")
    (tmp_path / "slug-compile").write_text(text.replace(" /app", f" {tmp_path}/app"))
    for folder in ("app", "cache", "env", "result", "buildpacks"):
        (tmp_path / folder).mkdir()

    def pack(name: str, **scripts: str) -> None:
        (tmp_path / "buildpacks" / name / "bin").mkdir(parents=True)
        for part in ("detect", "compile", "release"):
            path = tmp_path / "buildpacks" / name / "bin" / part
            path.write_text(f"#!/bin/sh\n{scripts.get(part, 'true')}\n")
            path.chmod(0o755)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = ["bash", str(tmp_path / "slug-compile"), *arguments]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    return SimpleNamespace(pack=pack, run=run, result=tmp_path / "result", packs=tmp_path / "buildpacks")


def test_buildpacks_run_in_order_to_the_first_that_does_not_fit(inside: SimpleNamespace) -> None:
    inside.pack("yes", detect="echo Yes", compile="echo first")
    inside.pack("no", detect="echo Because; exit 1")
    inside.pack("late", compile="echo never")
    done = inside.run("yes", "no", "late")
    assert done.returncode == 20
    assert done.stdout.splitlines() == [
        "-----> Yes app detected",
        "-----> Using buildpack: yes",
        "first",
        " !     App not compatible with buildpack: no",
        " !     Because",
    ]


def test_a_buildpack_needs_no_release(inside: SimpleNamespace) -> None:
    inside.pack("one", release="echo one")
    inside.pack("two")
    (inside.packs / "two/bin/release").unlink()
    assert inside.run("one", "two").returncode == 0
    assert (inside.result / "release").read_text() == ""


def test_a_buildpack_may_write_the_procfile(inside: SimpleNamespace) -> None:
    inside.pack("one")
    assert inside.run("one").returncode == 0
    assert (inside.result / "procfile").read_text() == ""
    inside.pack("two", compile='echo web: x >"$1/Procfile"')
    assert inside.run("two").returncode == 0
    assert (inside.result / "procfile").read_text() == "web: x\n"


def test_later_buildpacks_see_what_earlier_ones_export_and_the_last_decides(inside: SimpleNamespace) -> None:
    inside.pack("one", compile=f"echo 'export LEFT=here' >{inside.packs}/one/export", release="echo one")
    inside.pack("two", compile='echo "got $LEFT"', release='echo "two $LEFT"')
    done = inside.run("one", "two")
    assert "got here" in done.stdout
    assert (inside.result / "release").read_text() == "two \n"


@pytest.mark.parametrize(
    ("scripts", "status"),
    [({}, 0), ({"detect": "exit 1"}, 20), ({"compile": "exit 3"}, 21), ({"release": "exit 3"}, 21)],
)
def test_a_build_ends_with_our_numbers(inside: SimpleNamespace, scripts: dict[str, str], status: int) -> None:
    inside.pack("one", **scripts)
    assert inside.run("one").returncode == status


# from the build host to the others


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A server over one slug and one image, and a receiver's empty folder."""
    share, fetch = loaded("share.py"), loaded("fetch.py")
    here, there = tmp_path / "here", tmp_path / "there"
    there.mkdir()
    (here / "apps/hello/slugs/ab12/app/a b").mkdir(parents=True)
    (here / "apps/hello/slugs/ab12/.slug.json").write_text("{}")
    (here / "apps/hello/slugs/ab12/app/a b/noise").write_bytes(os.urandom(3 << 20))
    (here / "apps/hello/slugs/ab12/app/run").symlink_to("/etc/passwd")
    (here / "stacks/deb.ab12.run/etc").mkdir(parents=True)
    monkeypatch.setattr(share, "HOME", here)
    monkeypatch.setattr(fetch, "HOME", there)
    monkeypatch.setattr(fetch, "PATIENCE", 1)
    server = share.Server("127.0.0.1", 0, KEY)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()

    def get(item: str, user: int = USER, key: str = KEY, into: str = "") -> Path:
        fetch.fetch(server.server_address[:2], item, into or item, user, key)
        return there / (into or item)

    yield SimpleNamespace(share=share, fetch=fetch, server=server, get=get, here=here, there=there)
    server.shutdown()
    server.server_close()
    thread.join()


SLUG = "apps/hello/slugs/ab12"


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if not path.is_dir() or path.suffix)


@rooted
def test_a_slug_arrives_to_the_byte_and_belongs_to_the_app_of_this_host(fleet: SimpleNamespace) -> None:
    got = fleet.get(SLUG)
    assert (got / "app/a b/noise").read_bytes() == (fleet.here / SLUG / "app/a b/noise").read_bytes()
    assert {path.lstat().st_uid for path in (got / "app").rglob("*")} == {USER}
    assert os.readlink(got / "app/run") == "/etc/passwd"
    assert [path.stat().st_uid for path in (got, got / ".slug.json")] == [0, 0]
    assert fleet.get(SLUG) == got


@rooted
def test_a_slug_of_another_app_arrives_under_the_name_of_this_one(fleet: SimpleNamespace) -> None:
    got = fleet.get(SLUG, into="apps/other/slugs/ab12")
    assert (got / "app/a b/noise").exists()
    assert not (fleet.there / SLUG).exists()


@pytest.mark.parametrize(("into", "words"), [("", ()), ("apps/other/slugs/ab12", ("apps/other/slugs/ab12",))])
def test_who_fetches_is_told_all_in_its_order(into: str, words: tuple[str, ...]) -> None:
    order = orders.order(Fetch(SLUG, "one", "192.0.2.1", USER, into), 65)
    assert order["argv"][1:] == ("192.0.2.1", str(orders.SHARE_PORT), SLUG, str(USER), *words)


@pytest.mark.parametrize("into", ["apps/other/releases/v1", "../evil", "apps/other/slugs/ab12/.."])
def test_a_name_that_is_none_is_refused(fleet: SimpleNamespace, into: str) -> None:
    with pytest.raises(ValueError, match=SLUG):
        fleet.fetch.main("127.0.0.1", "1", SLUG, "0", into)


@rooted
def test_an_image_keeps_its_owners(fleet: SimpleNamespace) -> None:
    os.chown(fleet.here / "stacks/deb.ab12.run/etc", 42, 43)
    seen = (fleet.get("stacks/deb.ab12.run", 0) / "etc").stat()
    assert (seen.st_uid, seen.st_gid) == (42, 43)


@rooted
@pytest.mark.parametrize(("item", "key", "status"), [(SLUG, OTHER_KEY, 31), ("apps/hello/slugs/ff", KEY, 32)])
def test_what_is_refused_leaves_nothing(fleet: SimpleNamespace, item: str, key: str, status: int) -> None:
    with pytest.raises(fleet.fetch.Failed) as caught:
        fleet.get(item, key=key)
    assert caught.value.args[0] == status
    assert left(fleet.there) == []


@rooted
def test_nothing_outside_the_shared_folders_is_served(fleet: SimpleNamespace) -> None:
    (fleet.here / "apps/hello/releases").mkdir()
    for item in ("apps/hello/releases", "apps/hello/slugs/../releases", "stacks"):
        with pytest.raises(fleet.fetch.Failed) as caught:
            fleet.get(item)
        assert caught.value.args[0] == 32


@rooted
def test_what_was_altered_on_the_way_is_never_laid_out(
    fleet: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, _ = fleet.server.packed(f"/{SLUG}")
    file.seek(-1, os.SEEK_END)
    last = file.read(1)
    file.seek(-1, os.SEEK_END)
    file.write(bytes([last[0] ^ 1]))
    file.flush()
    monkeypatch.setattr(fleet.fetch, "unpack", lambda *_: pytest.fail("laid out"))
    with pytest.raises(fleet.fetch.Failed) as caught:
        fleet.get(SLUG)
    assert caught.value.args[0] == 33
    assert left(fleet.there) == []


def broken_once(
    fleet: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object]
) -> list[int]:
    """Where each answer begins of a server whose first breaks after 1 MB."""
    starts: list[int] = []

    def copy(source: Any, sink: Any, size: int) -> None:
        starts.append(source.tell())
        if len(starts) == 1:
            sink.write(source.read(1 << 20))
            meanwhile()
            raise ConnectionResetError
        shutil.copyfileobj(source, sink, size)

    monkeypatch.setattr(fleet.share, "shutil", SimpleNamespace(copyfileobj=copy))
    return starts


@rooted
def test_a_line_that_breaks_is_taken_up_where_it_broke(
    fleet: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = broken_once(fleet, monkeypatch, lambda: None)
    assert (fleet.get(SLUG) / ".slug.json").exists()
    assert starts == [0, 1 << 20]


@rooted
def test_a_server_that_packed_anew_is_asked_from_the_start(
    fleet: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = broken_once(fleet, monkeypatch, lambda: fleet.server.packs.clear())
    assert (fleet.get(SLUG) / ".slug.json").exists()
    assert starts[-1] == 0


@rooted
def test_what_cannot_be_laid_out_leaves_nothing_and_does_not_hang(
    fleet: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    full = tmp_path / "tools"
    full.mkdir()
    (full / "tar").write_text("#!/bin/sh\nwhile echo 'tar: x: No space left on device' >&2; do :; done\n")
    (full / "tar").chmod(0o755)
    fleet.server.packed(f"/{SLUG}")
    monkeypatch.setenv("PATH", f"{full}:{os.environ['PATH']}")
    with pytest.raises(fleet.fetch.Failed, match="No space left") as caught:
        fleet.get(SLUG, user=0)
    assert caught.value.args[0] == 34
    assert left(fleet.there) == []


@rooted
def test_a_signal_while_it_is_laid_out_leaves_nothing(
    fleet: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slow = tmp_path / "tools"
    slow.mkdir()
    (slow / "tar").write_text("#!/bin/sh\nwhile :; do : >$$.$((n += 1)); done\n")
    (slow / "tar").chmod(0o755)
    fleet.server.packed(f"/{SLUG}")
    monkeypatch.setenv("PATH", f"{slow}:{os.environ['PATH']}")
    before = signal.signal(signal.SIGALRM, fleet.fetch.stopped)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(SystemExit):
            fleet.get(SLUG, user=0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert left(fleet.there) == []


@rooted
def test_nobody_there_is_said_after_a_while(fleet: SimpleNamespace) -> None:
    with pytest.raises(fleet.fetch.Failed) as caught:
        fleet.fetch.fetch(("127.0.0.1", 1), SLUG, SLUG, USER, KEY)
    assert caught.value.args[0] == 30
    assert left(fleet.there) == []


@rooted
def test_what_goes_over_the_line_tells_nothing(fleet: SimpleNamespace) -> None:
    (fleet.here / "apps/hello/slugs/ab12/app/plain").write_text("hunter2" * 1000)
    file, _ = fleet.server.packed(f"/{SLUG}")
    file.seek(0)
    sent = file.read()
    assert b"hunter2" not in sent
    plain = subprocess.run(["zstd", "-d", "-c"], input=sent, capture_output=True, check=False)
    assert plain.returncode != 0


def test_both_ends_derive_the_same() -> None:
    share, fetch = loaded("share.py"), loaded("fetch.py")
    assert share.mac(KEY, "/a") == fetch.mac(KEY, "/a") != share.mac(OTHER_KEY, "/a")
    assert share.mac(KEY, "/a", io.BytesIO(b"x")) == fetch.mac(KEY, "/a", io.BytesIO(b"x"))
    assert share.mac(KEY, "/a", io.BytesIO(b"x")) != share.mac(KEY, "/b", io.BytesIO(b"x"))
    assert len({share.derived(KEY, use) for use in ("cipher", "mac", "request")}) == 3


def test_a_line_without_an_end_is_handed_on_in_parts_and_no_secret_in_it_is_cut(tmp_path: Path) -> None:
    relay = loaded("slug-relay.py")
    lines = b"x" * (relay.PART - 3) + b"hunter2" + b"y" * relay.PART + b"\nhunter2 again\n"
    said = list(relay.parts(io.BytesIO(lines), [b"hunter2"]))
    assert b"".join(said) == lines.replace(b"hunter2", b"(secret)")
    assert max(map(len, said)) < 2 * relay.PART
    assert len(said) > 3
