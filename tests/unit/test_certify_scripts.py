"""How routers agree on who asks the CA, what they tell each other, and how often they ask."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from certs import pair
from shipped import loaded, script

OLD, NEW = (pair("shop.example.com", days).chain for days in (2, 900))


@pytest.fixture
def certify(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script on the second of three routers, at the moment that certificates of tests are made for."""
    module = loaded("certify.py")
    clock = SimpleNamespace(now=1767323045.0, slept=0.0)

    def sleep(seconds: float) -> None:
        clock.slept += seconds

    names = {"time": lambda: clock.now, "monotonic": lambda: clock.slept, "sleep": sleep}
    monkeypatch.setattr(module, "time", SimpleNamespace(**names))
    module.clock = clock  # type: ignore[attr-defined]
    return module


def app(place: Path, me: str = "two") -> SimpleNamespace:
    routers = {"one": "192.0.2.1", "two": "192.0.2.2", "three": "192.0.2.3"}
    own: dict[str, Any] = {"name": "hello", "seal": "ab" * 32, "me": me, "routers": routers, "port": 1}
    rank = list(routers).index(me)
    file = lambda domain, kind: place / f"{domain}.{kind}"  # noqa: E731
    return SimpleNamespace(
        **own, rank=rank, domains={"shop.example.com": "listen 443;\n"}, shown=place, file=file
    )


def seen(certify: ModuleType, monkeypatch: pytest.MonkeyPatch, **answers: Any) -> list[str]:
    """What the other routers answer, and a CA that gives what it is asked for; who asked it."""
    asked: list[str] = []

    def ask(app: Any, router: str, domain: str) -> Any:
        found = answers.get(router)
        if found is None:
            raise OSError("no route")
        return found(certify.clock.slept) if callable(found) else found

    def ordered(app: Any, domain: str, state: Any) -> Any:
        asked.append(app.me)
        return {"pem": NEW, "failures": [], "said": ""}

    monkeypatch.setattr(certify, "ask", ask)
    monkeypatch.setattr(certify, "ordered", ordered)
    monkeypatch.setattr(certify, "show", lambda *words: None)
    return asked


def state(pem: str = "", failures: tuple[int, ...] = (), said: str = "", **more: Any) -> dict[str, Any]:
    return {"pem": pem, "failures": list(failures), "said": said, **more}


def settled(certify: ModuleType, place: Path, me: str = "two", by_timer: bool = False) -> dict[str, Any]:
    return certify.settle(app(place, me), "shop.example.com", by_timer, set())  # type: ignore[no-any-return]


