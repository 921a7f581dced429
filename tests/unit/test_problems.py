"""Errors and their exit codes: the table that scripts rely on."""

from __future__ import annotations

import inspect

import pytest

from deployer import problems
from deployer.problems import DeployerError, Problem, Where

CODES = {
    "DeployerError": 1,
    "InputError": 1,
    "PartlyAppliedError": 3,
    "UnreachableError": 4,
    "StalePlanError": 5,
    "LockedError": 6,
    "UnsettledError": 7,
    "ReleaseFailedError": 8,
    "StoppedError": 130,
}


def test_the_table_of_exit_codes() -> None:
    errors = inspect.getmembers(
        problems, lambda member: inspect.isclass(member) and issubclass(member, Exception)
    )
    left = {"ReaderLeftError"}
    assert {name: error.exit_code for name, error in errors if name not in left} == CODES
    assert (problems.CHANGES_PENDING, problems.INTERRUPTED) == (2, 130)


@pytest.mark.parametrize(
    "given", ["it broke", Problem("it broke"), [Problem("it broke")]], ids=["text", "one", "many"]
)
def test_an_error_holds_problems_however_it_is_made(given: str | Problem | list[Problem]) -> None:
    assert DeployerError(given).problems == (Problem("it broke"),)


def test_an_error_says_all_of_them() -> None:
    assert str(DeployerError(Problem(f"problem {n}") for n in (1, 2))) == "problem 1; problem 2"


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (Where("app.json", 3, 5), "app.json:3:5"),
        (Where("app.json", 3), "app.json:3"),
        (Where("one/192.0.2.1"), "one/192.0.2.1"),
    ],
    ids=str,
)
def test_a_place_is_what_editors_jump_to(where: Where, said: str) -> None:
    assert str(where) == said
