"""The proof after an apply: what hosts are asked, what their reports show, and how it is said and kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from fleets import fleet, spec

from deployer.model.events import Event
from deployer.planning import status
from deployer.planning.proof import ROUNDS, Goal, Seen, orders
from deployer.planning.verdict import Proof, judged, line
from deployer.remote import channel, proving
from deployer.spec.fleet import Health
from deployer.world.facts import Facts
from deployer.world.world import World

MARK = "0123456789abcdef0123456789abcdef"
HOSTS = {"one": "router dynos logplex build", "two": "router dynos logplex"}
PROCESSES = {"web": "serve", "worker": "work"}


def a_world(hosts: dict[str, str] = HOSTS, **words: Any) -> World:
    scale = words.pop("scale", {"web": 2, "worker": 1})
    return fleet().world(spec(hosts=hosts, processes=PROCESSES, scale=scale, **words))


@dataclass
class Hosts:
    """A fleet that answers as it should, but for what it is told. Dynos take their turns in their order."""

    goal: Goal
    busy: int = 0
    """After how many requests of ours, on each router, another's takes the next turn."""
    dead: tuple[str, ...] = ()
    deaf: tuple[str, ...] = ()
    status: int = 200
    sent: dict[str, int] = field(default_factory=dict)
    lines: dict[str, str] = field(default_factory=dict)

    def report(self, asked: dict[str, Any]) -> dict[str, Any]:
        reports = {host: self._act(host, order) for host, order in asked.items()}
        for host, order in asked.items():
            heard = (
                []
                if host in self.deaf
                else [n for n in order.get("log", {}).get("awaited", ()) if n in self.lines]
            )
            reports[host]["found"] = {name: self.lines[name] for name in heard}
        return reports

    def _act(self, host: str, order: dict[str, Any]) -> dict[str, Any]:
        for dyno, sent in order.get("lines", {}).items():
            self.lines[f"app[{dyno}] {MARK}"] = f"2026 app[{dyno}]: {sent['text']}"
        marks = order.get("requests", {}).get("marks", [])
        return {"refused": {}, "answers": {mark: self._route(host, mark) for mark in marks}}

    def _route(self, host: str, mark: str) -> int:
        sent = self.sent.get(host, 0)
        self.sent[host] = sent + 1
        dyno = self.goal.web[(sent + min(sent, self.busy)) % len(self.goal.web)]
        kind, code = (
            ("error", 'code=H19 desc="Backend connection timeout" ') if dyno in self.dead else ("info", "")
        )
        said = f'at={kind} {code}method=GET path="/?dyno=web.9" request_id={mark} dyno={dyno} status={self.status}'
        self.lines[f"heroku[router] {mark}"] = f"2026 heroku[router]: {said}"
        return 503 if code else self.status


def tried(goal: Goal, hosts: Hosts) -> Proof:
    seen = Seen()
    for attempt in range(len(ROUNDS)):
        for host, report in hosts.report(orders(goal, seen, attempt)).items():
            seen = seen.add(host, report)
    return judged(goal, seen, "2026-01-02T03:04:05+00:00", 1.14)


def summaries(proof: Proof) -> list[str]:
    return [problem.summary for problem in proof.problems]


def test_one_round_proves_a_quiet_fleet() -> None:
    goal = Goal(a_world(), MARK)
    proof = tried(goal, Hosts(goal))
    assert (proof.ok, proof.release, proof.requests) == (True, "v1", 4)
    assert proof.routers == {"one": ("web.1", "web.2"), "two": ("web.1", "web.2")}
    assert proof.lines == {"one": ("web.1", "web.2", "worker.1"), "two": ("web.1", "web.2", "worker.1")}
    assert line(proof.as_dict()) == (
        "Proved: 2 routers reach 2 web dynos each, 3 dynos' lines arrive at 2 logplex hosts (1.1 s)."
    )


def test_what_a_host_is_asked() -> None:
    world = replace(a_world({"one": HOSTS["one"]}, domains=["*.example.com"]), health=Health(path="/up"))
    order = orders(Goal(world, MARK), Seen(), 0)["one"]
    marks = [f"{MARK}-0-0", f"{MARK}-0-1"]
    assert order["requests"] == {
        "port": 80,
        "proxy": False,
        "path": "/up",
        "headers": {"Host": "proof.example.com", "User-Agent": "deployer-proof"},
        "marks": marks,
    }
    assert order["lines"]["worker.1"] == {
        "pipe": "/run/deployer/dynos/hello.worker.1.v1/output",
        "text": f"deployer: proof of v1 {MARK}",
    }
    assert order["log"]["path"] == "/var/lib/deployer/logs/hello.log"
    dynos = ("web.1", "web.2", "worker.1")
    names = [f"heroku[router] {mark}" for mark in marks] + [f"app[{dyno}] {MARK}" for dyno in dynos]
    assert order["log"]["awaited"] == names


