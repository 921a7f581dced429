"""A practice fleet for each worker of the run, and the example app on it; each test begins where the plan is empty.

`shop` is the example on the worker's fleet, `chaos` the campaign's app in its place, `app` a small one beside it.
Addresses are asked of `here`, never written down: each fleet has others.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import images
import practice
import pytest
import sharing
from here import LAB, ROOT, at
from watcher import Watcher, watching

HELLO = ROOT / "examples" / "hello"
CHAOS = Path(__file__).parent / "app_chaos"
WEBS = 2
"""Its web dynos, unless a test asks for more."""
SEED = os.environ.setdefault("CHAOS_SEED", os.urandom(4).hex())
"""Of all that the campaign leaves to chance; workers have it from their parent."""
SECRET = "zq7x-Ω-'quoted'-\"secret\"-7741"


def pytest_report_header() -> str:
    return f"CHAOS_SEED={SEED}"


@dataclass
class Shop:
    """An app's folder and the command line, as a user has them."""

    folder: Path
    at_rest: bool = field(default=False, init=False)
    """Its last act was to see an empty plan."""

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PLANTED": SECRET}

    def argv(self, *words: str) -> list[str]:
        self.at_rest = False
        return [str(Path(sys.executable).parent / "deploy"), *words, "-C", str(self.folder)]

    def deploy(self, *words: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        argv = self.argv(*words)
        done = subprocess.run(
            argv, capture_output=True, text=True, env=self.environment, check=False, timeout=900
        )
        assert code is None or done.returncode == code, (
            f"{argv} gave {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def apply(self, *words: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        return self.deploy("apply", "--yes", *words, code=code)

    def plan(self) -> dict[str, Any]:
        plan: dict[str, Any] = json.loads(self.deploy("plan", "--json").stdout)
        self.at_rest = not plan["changes"]
        return plan

    def changes(self) -> list[str]:
        """`action address: field field` of each change, for comparing whole."""
        rows = self.plan()["changes"]
        return [f"{c['action']} {c['address']}: {' '.join(f['name'] for f in c['fields'])}" for c in rows]

    def settle(self) -> None:
        """Apply, then demand an empty plan."""
        self.apply()
        assert self.plan()["changes"] == []

    def ps(self) -> list[dict[str, Any]]:
        return json.loads(self.deploy("ps", "--json").stdout)  # type: ignore[no-any-return]

    def ssh(self, host: str, script: str, check: bool = True) -> str:
        self.at_rest = False
        fleet = json.loads((self.folder / "fleet.json").read_text())
        address, ssh = fleet["hosts"][host]["address"], fleet["ssh"]
        argv = [
            "ssh",
            "-q",
            "-i",
            ssh["key"],
            "-o",
            f"UserKnownHostsFile={ssh['known_hosts']}",
            f"root@{address}",
            script,
        ]
        done = subprocess.run(
            argv, capture_output=True, text=True, check=False, timeout=120, stdin=subprocess.DEVNULL
        )
        assert not check or done.returncode == 0, f"{host}: {script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def get(self, router: str = "", path: str = "/", host: str = "") -> str:
        named = ["-H", f"Host: {host}"] if host else []
        argv = ["curl", "-sS", "--max-time", "10", *named, f"http://{router or at('box-1')}{path}"]
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20).stdout

    def edit(self, name: str, **changes: Any) -> None:
        path, self.at_rest = self.folder / name, False
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}, indent=2))


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def shop(
    request: pytest.FixtureRequest, run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """The example app, deployed once on a fleet of three fresh hosts that this worker has to itself."""
    if os.geteuid() != 0:
        pytest.skip("a practice fleet needs root")
    folder = tmp_path_factory.mktemp("hello") / "hello"
    shutil.copytree(HELLO, folder)
    with practice.fleet(LAB, folder, run, request.session) as ground:
        shop = Shop(folder)
        shop.edit("fleet.json", app="hello", config={"PLANTED": {"env": "PLANTED"}})
        with images.made_once(run, ground):
            shop.apply()
        yield shop


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in practice.ways_in():
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def chaos(shop: Shop) -> Shop:
    """The campaign's own app in place of the example, with checks and short drains."""
    shutil.copytree(CHAOS, shop.folder, dirs_exist_ok=True)
    own = {"health": {"path": "/healthz", "status": 200}, "rollout": {"watch": 1, "drain": 4}}
    shop.edit("fleet.json", config={"PLANTED": {"env": "PLANTED"}}, formation={}, **own)
    shop.settle()
    return shop


@pytest.fixture
def app(shop: Shop, tmp_path: Path) -> Iterator[Shop]:
    """A small app without a language of its own, gone afterwards."""
    from small import another

    folder = tmp_path / "small"
    folder.mkdir()
    made = another(shop, folder, "small")
    yield made
    made.deploy("destroy", "--confirm", "small")


@pytest.fixture(autouse=True, scope="module")
def new_file(request: pytest.FixtureRequest) -> None:
    """What the last file left behind it is looked at in any case."""
    if "shop" in request.fixturenames:
        request.getfixturevalue("shop").at_rest = False


@pytest.fixture(autouse=True)
def settled(shop: Shop) -> None:
    """Whatever the test before left undone is done first."""
    if not shop.at_rest and shop.plan()["changes"]:
        shop.settle()


@pytest.fixture
def watcher(chaos: Shop) -> Iterator[Watcher]:
    """Looks on at what holds at any time; finally no tool of a run lies about."""
    import left

    with watching("hello", floor=WEBS) as watcher:
        yield watcher
    assert left.tools() == {}


@pytest.fixture(autouse=True)
def watched(request: pytest.FixtureRequest) -> None:
    """No test of the campaign is without the watcher."""
    if "chaos" in request.fixturenames:
        request.getfixturevalue("watcher")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    live = [item for item in items if item.get_closest_marker("live")]
    for item in live:
        item.add_marker(pytest.mark.enable_socket)
    items[:] = [item for item in items if item not in set(live)] + sharing.longest_first(live)
