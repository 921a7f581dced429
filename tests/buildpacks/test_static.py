"""The buildpack for static sites: what it takes for one, what it makes of static.json, and what nginx then answers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

PACKS = Path(__file__).parents[2] / "deployer/buildpacks"
PACK = PACKS / "static"
has_nginx = pytest.mark.skipif(
    not os.access("/usr/sbin/nginx", os.X_OK) or os.geteuid() == 0, reason="needs nginx, and not to be root"
)


def laid_out(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def run(script: str, folder: Path) -> SimpleNamespace:
    argv = [PACK / "bin" / script, folder, folder / "cache", folder / "env"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return SimpleNamespace(status=done.returncode, said=done.stdout + done.stderr)


@pytest.mark.parametrize(
    ("names", "fits"),
    [
        (["static.json"], True),
        (["static.json", "package.json"], True),
        (["index.html"], True),
        (["public/index.html"], True),
        (["dist/index.html"], True),
        (["public_html/index.html"], True),
        (["index.html", "package.json"], False),
        (["public/index.html", "Gemfile"], False),
        (["public/index.php", "index.html", "composer.json"], False),
        (["about.html"], False),
        ([".heroku/index.html"], False),
    ],
)
def test_a_site_is_told_by_its_pages(tmp_path: Path, names: list[str], fits: bool) -> None:
    done = run("detect", laid_out(tmp_path, dict.fromkeys(names, "")))
    assert (done.status, done.said) == ((0, "Static site\n") if fits else (1, ""))


def test_the_process_is_the_same_before_and_after_the_build(tmp_path: Path) -> None:
    laid_out(tmp_path, {"index.html": ""})
    before = run("release", tmp_path).said
    assert before == "---\ndefault_process_types:\n  web: .heroku/static/bin/static-web\n"
    assert run("compile", tmp_path).status == 0
    assert run("release", tmp_path).said == before
    assert os.access(tmp_path / ".heroku/static/bin/static-web", os.X_OK)


@pytest.mark.parametrize(
    ("site", "told"),
    [
        ("{", "static.json: Expecting"),
        ("[]", "there is no object"),
        ('{"root": "dist"}', "there is no folder dist"),
        ('{"root": "../x"}', "there is no folder ../x"),
        ('{"clean_urls": "yes"}', "clean_urls must be a bool"),
        ('{"routes": {"a": "b"}}', "routes: a must begin with /"),
        ('{"redirects": {"/a": {}}}', "/a has no url"),
        ('{"redirects": {"/a": {"url": "/b", "status": 200}}}', "no redirect"),
        ('{"headers": {"/a": {"X Y": "1"}}}', "a name that is none"),
    ],
)
def test_what_cannot_be_served_fails_the_build(tmp_path: Path, site: str, told: str) -> None:
    done = run("compile", laid_out(tmp_path, {"static.json": site, "public/index.html": ""}))
    assert done.status == 1
    assert told in done.said
    assert " !     Next: " in done.said


def test_a_setting_that_nobody_knows_is_said(tmp_path: Path) -> None:
    done = run("compile", laid_out(tmp_path, {"static.json": '{"clean": 1}', "index.html": ""}))
    assert done.status == 0
    assert "static.json: clean is not known here" in done.said
    assert "nginx serves the root folder" in done.said


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Callable[..., SimpleNamespace]]]:
    """Builds a site, starts it as a dyno does, and gives what fetches from it."""
    running: list[subprocess.Popen[str]] = []

    def start(site: dict[str, Any], environ: dict[str, str] | None = None, **pages: str) -> Any:
        names = {name.replace("__", "/").replace("_dot_", "."): text for name, text in pages.items()}
        laid_out(tmp_path, {"static.json": json.dumps(site), "public/index.html": "index", **names})
        built = run("compile", tmp_path)
        assert built.status == 0, built.said
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        env = {"PATH": os.environ["PATH"], "PORT": str(port), "WEB_CONCURRENCY": "1", **(environ or {})}
        argv = [".heroku/static/bin/static-web"]
        running.append(
            subprocess.Popen(
                argv, cwd=tmp_path, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        )
        for _ in range(100):
            with socket.socket() as probe:
                if not probe.connect_ex(("127.0.0.1", port)):
                    break
            time.sleep(0.05)
        return lambda path, **headers: answer(f"http://127.0.0.1:{port}{path}", headers)

    start.running = running  # type: ignore[attr-defined]
    yield start
    for process in running:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)


class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Redirects are answers to look at."""