def test_no_mark_is_used_twice_and_nginx_takes_each() -> None:
    goal = Goal(a_world(), MARK)
    marks = [m for router in goal.routers for n in range(len(ROUNDS)) for m in goal.marks(router, n)]
    assert len(set(marks)) == len(marks) == 2 * 2 * sum(ROUNDS)
    assert sum(ROUNDS) == 10
    assert all(20 <= len(mark) <= 200 and set(mark) <= set("0123456789abcdef-") for mark in marks)


def test_a_dyno_whose_turn_others_took_is_asked_for_again() -> None:
    goal = Goal(a_world(), MARK)
    for_a_while = tried(goal, Hosts(goal, busy=2))
    assert (for_a_while.ok, for_a_while.requests) == (True, 2 * 2 * (1 + 3))
    proof = tried(goal, Hosts(goal, busy=100))
    assert proof.requests == 2 * 2 * 10
    assert summaries(proof) == ["web.2 did not answer through one", "web.2 did not answer through two"]
    assert str(proof.problems[0].where) == "one/192.0.2.1"
    assert "none of 20 marked requests" in proof.problems[0].detail


def test_a_dyno_that_fails_twice_is_not_waited_for_ten_times() -> None:
    goal = Goal(a_world({"one": HOSTS["one"]}), MARK)
    proof = tried(goal, Hosts(goal, dead=("web.2",)))
    assert proof.requests == 2 * (1 + 3)
    assert summaries(proof) == ["web.2 did not answer through one"]
    assert proof.problems[0].detail == "the router said H19 Backend connection timeout"
    assert line(proof.as_dict()) == "Not proved: web.2 did not answer through one (1.1 s)."


def test_a_router_without_dynos_says_so_itself() -> None:
    goal = Goal(a_world({"one": HOSTS["one"]}, scale={"web": 1, "worker": 0}), MARK)
    mark = goal.marks("one", 0)[0]
    said = f'at=error code=H14 desc="No web processes running" request_id={mark} dyno= connect= status=503'
    found = {f"heroku[router] {mark}": f"2026 heroku[router]: {said}", f"app[web.1] {MARK}": "x"}
    seen = Seen().add("one", {"refused": {}, "answers": {mark: 503}, "found": found})
    assert [p.detail for p in judged(goal, seen, "", 0).problems] == [
        "the router said H14 No web processes running"
    ]


def test_a_declared_status_must_be_the_answer() -> None:
    world = a_world({"one": HOSTS["one"]})
    undeclared = Goal(world, MARK)
    assert tried(undeclared, Hosts(undeclared, status=404)).ok
    goal = Goal(replace(world, health=Health(path="/up", status=204)), MARK)
    proof = tried(goal, Hosts(goal, status=404))
    assert {p.detail for p in proof.problems} == {"it answered 404, where 204 is declared"}
    assert tried(goal, Hosts(goal, status=204)).ok


def test_lines_that_are_lost_on_their_way() -> None:
    goal = Goal(a_world(), MARK)
    proof = tried(goal, Hosts(goal, deaf=("two",)))
    assert summaries(proof) == ["no line of web.1, web.2, worker.1 arrived at two"]
    assert str(proof.problems[0].where) == "two/192.0.2.2"
    assert "deployer.logplex" in proof.problems[0].hint
    assert proof.lines["one"] == ("web.1", "web.2", "worker.1")


def test_where_nothing_of_a_router_is_heard_no_second_attempt_is_made() -> None:
    goal = Goal(a_world({"one": HOSTS["one"]}), MARK)
    hosts = Hosts(goal, deaf=("one",))
    proof = tried(goal, hosts)
    assert proof.requests == 2
    assert summaries(proof)[0] == "no line of the router on one arrived"


def test_a_router_that_does_not_answer() -> None:
    goal = Goal(a_world({"one": HOSTS["one"]}), MARK)
    found = {f"app[{seat.name}] {MARK}": "x" for seat in goal.seats}
    answers = dict.fromkeys(goal.marks("one", 0), "Connection refused")
    seen = Seen().add("one", {"refused": {}, "answers": answers, "found": found})
    proof = judged(goal, seen, "", 0)
    assert [(p.summary, p.detail) for p in proof.problems] == [
        ("the router on one does not answer", "Connection refused")
    ]


def test_a_host_that_cannot_be_asked_is_named_once() -> None:
    goal = Goal(a_world(), MARK)
    hosts = Hosts(goal)
    reports = hosts.report(orders(goal, Seen(), 0))
    seen = Seen().add("one", reports["one"]).add("two", "the link broke")
    proof = judged(goal, seen, "", 0)
    assert summaries(proof) == ["two could not be asked for its part of the proof"]
    assert "two" not in orders(goal, seen, 1)


