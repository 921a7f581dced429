"""Scaling and releasing: the least that is needed, and never an answer lost."""

from __future__ import annotations

import threading
import time

import pytest
from conftest import Shop

pytestmark = pytest.mark.live

WRONG = "import sys\nprint('no such luck', flush=True)\nsys.exit(3)\n"


def test_scaling_up_only_creates_and_down_only_deletes_the_highest(shop: Shop) -> None:
    shop.edit("fleet.json", formation={"web": {"quantity": 3}})
    plan = shop.plan()
    dynos = [
        (c["action"], c["address"].split("/")[2].rsplit(".", 1)[0])
        for c in plan["changes"]
        if "/hello.web" in c["address"]
    ]
    assert dynos == [("create", "hello.web.3")]
    shop.settle()
    shop.edit("fleet.json", formation={})
    dynos = [
        (c["action"], c["address"].split("/")[2].rsplit(".", 1)[0])
        for c in shop.plan()["changes"]
        if "lxc" in c["address"]
    ]
    assert dynos == [("delete", "hello.web.3")]
    shop.settle()


def test_a_new_release_loses_no_request(shop: Shop) -> None:
    source = shop.folder / "app.py"
    before = [d for d in shop.ps() if d["dyno"] == "web.1"][0]["release"]
    source.write_text(source.read_text() + "\n# another release\n")
    failures, answers, stop = [], [], threading.Event()

    def load() -> None:
        while not stop.is_set():
            try:
                answers.append(shop.get())
            except Exception as error:
                failures.append(error)
            time.sleep(0.02)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        shop.settle()
    finally:
        stop.set()
        thread.join()
    assert failures == []
    assert all(answer.startswith("Hello from web.") for answer in answers)
    assert {d["release"] for d in shop.ps()} != {before}
    assert len({d["release"] for d in shop.ps()}) == 1


def test_a_config_change_is_a_release_with_the_same_slug(shop: Shop) -> None:
    shop.edit("fleet.json", config={"PLANTED": {"env": "PLANTED"}, "GREETING": "Good\nday"})
    changes = shop.plan()["changes"]
    assert not [c for c in changes if c["address"].startswith("slug/")]
    assert [c["cause"] for c in changes if c["address"].startswith("release/box-1/v")] == [
        "Set GREETING config vars"
    ]
    shop.settle()
    assert shop.get().startswith("Good\nday from web.")
    shop.edit("fleet.json", config={"PLANTED": {"env": "PLANTED"}})
    shop.settle()


def test_a_release_that_does_not_come_up_leaves_the_old_one(shop: Shop) -> None:
    good = (shop.folder / "worker.py").read_text()
    old = {d["release"] for d in shop.ps()}
    (shop.folder / "worker.py").write_text(WRONG)
    done = shop.apply(code=8)
    assert "goes on serving" in done.stderr
    assert {(d["release"], d["state"]) for d in shop.ps()} == {(next(iter(old)), "up")}
    assert shop.get().startswith("Hello from web.")
    assert "failed" in shop.deploy("releases").stdout
    (shop.folder / "worker.py").write_text(good)
    assert shop.changes() == []


def test_a_build_that_fails_leaves_the_old_one(shop: Shop) -> None:
    good = (shop.folder / "requirements.txt").read_text()
    (shop.folder / "requirements.txt").write_text("gunicorn==0.0.0.0.1\n")
    done = shop.apply(code=8)
    assert "gunicorn==0.0.0.0.1" in done.stderr
    assert shop.get().startswith("Hello from web.")
    (shop.folder / "requirements.txt").write_text(good)
    assert shop.changes() == []


@pytest.mark.parametrize("code", ["", "--json"])
def test_releases_and_ps_can_be_read(shop: Shop, code: str) -> None:
    words = [code] if code else []
    assert "v" in shop.deploy("releases", *words).stdout
    assert "web.1" in shop.deploy("ps", *words).stdout
