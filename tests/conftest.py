"""What all tests share: `--update` writes expected texts anew, and who deploys is always the same."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from deployer.engine import decision
from deployer.remote import holding

# a busy machine makes no example wrong
settings.register_profile("patient", settings(), deadline=None)
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update", action="store_true", help="write the expected texts of cases and goldens anew"
    )


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update"))


@pytest.fixture(autouse=True, scope="session")
def _one_deployer() -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(holding, "who", lambda: "ada@laptop")
    patch.setattr(decision, "now", lambda: "2026-01-02T03:04:05+00:00")


@pytest.fixture(autouse=True, scope="session")
def _journals_of_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Commands that tests run leave their journals among the tests' own files."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
