"""What a host says in place of its facts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from deployer.problems import Problem
from deployer.remote import observe
from deployer.remote.channel import Ended


@pytest.mark.parametrize(
    "said", [b"", b"This account is not available.", b"[]", b"42", b"null", b'{"version": 1}']
)
def test_what_is_no_facts_is_told_as_it_was_said(said: bytes) -> None:
    links: Any = SimpleNamespace(hosts={"box-1": SimpleNamespace(user="admin", address="192.0.2.1")})
    found = observe._read(links, "box-1", Ended(0, said, b""))
    assert isinstance(found, Problem)
    assert found.summary == "box-1 could not be looked at (exit status 0)"
    assert said.decode() in found.detail
