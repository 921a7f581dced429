"""The Node.js buildpack against a registry on this machine, whose Node.js and npm are shell scripts that tell what they did."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

PACKS = Path(__file__).parents[2] / "deployer/buildpacks"
PACK = PACKS / "nodejs"
NODE = f"node-linux-{'arm64' if os.uname().machine == 'aarch64' else 'x64'}"
# stands for lib/resolve.js, too: an exact version, else the newest of a table
FAKE_NODE = """#!/bin/sh
case "$1" in
*/resolve.js)
    case "$4" in
    24.x | 24 | "<11" | "<12") case "$3" in *npm.json) echo 11.2.0 ;; *) echo 24.9.0 ;; esac ;;
    [0-9]*.*.*) echo "$4" ;;
    nonsense) exit 3 ;;
    *) echo "24.9.0, 22.3.0"; exit 4 ;;
    esac ;;
*) echo "v$(basename "$0")" ;;
esac
"""
FAKE_NPM = """#!/bin/sh
echo "npm $*" | tee -a "$SEEN"
case "$1" in
ci | install) mkdir -p node_modules/dependency && echo 1 >node_modules/dependency/index.js ;;
run) ! grep -q "\\"$2\\": \\"false\\"" package.json ;;
esac
"""


def archive(files: dict[str, str]) -> bytes:
    """A package as the registry has it."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size, info.mode = len(text), 0o755
            tar.addfile(info, io.BytesIO(text.encode()))
    return made.getvalue()


@pytest.fixture
def registry() -> Iterator[SimpleNamespace]:
    """A registry: `pages` by path; `asked` is what was asked for."""
    state = SimpleNamespace(pages={}, asked=[])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            body = state.pages.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}"

    def offer(name: str, versions: list[str], files: dict[str, str]) -> None:
        body = archive(files)
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(body).digest()).decode()
        found = {}
        for version in versions:
            path = f"/{name}/-/{version}.tgz"
            state.pages[path] = body
            # a registry that copies leaves the public address
            dist = {"tarball": f"https://registry.npmjs.org{path}", "integrity": integrity}
            found[version] = {"dist": dist}
        state.pages[f"/{name}"] = json.dumps({"versions": found}).encode()

    offer(NODE, ["22.3.0", "24.10.0-rc.1", "24.9.0", "24.8.0"], {"bin/node": FAKE_NODE, "LICENSE": "free"})
    offer(
        "npm",
        ["10.1.0", "11.2.0"],
        {
            "bin/npm-cli.js": FAKE_NPM,
            "bin/npx-cli.js": FAKE_NPM,
            "docs/x.md": "",
            "node_modules/semver/index.js": "",
        },
    )
    state.offer = offer
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def nodejs(tmp_path: Path, registry: SimpleNamespace) -> SimpleNamespace:
    """bin/compile on a package.json and other files."""
    shutil.copytree(PACKS / ".ours", tmp_path / "packs/.ours")
    shutil.copytree(PACK, tmp_path / "packs/nodejs")
    app, cache, env = (tmp_path / name for name in ("app", "cache", "env"))
    seen = tmp_path / "seen"

    def compiled(
        manifest: object = None, config: dict[str, str] | None = None, **files: str
    ) -> SimpleNamespace:
        for folder in (app, env):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (app, cache, env):
            folder.mkdir(exist_ok=True)
        text = manifest if isinstance(manifest, str) else json.dumps(manifest or {})
        for name, body in {"package_dot_json": text, **files}.items():
            path = app / name.replace("__", "/").replace("_dot_", ".").replace("_dash_", "-")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body)
        for name, value in {"NPM_CONFIG_REGISTRY": registry.url, **(config or {})}.items():
            (env / name).write_text(value)
        seen.write_text("")
        quiet = {
            "PATH": os.environ["PATH"],
            "STACK": "debian-12",
            "SEEN": str(seen),
            "no_proxy": "127.0.0.1",
            "HOME": str(app),
        }
        argv = [str(tmp_path / "packs/nodejs/bin/compile"), str(app), str(cache), str(env)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=quiet)
        return SimpleNamespace(
            status=done.returncode, said=done.stdout + done.stderr, npm=seen.read_text().splitlines()
        )

    return SimpleNamespace(compiled=compiled, app=app, cache=cache, pack=tmp_path / "packs/nodejs")


CI = "npm ci --include=dev --no-audit --no-fund"
LOCKED = {"package_dash_lock_dot_json": "{}"}


