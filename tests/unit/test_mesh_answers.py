"""Whether a router answers, as keepalived asks each second."""

from __future__ import annotations

import runpy
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from shipped import script

SCRIPT = runpy.run_path(str(script("mesh-answers.py")))
ANSWERS: Callable[[int, bytes], bool] = SCRIPT["answers"]


@contextmanager
def router(answer: bytes | None) -> Iterator[tuple[int, list[bytes]]]:
    """A port where one question is taken and answered; None: nobody ever answers."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            link, _ = listening.accept()
            with link:
                asked.append(link.recv(65536))
                link.sendall(answer or b"")

        thread = threading.Thread(target=serve) if answer is not None else None
        if thread:
            thread.start()
        yield listening.getsockname()[1], asked
        if thread:
            thread.join()


@pytest.mark.parametrize(
    ("answer", "is_up"),
    [(b"HTTP/1.1 404 Not Found\r\n\r\n", True), (b"", False), (b"SSH-2.0", False), (None, False)],
)
def test_any_answer_of_http_will_do(answer: bytes | None, is_up: bool) -> None:
    with router(answer) as (port, _):
        assert ANSWERS(port, b"") is is_up


def test_nobody_there_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert ANSWERS(port, b"") is False


@pytest.mark.parametrize(
    ("config", "proxy_first"),
    [("listen 80 default_server proxy_protocol;", True), ("real_ip_header x;", False), (None, False)],
)
def test_it_asks_both_ways_first_as_the_file_says(
    config: str | None, proxy_first: bool, tmp_path: Path
) -> None:
    if config:
        (tmp_path / "deployer.conf").write_text(config)
    both = (SCRIPT["HEADER"], b"") if proxy_first else (b"", SCRIPT["HEADER"])
    assert SCRIPT["headers"](str(tmp_path / "deployer.conf")) == both


def test_a_proxy_header_comes_first_where_the_router_asks_for_one() -> None:
    with router(b"HTTP/1.1 404") as (port, asked):
        assert ANSWERS(port, SCRIPT["HEADER"])
    header, _, question = asked[0].partition(b"\r\n")
    assert header == b"PROXY TCP4 127.0.0.1 127.0.0.1 1 80"
    assert question.startswith(b"HEAD / HTTP/1.0\r\nHost: deployer.invalid\r\n")
