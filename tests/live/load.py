"""Steady load: requests that are counted, and of which none may fail."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import here

PER_SECOND = 20
"""Requests to each router."""


@dataclass
class Load:
    """Steady GETs through some routers; each is counted, and those that failed are kept with their reason."""

    routers: tuple[str, ...] = field(default_factory=here.routers)
    host: str = ""
    answers: list[tuple[float, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self, router: str) -> None:
        while not self.ended.is_set():
            began = time.monotonic()
            try:
                self.answers.append((began, self.ask(router)))
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.failures.append(f"{router} after {time.monotonic() - began:.1f} s: {error!r}")
            self.ended.wait(max(0.0, began + 1 / PER_SECOND - time.monotonic()))

    def ask(self, router: str) -> str:
        link = http.client.HTTPConnection(router, timeout=10)
        try:
            link.request("GET", "/", headers={"Host": self.host or router})
            answer = link.getresponse()
            body = answer.read().decode()
        finally:
            link.close()
        assert answer.status == 200, f"{answer.status} {body[:60]}"
        return body

    def releases(self) -> set[str]:
        return {body.split()[1] for _, body in self.answers}

    def first_of(self, word: str) -> float:
        """When an answer of this word or release was first asked for."""
        return next(at for at, body in self.answers if word in body.split())


@contextmanager
def steady(routers: tuple[str, ...] = (), host: str = "", strict: bool = True) -> Iterator[Load]:
    """Load while the block runs, through all routers if none are named. A strict one demands at its end that no request failed."""
    load = Load(routers or here.routers(), host)
    threads = [threading.Thread(target=load.run, args=(router,)) for router in load.routers]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        load.ended.set()
        for thread in threads:
            thread.join()
    if strict:
        assert load.answers, "the load asked nothing"
        assert load.failures == [], f"{len(load.failures)} of {len(load.answers)}: {load.failures[:5]}"