def test_an_app_gets_node_npm_and_what_the_lockfile_says(nodejs: SimpleNamespace) -> None:
    done = nodejs.compiled({"scripts": {"start": "x"}}, **LOCKED)
    assert done.status == 0, done.said
    assert "Node.js 24.9.0 (engines.node: not given, so the newest LTS)" in done.said
    assert done.npm == [CI]
    node = nodejs.app / ".heroku/node"
    assert (node / "bin/node").exists() and (node / "bin/npm").resolve().name == "npm-cli.js"
    assert not (node / "lib/node_modules/npm/docs").exists()
    assert {path.name for path in (nodejs.app / ".profile.d").iterdir()} == {
        "nodejs.sh",
        "WEB_CONCURRENCY.sh",
    }
    assert f"{node}/bin" in (nodejs.pack / "export").read_text()


def test_a_rebuild_downloads_nothing_and_installs_nothing(
    nodejs: SimpleNamespace, registry: SimpleNamespace
) -> None:
    nodejs.compiled({}, **LOCKED)
    registry.asked.clear()
    again = nodejs.compiled({}, **LOCKED)
    assert "node_modules from the cache" in again.said
    assert again.npm == []
    assert not [path for path in registry.asked if path.endswith(".tgz")]
    assert (nodejs.app / "node_modules/dependency/index.js").exists()


@pytest.mark.parametrize(
    ("manifest", "config", "files"),
    [
        ({}, {}, {"package_dash_lock_dot_json": '{"other": 1}'}),
        ({}, {"ANY": "changed"}, LOCKED),
        ({"engines": {"node": "22.3.0"}}, {}, LOCKED),
        ({}, {}, {"_dot_npmrc": "x=1", **LOCKED}),
    ],
)
def test_whatever_could_change_the_dependencies_has_them_installed(
    nodejs: SimpleNamespace, manifest: object, config: dict[str, str], files: dict[str, str]
) -> None:
    nodejs.compiled({}, **LOCKED)
    assert nodejs.compiled(manifest, config, **files).npm == [CI]


@pytest.mark.parametrize(
    ("manifest", "config"),
    [
        ({}, {"NODE_MODULES_CACHE": "false"}),
        ({"scripts": {"postinstall": "x"}}, {}),
        ({"dependencies": {"near": "file:near"}}, {}),
        ({"workspaces": ["a"]}, {"NODE_ENV": "test"}),
    ],
)
def test_what_depends_on_more_is_always_installed(
    nodejs: SimpleNamespace, manifest: object, config: dict[str, str]
) -> None:
    assert [nodejs.compiled(manifest, config, **LOCKED).npm for _ in "12"] == [[CI], [CI]]


def test_scripts_run_in_herokus_order_and_development_goes_at_the_end(nodejs: SimpleNamespace) -> None:
    names = ("build", "heroku-cleanup", "heroku-postbuild", "heroku-prebuild")
    manifest = {"scripts": dict.fromkeys(names, "true"), "devDependencies": {"a": "1"}}
    assert nodejs.compiled(manifest, **LOCKED).npm == [
        "npm run heroku-prebuild",
        CI,
        "npm run heroku-postbuild",
        "npm prune --no-audit --no-fund",
        "npm run heroku-cleanup",
    ]


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ({"NODE_ENV": "staging"}, [CI]),
        ({"NPM_CONFIG_PRODUCTION": "false"}, [CI]),
        ({"NPM_CONFIG_PRODUCTION": "true"}, [CI.replace("include", "omit")]),
        ({"USE_NPM_INSTALL": "true"}, [CI.replace("ci", "install"), "npm prune --no-audit --no-fund"]),
    ],
)
def test_config_vars_say_what_stays(
    nodejs: SimpleNamespace, config: dict[str, str], wanted: list[str]
) -> None:
    assert nodejs.compiled({"devDependencies": {"a": "1"}}, config, **LOCKED).npm == wanted


def test_without_a_lockfile_it_warns_and_installs(nodejs: SimpleNamespace) -> None:
    done = nodejs.compiled()
    assert "No lockfile" in done.said
    assert done.npm == ["npm install --include=dev --no-audit --no-fund"]


def test_node_modules_of_the_source_are_built(nodejs: SimpleNamespace) -> None:
    done = nodejs.compiled({}, node_modules__mine__index_dot_js="", **LOCKED)
    assert done.npm == [CI.replace("ci", "rebuild")]


@pytest.mark.parametrize(
    ("manifest", "files", "told"),
    [
        ("{", {}, "package.json cannot be read"),
        ("[]", {}, "package.json cannot be read"),
        (
            {},
            {"yarn_dot_lock": "", **LOCKED},
            "Two lockfiles say what to install: package-lock.json yarn.lock",
        ),
        ({"packageManager": "yarn@4.1.0"}, LOCKED, "names yarn as its packageManager"),
        ({"packageManager": "bun@1.0.0"}, {}, "there are npm, yarn and pnpm"),
        ({}, {"_dot_heroku__node__x": ""}, "git rm -r --cached .heroku"),
        ({"engines": {"node": "nonsense"}}, {}, "no version range"),
        ({"engines": {"node": "99"}}, {}, "There are: 24.9.0, 22.3.0"),
        ({"scripts": {"build": "false"}}, {}, "The script build of package.json failed"),
    ],
)
def test_what_cannot_work_is_said_with_what_to_do(
    nodejs: SimpleNamespace, manifest: object, files: dict[str, str], told: str
) -> None:
    done = nodejs.compiled(manifest, **files)
    assert done.status == 1
    assert told in done.said
    assert "Next: " in done.said