def test_an_output_that_takes_nothing_is_named_once() -> None:
    goal = Goal(a_world(), MARK)
    reports = Hosts(goal).report(orders(goal, Seen(), 0))
    seen = Seen()
    for host, report in reports.items():
        kept = {name: text for name, text in report["found"].items() if "worker" not in name}
        seen = seen.add(host, {**report, "found": kept, "refused": {"worker.1": "full"}})
    assert summaries(judged(goal, seen, "", 0)) == ["the output of worker.1 takes no line"]


@pytest.mark.parametrize(
    ("scale", "said"),
    [
        ({"web": 0, "worker": 1}, "Proved: 1 dyno's lines arrive at 1 logplex host (1.1 s)."),
        (
            {"web": 1, "worker": 0},
            "Proved: 1 router reaches 1 web dyno, 1 dyno's lines arrive at 1 logplex host (1.1 s).",
        ),
        ({"web": 0, "worker": 0}, "Nothing to prove: no dyno runs, or no logplex host would hear of it."),
    ],
)
def test_only_what_there_is_is_proved(scale: dict[str, int], said: str) -> None:
    goal = Goal(a_world({"one": HOSTS["one"]}, scale=scale), MARK)
    assert line(tried(goal, Hosts(goal)).as_dict()) == said


def test_without_routers_or_logplex_hosts() -> None:
    world = a_world()
    no_router = replace(world, hosts=tuple(replaced(h, "dynos", "logplex") for h in world.hosts))
    assert tried(Goal(no_router, MARK), Hosts(Goal(no_router, MARK))).routers == {}
    deaf = replace(world, hosts=tuple(replaced(h, "dynos", "router") for h in world.hosts))
    assert orders(Goal(deaf, MARK), Seen(), 0) == {}


def replaced(host: Any, *roles: str) -> Any:
    return host.model_copy(update={"roles": frozenset(roles)})


@dataclass
class Links:
    """Hosts that answer by a function of ours, one after another."""

    hosts: dict[str, Any]
    open: dict[str, Any]
    answer: Callable[[dict[str, Any]], Any]

    def client(self, name: str) -> str:
        return name

    def each(self, job: Callable[[str], Any]) -> dict[str, Any]:
        return {name: caught(job, name) for name in sorted(self.open)}


def caught(job: Callable[[str], Any], name: str) -> Any:
    try:
        return job(name)
    except Exception as error:
        return error


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def make(world: World, execute: Callable[[str, dict[str, Any]], channel.Ended], lost: str = "") -> Any:
        def run(client: str, line: str, stdin: tuple[bytes, bytes]) -> channel.Ended:
            return execute(client, json.loads(stdin[1]))

        monkeypatch.setattr(channel, "execute", run)
        hosts = {host.name: host for host in world.hosts}
        return Links(hosts, {name: 1 for name in hosts if name != lost}, lambda order: None)

    return make


def test_a_run_of_it_says_how_it_begins_and_ends(links: Callable[..., Any]) -> None:
    world, told = a_world(), list[Event]()
    broken = links(world, lambda *_: channel.Ended(1, b"", b"no space\n"), lost="two")
    proof = proving.prove(broken, world, told.append)
    assert [(p.summary, p.detail) for p in proof.problems] == [
        ("one could not be asked for its part of the proof", "exit status 1\nno space"),
        ("two could not be asked for its part of the proof", "there is no connection to it"),
    ]
    assert [event.kind for event in told] == ["proof", "proof"]
    assert told[1].say == line(proof.as_dict())


def test_it_is_kept_on_each_host(links: Callable[..., Any]) -> None:
    world, sent = a_world(), dict[str, Any]()
    goal = Goal(world, MARK)
    proof = tried(goal, Hosts(goal))

    def take(host: str, order: dict[str, Any]) -> channel.Ended:
        sent[host] = order["record"]
        return channel.Ended(0, b'{"refused": {}, "answers": {}, "found": {}}', b"")

    proving.keep(links(world, take), world, proof)
    assert sent.keys() == {"one", "two"}
    assert sent["one"]["path"] == "/var/lib/deployer/apps/hello/releases/v1/proof.json"
    assert json.loads(sent["one"]["text"]) == proof.as_dict()
    problem, *_ = proving.keep(links(world, lambda *_: channel.Ended(1, b"", b"full")), world, proof)
    assert problem.summary == "the proof could not be kept on one"


def test_releases_show_the_latest_proof() -> None:
    record = {"number": 1, "slug": "s", "stack": "t", "processes": {}, "config": {}, "outcome": "succeeded"}
    record |= dict.fromkeys(("why", "who", "when", "commit"), "")
    folder = "/var/lib/deployer/apps/hello/releases/v1"
    texts = {f"{folder}/release.json": json.dumps(record)}
    facts = {
        host: Facts(
            host, texts=texts | ({f"{folder}/proof.json": json.dumps({"when": when})} if when else {})
        )
        for host, when in {"one": "2026-01-01", "two": "2026-01-02", "three": ""}.items()
    }
    assert status.releases("hello", facts)[0]["proof"] == {"when": "2026-01-02"}
    assert status.releases("hello", {"three": facts["three"]})[0]["proof"] is None
