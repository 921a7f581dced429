"""Locks of several hosts at once, against the script that runs on them."""

from __future__ import annotations

import fcntl
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import locks
import pytest
from jsonschema import Draft202012Validator
from locks import Talk, ask

from deployer.cli import deploy, options
from deployer.model.events import Event
from deployer.problems import DeployerError, LockedError, StoppedError, UnreachableError
from deployer.remote import channel, grip, holding
from deployer.remote.holding import locked, unlock
from deployer.source import data
from deployer.views import progress


class Client:
    """A connected host; `dead` refuses all, `frozen` answers nothing, `broken` has a script that fails."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state, self.closed = folder, "", False
        self.talks: list[Talk] = []

    def close(self) -> None:
        self.closed = True


class Links:
    def __init__(self, clients: dict[str, Client]) -> None:
        self.open = clients
        self.hosts = {n: SimpleNamespace(user="root", address="10.0.0.1") for n in clients}

    def client(self, name: str) -> Client:
        return self.open[name]

    def each(self, job: Callable[[str], Any]) -> dict[str, Any]:
        return {name: caught(job, name) for name in sorted(self.open)}


class Stop:
    def __init__(self) -> None:
        self.why: str | None = None
        self.detail = ""
        self.asked: list[str] = []
        self.details: list[str] = []

    def ask(self, why: str, detail: str = "") -> None:
        self.asked.append(why)
        self.details.append(detail)


def caught(job: Callable[[str], Any], name: str) -> Any:
    try:
        return job(name)
    except OSError as error:
        return error


def converse(client: Client, line: str, stdin: tuple[bytes, bytes]) -> Any:
    if client.state == "dead":
        raise OSError("no route")
    talk = Talk(client.folder, b"x\n" if client.state == "broken" else stdin[1])
    client.talks.append(talk)
    if client.state == "frozen":
        talk.recv = lambda size: time.sleep(3) or b""  # type: ignore[func-returns-value, method-assign]
    return talk


def execute(client: Client, line: str, stdin: tuple[bytes, bytes], silence: float) -> channel.Ended:
    if client.state == "dead":
        raise OSError("no route")
    return channel.Ended(*ask(client.folder, stdin[1]))


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Links]:
    monkeypatch.setattr(channel, "converse", converse)
    monkeypatch.setattr(channel, "execute", execute)
    monkeypatch.setattr(holding, "AGAIN", 0.2)
    clients = {name: Client(tmp_path / name) for name in ("box-1", "box-2", "box-3")}
    yield Links(clients)
    for talk in (talk for client in clients.values() for talk in client.talks):
        talk.process.kill()
        talk.end()


def look(links: Links) -> dict[str, str]:
    found = {name: json.loads(ask(c.folder, b'{"do": "look"}\n')[1]) for name, c in links.open.items()}
    return {name: record["doing"] for name, record in found.items() if record}


def test_all_hosts_are_locked_until_the_end(links: Links) -> None:
    events: list[Event] = []
    with locked(links, "apply hello v3", 0, events.append) as name:  # type: ignore[arg-type]
        assert set(look(links)) == {"box-1", "box-2", "box-3"}
        record = json.loads((links.open["box-2"].folder / "run" / "lock").read_text())
        assert record["id"] == name and record["who"] == "ada@laptop"
    assert look(links) == {}
    assert [(e.kind, e.say) for e in events] == [
        ("locked", "has the lock of box-1, box-2, box-3"),
        ("unlocked", "gave up the lock after 0 s"),
    ]
    assert 0 < events[1].detail["seconds"] < 5


def test_it_is_given_up_when_the_block_fails(links: Links) -> None:
    with pytest.raises(RuntimeError), locked(links, "apply hello v3"):  # type: ignore[arg-type]
        raise RuntimeError
    assert look(links) == {}


def test_every_holder_is_named_and_nothing_is_kept(links: Links) -> None:
    one = Links({"box-2": links.open["box-2"]})
    three = Links({"box-3": links.open["box-3"]})
    with (
        locked(one, "apply shop v7"),  # type: ignore[arg-type]
        locked(three, "destroy blog"),  # type: ignore[arg-type]
    ):
        with pytest.raises(LockedError) as caught, locked(links, "apply hello v3"):  # type: ignore[arg-type]
            pass
        assert look(links) == {"box-2": "apply shop v7", "box-3": "destroy blog"}
    assert [p.summary.split(", for: ")[1] for p in caught.value.problems] == ["apply shop v7", "destroy blog"]
    first = caught.value.problems[0]
    assert first.summary.startswith("ada@laptop holds the lock of box-2, for 0 s")
    assert "--lock-wait 15m" in first.hint and "deploy unlock" in first.hint


def test_it_waits_and_says_so(links: Links) -> None:
    events: list[Event] = []
    with locked(links, "apply shop v7"):  # type: ignore[arg-type]
        late = threading.Timer(1.5, lambda: unlock(links, "unlock"))  # type: ignore[arg-type]
        late.start()
        with locked(links, "apply hello v3", 890, events.append):  # type: ignore[arg-type]
            assert set(look(links).values()) == {"apply hello v3"}
    assert [e.kind for e in events] == ["wait", "locked", "unlocked"]
    said = "waits for ada@laptop, who holds box-1 for {} s (apply shop v7); 14 min {} s left"
    assert events[0].say in {said.format(held, left) for held in (0, 1) for left in (48, 49)}
    check = Draft202012Validator(data.schema("event"))
    for event in events:
        check.validate(event.as_dict(0))
        assert event.say in (progress.every(event.as_dict(0)) or "")


def test_an_end_that_is_asked_for_ends_the_wait(links: Links) -> None:
    stop = Stop()
    with locked(links, "apply shop v7"):  # type: ignore[arg-type]
        threading.Timer(0.3, lambda: setattr(stop, "why", "interrupted")).start()
        with pytest.raises(StoppedError) as caught, locked(links, "apply", 60, None, stop):  # type: ignore[arg-type]
            pass
        assert set(look(links).values()) == {"apply shop v7"}
    (problem,) = caught.value.problems
    assert (problem.summary, problem.hint) == (
        "interrupted before it had the lock",
        "deploy plan shows what there is to do",
    )
    stop.why, stop.detail = "the lock of box-1 was taken by bob", "no space left"
    with pytest.raises(LockedError) as lost, locked(links, "apply", 0, None, stop):  # type: ignore[arg-type]
        pass
    (problem,) = lost.value.problems
    assert (problem.summary, problem.detail) == (stop.why, stop.detail)


def test_the_second_interrupt_waits_for_nobody(links: Links) -> None:
    """Hosts that are frozen would keep whoever lets go of them for 10 s."""
    began = []

    def interrupt() -> None:
        for talk in (talk for client in links.open.values() for talk in client.talks):
            talk.process.send_signal(signal.SIGSTOP)
        began.append(time.monotonic())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), locked(links, "apply"):  # type: ignore[arg-type]
        interrupt()
    assert time.monotonic() - began[0] < 1


def test_an_end_that_is_asked_for_ends_the_wait_for_a_step(
    links: Links, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "STEP_SECONDS", 30)
    stop, run = Stop(), links.open["box-1"].folder / "run"
    run.mkdir(parents=True)
    with (run / "runner").open("w") as step:
        fcntl.flock(step, fcntl.LOCK_EX)
        threading.Timer(0.5, lambda: setattr(stop, "why", "interrupted")).start()
        began = time.monotonic()
        with pytest.raises(StoppedError), locked(links, "apply", 0, None, stop):  # type: ignore[arg-type]
            pass
    assert time.monotonic() - began < 8
    assert look(links) == {}


def test_a_step_is_waited_for_and_never_unlocked(links: Links) -> None:
    run = links.open["box-1"].folder / "run"
    run.mkdir(parents=True)
    with (run / "runner").open("w") as step:
        fcntl.flock(step, fcntl.LOCK_EX)
        with pytest.raises(LockedError) as caught, locked(links, "apply hello v3"):  # type: ignore[arg-type]
            pass
    (problem,) = caught.value.problems
    assert problem.summary.startswith("a step of an earlier apply holds the lock of box-1")
    assert (problem.hint, problem.detail) == ("wait for it with --lock-wait 15m", "")


def test_of_many_at_once_exactly_one_wins(links: Links) -> None:
    ended: list[str] = []
    together, done = threading.Barrier(4), threading.Barrier(4)

    def one() -> None:
        together.wait()
        try:
            with locked(links, "apply"):  # type: ignore[arg-type]
                ended.append("won")
                done.wait()
        except LockedError:
            ended.append("lost")
            done.wait()

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ended) == ["lost", "lost", "lost", "won"]


def test_who_waits_takes_over_from_a_client_that_was_killed(links: Links) -> None:
    with locked(links, "apply shop v7"):  # type: ignore[arg-type]
        killed = [client.talks[-1] for client in links.open.values()]
        for talk in killed:
            talk.socket.shutdown(1)
            assert talk.end() == 0
        with locked(links, "apply hello v3"):  # type: ignore[arg-type]
            assert set(look(links).values()) == {"apply hello v3"}


def test_a_lost_lock_asks_for_an_end_once(links: Links) -> None:
    stop = Stop()
    with locked(links, "apply hello v3", 0, None, stop):  # type: ignore[arg-type]
        one = Links({"box-2": links.open["box-2"]})
        assert unlock(one, "unlock")["box-2"]["doing"] == "apply hello v3"  # type: ignore[arg-type]
        time.sleep(1)
        assert stop.asked == [f"the lock of box-2 was taken by ada@laptop (unlock); {grip.REST}"]
    assert len(stop.asked) == 1


def test_a_client_that_was_frozen_hears_why_it_lost(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    """It wakes, renews into a channel that is closed, and only then reads what was said before the end."""
    stop, awake = Stop(), threading.Event()
    monkeypatch.setattr(grip, "RENEW", 0.2)
    with locked(links, "apply hello v3", 0, None, stop):  # type: ignore[arg-type]
        talk = links.open["box-1"].talks[0]
        hear = talk.recv

        def frozen(size: int) -> bytes:
            if awake.is_set():
                return hear(size)
            talk.process.wait(10)
            awake.set()
            raise TimeoutError

        talk.recv = frozen  # type: ignore[method-assign]
        time.sleep(0.5)
        unlock(Links({"box-1": links.open["box-1"]}), "unlock")  # type: ignore[arg-type]
        time.sleep(1)
    assert stop.asked == [f"the lock of box-1 was taken by ada@laptop (unlock); {grip.REST}"]


def test_a_holder_that_dies_asks_for_an_end(links: Links) -> None:
    stop = Stop()
    with locked(links, "apply hello v3", 0, None, stop):  # type: ignore[arg-type]
        links.open["box-3"].talks[0].process.kill()
        time.sleep(1)
        assert stop.asked == [f"the lock of box-3 is held no longer: its process there ended; {grip.REST}"]


def test_what_a_dying_holder_says_is_detail(links: Links) -> None:
    said = [b'{"held": true}\nTraceback:\n', b"MemoryError\n", b""]
    talk = SimpleNamespace(
        recv=lambda size: said.pop(0),
        settimeout=lambda seconds: None,
        recv_exit_status=lambda: 1,
        get_transport=lambda: SimpleNamespace(is_active=lambda: True),
    )
    stop = Stop()
    one = grip.Grip("box-3", dial=lambda: talk, hang_up=lambda: None, lost=stop.ask)
    grip.take(one, lambda host, other: None)
    time.sleep(1)
    assert stop.asked == [f"the lock of box-3 is held no longer: its process there ended; {grip.REST}"]
    assert stop.details == ["Traceback:\nMemoryError"]


def test_a_link_that_breaks_is_no_lost_lock(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Stop()
    with locked(links, "apply hello v3", 0, None, stop):  # type: ignore[arg-type]
        monkeypatch.setattr(Talk, "is_active", lambda self: False)
        links.open["box-3"].talks[0].process.kill()
        time.sleep(1)
    assert stop.asked == []


def test_the_lease_is_renewed(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "LEASE", 1)
    monkeypatch.setattr(grip, "RENEW", 0.2)
    with locked(links, "apply hello v3"):  # type: ignore[arg-type]
        time.sleep(2)
        assert set(look(links)) == {"box-1", "box-2", "box-3"}


def test_dead_and_frozen_hosts_keep_nobody_waiting(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grip, "ANSWER", 1)
    links.open["box-1"].state, links.open["box-2"].state = "dead", "frozen"
    began = time.monotonic()
    with locked(links, "apply hello v3"):  # type: ignore[arg-type]
        assert "box-3" in look(links)
        assert links.open["box-2"].closed
    assert time.monotonic() - began < 8


def test_a_host_that_cannot_lock_is_said(links: Links) -> None:
    links.open["box-2"].state = "broken"
    with pytest.raises(DeployerError) as caught, locked(links, "apply hello v3"):  # type: ignore[arg-type]
        pass
    (problem,) = caught.value.problems
    assert problem.summary == "the lock of box-2 cannot be taken" and "JSONDecodeError" in problem.detail
    assert look(links) == {}


def test_a_fresh_host_has_nothing_to_lock(links: Links, monkeypatch: pytest.MonkeyPatch) -> None:
    links.open["box-2"].state = "broken"
    monkeypatch.setattr(Talk, "recv_exit_status", lambda self: channel.NO_PYTHON)
    with locked(links, "apply hello v3"):  # type: ignore[arg-type]
        assert set(look(links)) == {"box-1", "box-3"}
    assert not links.open["box-2"].closed


def test_unlock_goes_on_without_a_host_that_is_down(
    links: Links, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, ...]] = []

    def look(spec: object, without: tuple[str, ...]) -> Any:
        asked.append(without)
        left = {name: client for name, client in links.open.items() if name not in without}
        return SimpleNamespace(links=Links(left), hosts=[SimpleNamespace(name=name) for name in left])

    monkeypatch.setattr("deployer.engine.sight.look", look)
    monkeypatch.setattr("deployer.cli.deploy.known", lambda told: None)
    links.open["box-1"].state = "dead"
    deploy.unlock(options.Look(without=["box-1"]))
    assert (asked, capsys.readouterr().out) == ([("box-1",)], "No lock is held on box-2, box-3.\n")


def test_unlock_says_as_json_whom_it_breaks(
    links: Links, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sight = SimpleNamespace(links=links, hosts=[SimpleNamespace(name=name) for name in links.open])
    monkeypatch.setattr("deployer.engine.sight.look", lambda *_: sight)
    monkeypatch.setattr("deployer.cli.deploy.known", lambda told: None)
    with locked(Links({"box-2": links.open["box-2"]}), "apply hello v3"):  # type: ignore[arg-type]
        deploy.unlock(options.Look(as_json=True))
    ((host, held),) = json.loads(capsys.readouterr().out).items()
    assert (host, held["who"], held["doing"]) == ("box-2", "ada@laptop", "apply hello v3")


def test_unlock_names_whom_it_breaks(links: Links) -> None:
    assert unlock(links, "unlock") == {}  # type: ignore[arg-type]
    with locked(Links({"box-2": links.open["box-2"]}), "apply hello v3"):  # type: ignore[arg-type]
        (name, found), *rest = unlock(links, "unlock").items()  # type: ignore[arg-type]
    assert (name, found["who"], found["doing"], rest) == ("box-2", "ada@laptop", "apply hello v3", [])
    links.open["box-1"].state = "dead"
    with pytest.raises(UnreachableError) as caught:
        unlock(links, "unlock")  # type: ignore[arg-type]
    assert caught.value.problems[0].hint.endswith("--without box-1")