def test_a_download_that_is_not_what_was_promised_is_not_used(
    nodejs: SimpleNamespace, registry: SimpleNamespace
) -> None:
    registry.pages[f"/{NODE}/-/24.9.0.tgz"] = archive({"bin/node": "#!/bin/sh\necho evil\n"})
    done = nodejs.compiled()
    assert done.status == 1
    assert "its sha512 is another" in done.said
    assert not list((nodejs.cache / "nodejs/packages").rglob("node"))


def test_no_registry_is_said(nodejs: SimpleNamespace, registry: SimpleNamespace) -> None:
    registry.pages.clear()
    done = nodejs.compiled()
    assert done.status == 1
    assert "NPM_CONFIG_REGISTRY" in done.said
    assert registry.url not in done.said


def run(script: str, folder: Path) -> SimpleNamespace:
    done = subprocess.run([PACK / "bin" / script, folder], capture_output=True, text=True, check=False)
    return SimpleNamespace(status=done.returncode, said=done.stdout)


@pytest.mark.parametrize(
    ("name", "wanted"), [("package.json", (0, "Node.js\n")), ("node_modules", (1, "")), ("app.js", (1, ""))]
)
def test_an_app_is_told_by_its_package_json(tmp_path: Path, name: str, wanted: tuple[int, str]) -> None:
    (tmp_path / name).touch()
    done = run("detect", tmp_path)
    assert (done.status, done.said) == wanted


@pytest.mark.parametrize(
    ("files", "starts"),
    [
        ({"package.json": '{"scripts": {"start": "node ."}}'}, True),
        ({"package.json": '{\n  "scripts" : {\n "a": "} \\" {",\n\t"start"\n: "x"}\n}'}, True),
        ({"package.json": '{"scripts": {"build": "start"}, "x": {"start": 1}}'}, False),
        ({"package.json": '{"a": {"scripts": {"start": "x"}}, "scripts": {"start:dev": "x"}}'}, False),
        ({"package.json": '{"start": "scripts"}'}, False),
        ({"package.json": "{}", "server.js": ""}, True),
        ({"package.json": '{"scripts": {"start": "x"}}', "Procfile": "mcp-x: y\n"}, False),
    ],
)
def test_npm_start_is_the_default_where_there_is_something_to_start(
    tmp_path: Path, files: dict[str, str], starts: bool
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    wanted = "default_process_types:\n  web: npm start\n" if starts else "default_process_types: {}\n"
    assert run("release", tmp_path).said == f"---\n{wanted}"


@pytest.mark.parametrize(
    ("limit", "given", "wanted"),
    [
        (512, {}, "512 512 1"),
        (2560, {}, "2560 512 5"),
        (14336, {"WEB_MEMORY": "1024"}, "14336 1024 14"),
        (30720, {}, "30720 2048 15"),
        (1 << 40, {}, "129024 2048 63"),
        (None, {}, "512 512 1"),
        (1024, {"WEB_CONCURRENCY": "7"}, "1024 512 7"),
    ],
)
def test_web_processes_fit_the_dyno(
    tmp_path: Path, limit: int | None, given: dict[str, str], wanted: str
) -> None:
    if limit:
        (tmp_path / "memory").mkdir()
        (tmp_path / "memory/memory.limit_in_bytes").write_text(f"{limit << 20}\n")
    text = (PACK / "profile.d/WEB_CONCURRENCY.sh").read_text().replace("/sys/fs/cgroup", str(tmp_path))
    ask = f'{text}\necho "$MEMORY_AVAILABLE $WEB_MEMORY $WEB_CONCURRENCY"\n'
    env = {"PATH": os.environ["PATH"], **given}
    done = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=True, env=env)
    assert done.stdout == f"{wanted}\n"


def test_a_dyno_finds_node_and_what_the_user_set_stays() -> None:
    ask = f'. {PACK}/profile.d/nodejs.sh; echo "$PATH|$NODE_ENV|$NODE_HOME"'
    env = {"PATH": "/bin", "HOME": "/app", "NODE_ENV": "staging"}
    done = subprocess.run(["/bin/bash", "-c", ask], capture_output=True, text=True, check=True, env=env)
    assert (
        done.stdout
        == "/app/.heroku/node/bin:/bin:/app/bin:/app/node_modules/.bin|staging|/app/.heroku/node\n"
    )