def answer(url: str, headers: dict[str, str]) -> SimpleNamespace:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Stay())
    request = urllib.request.Request(
        url, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )
    try:
        with opener.open(request, timeout=5) as reply:
            return seen(reply.status, reply.headers, reply.read())
    except urllib.error.HTTPError as error:
        return seen(error.code, error.headers, error.read())


def seen(status: int, headers: Message, body: bytes) -> SimpleNamespace:
    return SimpleNamespace(status=status, headers=headers, text=body.decode())


@has_nginx
def test_pages_clean_urls_and_what_is_hidden(serve: Any) -> None:
    site = {"root": "public", "clean_urls": True, "error_page": "oops.html"}
    pages = {
        "public__foo_dot_html": "foo",
        "public__sub__index_dot_html": "sub",
        "public__oops_dot_html": "oops",
    }
    get = serve(site, public___dot_env="secret", **pages)
    assert get("/").text == "index"
    assert get("/foo").text == "foo"
    assert get("/sub").headers["Location"] == "/sub/"
    assert (get("/none").status, get("/none").text) == (404, "oops")
    assert get("/.env").status == 404


@has_nginx
def test_the_root_folder_shows_nothing_of_the_platforms(serve: Any) -> None:
    get = serve({"root": "."}, index_dot_html="here", Procfile="web: x")
    assert get("/").text == "here"
    paths = ("/Procfile", "/static.json", "/.heroku/static/bin/static-web", "/%2eheroku/static/bin/conf.py")
    assert [get(path).status for path in paths] == [404] * 4


@has_nginx
def test_files_come_before_redirects_and_those_before_routes(serve: Any) -> None:
    site = {
        "root": "public",
        "routes": {"/assets/*": "/assets/", "/**": "index.html"},
        "redirects": {
            "/old": {"url": "${SITE}/new?a=$1", "status": 302},
            "/real.txt": {"url": "/never"},
        },
    }
    get = serve(
        site, {"SITE": "https://example.com"}, public__real_dot_txt="real", public__assets__a_dot_js="a"
    )
    assert (get("/old").status, get("/old").headers["Location"]) == (302, "https://example.com/new?a=$1")
    assert get("/real.txt").text == "real"
    assert get("/assets/a.js").text == "a"
    assert get("/assets/b.js").status == 404
    assert get("/any/thing").text == "index"


@has_nginx
def test_the_last_rule_for_headers_decides_alone(serve: Any) -> None:
    rules = {"/**": {"X-A": 'a "$host"', "X-B": "b"}, "/foo*": {"X-A": "foo"}}
    get = serve({"root": "public", "headers": rules}, public__foo_dot_txt="x")
    assert (get("/").headers["X-A"], get("/").headers["X-B"]) == ('a "$host"', "b")
    assert (get("/foo.txt?q").headers["X-A"], get("/foo.txt").headers["X-B"]) == ("foo", None)
    assert get("/none").headers["X-B"] == "b"


@has_nginx
def test_https_only_believes_the_router(serve: Any) -> None:
    get = serve({"root": "public", "https_only": True})
    assert get("/a?b", Host="example.com").headers["Location"] == "https://example.com/a?b"
    assert get("/", X_Forwarded_Proto="https").text == "index"


@has_nginx
def test_a_password_is_asked_for(serve: Any) -> None:
    hashed = subprocess.run(["openssl", "passwd", "-apr1", "b"], capture_output=True, text=True, check=True)
    config = {"BASIC_AUTH_USERNAME": "a", "BASIC_AUTH_PASSWORD": hashed.stdout.strip()}
    get = serve({"root": "public", "basic_auth": True}, config)
    assert get("/").status == 401
    assert get("/", Authorization="Basic YTpi").text == "index"


@has_nginx
def test_requests_are_logged_to_stdout_and_sigterm_ends_it(serve: Any) -> None:
    serve({"root": "public"})("/logged")
    process = serve.running.pop()
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=10)
    assert '"GET /logged HTTP/1.1" 404' in said


def test_a_password_without_its_hash_does_not_start(tmp_path: Path) -> None:
    laid_out(tmp_path, {"static.json": '{"basic_auth": true}', "index.html": ""})
    assert run("compile", tmp_path).status == 0
    work = tmp_path / "work"
    work.mkdir()
    argv = ["python3", ".heroku/static/bin/conf.py", str(work)]
    site = '{"root": ".", "basic_auth": true}'
    done = subprocess.run(argv, cwd=tmp_path, input=site, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "BASIC_AUTH_USERNAME" in done.stderr
    assert not list(work.iterdir())