def test_the_first_router_asks(certify: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = seen(certify, monkeypatch, two=(state(), 5), three=(state(), 5))
    assert settled(certify, tmp_path, "one")["pem"] == NEW
    assert asked == ["one"]


def test_the_next_waits_for_it(certify: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def first(slept: float) -> Any:
        return (state(busy=True), 1) if slept < 90 else (state(NEW), 1)

    asked = seen(certify, monkeypatch, one=first)
    assert settled(certify, tmp_path)["pem"] == NEW
    assert asked == []


def test_the_next_takes_over_from_a_dead_one(
    certify: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = seen(certify, monkeypatch, three=(state(), 5))
    assert settled(certify, tmp_path, by_timer=True)["pem"] == NEW
    assert asked == ["two"]


@pytest.mark.parametrize("by_timer", [True, False])
def test_a_refusal_of_the_first_is_one_for_all(
    certify: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, by_timer: bool
) -> None:
    asked = seen(certify, monkeypatch, one=(state(failures=(9,), said="unauthorized: no"), -1))
    found = settled(certify, tmp_path, by_timer=by_timer)
    assert (found["said"], found["failures"], asked) == ("unauthorized: no", [9], [])


def test_an_idle_first_router_is_not_waited_for_long(
    certify: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen(certify, monkeypatch, one=(state(said="old"), 10000))
    assert settled(certify, tmp_path)["pem"] == ""
    assert certify.IDLE < certify.clock.slept < certify.IDLE + 5


def test_the_newest_of_all_is_taken_over(
    certify: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "shop.example.com.pem").write_text(OLD)
    seen(certify, monkeypatch, three=(state(NEW), 5))
    assert settled(certify, tmp_path, "one")["pem"] == NEW
    seen(certify, monkeypatch, three=(state(OLD), 5))
    (tmp_path / "shop.example.com.pem").write_text(NEW)
    assert settled(certify, tmp_path, "one")["pem"] == NEW


def test_a_living_first_router_that_does_not_renew_is_helped_a_day_later(
    certify: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for days, who in ((29, []), (27, ["two"])):
        pem = pair("shop.example.com", days).chain
        (tmp_path / "shop.example.com.pem").write_text(pem)
        asked = seen(certify, monkeypatch, one=(state(pem), 5))
        settled(certify, tmp_path, by_timer=True)
        assert asked == who


def test_short_lived_ones_are_renewed_in_the_last_third(certify: ModuleType, tmp_path: Path) -> None:
    made = app(tmp_path)
    assert not certify.is_due(made, pair("shop.example.com", 31).chain)
    assert certify.is_due(made, pair("shop.example.com", 20).chain)
    assert certify.is_due(made, "")


def test_how_often_the_ca_is_asked(certify: ModuleType) -> None:
    now, hour = int(certify.clock.now), 3600
    assert certify.may_ask([], True)
    assert not certify.may_ask([now - hour + 5], True)
    assert certify.may_ask([now - hour], True)
    assert not certify.may_ask([0, now - 2 * hour + 5], True)
    assert certify.may_ask([*range(9), now - 24 * hour], True)
    assert certify.may_ask([now - 1] * 3, False)
    assert not certify.may_ask([now - 1] * 4, False)


def test_what_routers_show_is_closed_and_proven(tmp_path: Path) -> None:
    module, here = loaded("certify.py"), app(tmp_path)
    module.show(here, "shop.example.com", state(NEW))
    sealed = (tmp_path / "certificates/shop.example.com").read_bytes()
    assert b"BEGIN" not in sealed
    seal, _, coded = sealed.partition(b"\n")
    closed = module.base64.b64decode(coded)
    assert module.mac(here, "shop.example.com", closed).encode() == seal
    assert module.mac(here, "else.example.com", closed).encode() != seal
    assert json.loads(module.cipher(here, closed, "-d")) == state(NEW)
    other = SimpleNamespace(seal="cd" * 32)
    assert module.mac(other, "shop.example.com", closed).encode() != seal


def test_a_certificate_and_its_key_are_laid_down_together(tmp_path: Path) -> None:
    module, here = loaded("certify.py"), app(tmp_path)
    assert module.keep(here, "shop.example.com", state(NEW))
    assert not module.keep(here, "shop.example.com", state(NEW))
    assert (tmp_path / "shop.example.com.pem").stat().st_mode & 0o777 == 0o600
    assert not module.keep(here, "shop.example.com", state(NEW, (1,), "no"))
    assert json.loads((tmp_path / "shop.example.com.json").read_text()) == {"failures": [1], "said": "no"}


TRACE = """Traceback (most recent call last):
ValueError: Challenge did not pass for shop.example.com: {'status': 'invalid', 'challenges': [{'error': {'type':
'urn:ietf:params:acme:error:unauthorized', 'detail': "it's not there"}}]}
"""


@pytest.mark.parametrize(
    ("complaint", "said"),
    [
        (TRACE, "unauthorized: it's not there"),
        (
            "ValueError: x\nResponse: <urlopen error [Errno 111] Connection refused>\n",
            "Response: <urlopen error [Errno 111] Connection refused>",
        ),
        ("", "acme-tiny said nothing"),
    ],
)
def test_the_ca_is_quoted(complaint: str, said: str) -> None:
    assert loaded("certify-order.py").reason(complaint) == said


@pytest.mark.parametrize(
    ("name", "words"), [("certify", ["../x"]), ("certify", []), ("certify-order", ["one"])]
)
def test_wrong_usage_does_nothing(name: str, words: list[str]) -> None:
    argv = ["python3", str(script(f"{name}.py")), *words]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage:" in done.stderr
