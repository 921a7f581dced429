"""A file that routers share is put in place only if nginx accepts it, and Debian's own default site makes way."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from shipped import script

SCRIPT = script("mesh-put.sh")
STOCK = "server { listen 80 default_server; }\n"


class Router:
    """The folders of nginx in a temporary place; nginx refuses what says `wrong`."""

    def __init__(self, place: Path) -> None:
        self.place, self.file = place, place / "nginx" / "conf.d" / "deployer.conf"
        self.shipped, self.site = (
            place / "nginx/sites-available/default",
            place / "nginx/sites-enabled/default",
        )
        for path in (self.shipped, self.site):
            path.parent.mkdir(parents=True)
        self.shipped.write_text(STOCK)
        self.site.symlink_to(self.shipped)
        self.stand_in("nginx", f"! grep -rh wrong {place}/nginx")
        text = SCRIPT.read_text().replace("/run/", f"{place}/").replace("/etc/nginx", f"{place}/nginx")
        (place / "mesh-put").write_text(text)

    def stand_in(self, name: str, script: str) -> None:
        path = self.place / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def put(self, content: str) -> tuple[int, str]:
        environment = {**os.environ, "PATH": f"{self.place}/bin:{os.environ['PATH']}"}
        digests = [hashlib.sha256(text.encode()).hexdigest() for text in ("another\n", STOCK)]
        argv = ["sh", str(self.place / "mesh-put"), str(self.file), *digests]
        done = subprocess.run(
            argv, input=content, capture_output=True, text=True, env=environment, check=False
        )
        return done.returncode, done.stdout


@pytest.fixture
def router(tmp_path: Path) -> Router:
    return Router(tmp_path)


def test_what_nginx_accepts_is_there_and_the_stock_site_is_not(router: Router) -> None:
    assert router.put("right\n") == (0, "")
    assert (router.file.read_text(), router.site.is_symlink(), router.shipped.read_text()) == (
        "right\n",
        False,
        STOCK,
    )
    assert router.put("right\n") == (0, ""), "it may run twice"


def test_what_nginx_refuses_leaves_all_as_it_was(router: Router) -> None:
    assert router.put("wrong\n") == (40, "wrong\n")
    assert (router.file.exists(), router.site.is_symlink()) == (False, True)
    router.put("right\n")
    assert router.put("wrong\n") == (40, "wrong\n")
    assert router.file.read_text() == "right\n"
    assert sorted(path.name for path in router.place.iterdir()) == ["bin", "mesh-put", "nginx"]


def test_a_default_site_that_somebody_edited_stays(router: Router) -> None:
    router.shipped.write_text("mine\n")
    assert router.put("right\n") == (0, "")
    assert router.site.read_text() == "mine\n"


def test_a_default_site_of_the_users_own_stays(router: Router) -> None:
    router.site.unlink()
    router.site.write_text("mine\n")
    assert router.put("right\n") == (0, "")
    assert router.site.read_text() == "mine\n"


def test_what_is_in_it_decides_as_it_does_for_the_planner_and_not_how_it_got_there(router: Router) -> None:
    router.site.unlink()
    router.site.write_text(STOCK)
    assert router.put("wrong\n") == (40, "wrong\n")
    assert router.site.read_text() == STOCK
    assert router.put("right\n") == (0, "")
    assert not router.site.exists()
