"""What a command puts on the platform reaches every host and the routers, and nothing else moves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fleets import Fleet, fleet, in_order, spec

from deployer.cli.platform import MESH
from deployer.engine.decision import Decided
from deployer.engine.settling import settled
from deployer.model.steps import Stage
from deployer.problems import InputError
from deployer.spec.platform import (
    Certificate,
    Edit,
    Platform,
    edited,
    legible,
    plainly,
    read,
    token,
    with_certificate,
    with_domains,
    with_drains,
    with_maintenance,
)

TWO = {"one": "router dynos logplex build", "two": "dynos router"}


def asked(seen: Fleet, edit: Edit, **words: object) -> Decided:
    wanted = replace(spec(hosts=TWO, **words), recalls=True)  # type: ignore[arg-type]
    return settled(wanted, seen.sight(wanted), edit, MESH)


@pytest.fixture
def serving() -> Fleet:
    seen = fleet()
    seen.apply(spec(hosts=TWO))
    return seen


def test_a_domain_is_added_on_all_routers_and_stays(serving: Fleet) -> None:
    todo = asked(serving, with_domains(add=["shop.example.com"]))
    assert sorted(c.address for c in todo.plan.changes) == [
        "nginx/one/hello",
        "nginx/two/hello",
        "platform/one/settings",
        "platform/two/settings",
        "router/one/claims",
        "router/two/claims",
    ]
    serving.run(todo.plan)
    assert asked(serving, with_domains(add=["shop.example.com"])).plan.empty
    assert serving.plan(spec(hosts=TWO)).empty, "the next apply leaves it there"


def test_nothing_is_released_by_a_command_though_the_source_has_changed(serving: Fleet) -> None:
    todo = asked(serving, with_domains(add=["shop.example.com"]), source="two", scale={"web": 3})
    assert {c.address.split("/")[0] for c in todo.plan.changes} == MESH - {"certificates"}
    serving.run(todo.plan)
    assert serving.plan(spec(hosts=TWO)).empty


def test_the_pages_of_the_config_stay_in_the_routers_files() -> None:
    config = {"MAINTENANCE_PAGE_URL": "https://pages.example.com/sorry.html"}
    seen = fleet()
    seen.apply(spec(hosts=TWO, config=config))
    assert asked(seen, with_maintenance(False)).plan.empty
    todo = asked(seen, with_maintenance(True))
    assert {c.address for c in todo.plan.changes} == {
        f"{what}/{host}/{key}" for host in TWO for what, key in (("nginx", "hello"), ("platform", "settings"))
    }
    seen.run(todo.plan)
    assert seen.plan(spec(hosts=TWO, config=config)).empty


def test_a_dyno_that_is_down_stays_in_the_routers(serving: Fleet) -> None:
    serving.machines["one"].crash(next(iter(serving.machines["one"].dynos())))
    todo = asked(serving, with_maintenance(True))
    serving.run(todo.plan)
    assert not [f for c in todo.plan.changes for f in c.fields if f.name.startswith("upstreams")]


def test_a_release_that_is_half_done_is_not_routed_by_a_command(serving: Fleet) -> None:
    begun = serving.plan(spec(hosts=TWO, source="two"))
    starts = [n for n, (_, step) in enumerate(in_order(begun)) if step.stage == Stage.START]
    serving.run(begun, stop_after=starts[-1] + 1)
    todo = asked(serving, with_maintenance(True))
    assert not [f for c in todo.plan.changes for f in c.fields if f.name.startswith("upstreams")]


def test_what_the_files_say_meanwhile_waits_for_an_apply(serving: Fleet) -> None:
    fewer = {"one": TWO["one"], "two": "dynos", "three": "router"}
    wanted = replace(spec(hosts=fewer, domains=["new.example.com"]), recalls=True)
    todo = settled(wanted, serving.sight(wanted), with_maintenance(True), MESH)
    assert sorted(c.address for c in todo.plan.changes) == [
        "nginx/one/hello",
        "nginx/two/hello",
        "platform/one/settings",
        "platform/two/settings",
    ]
    assert "new.example.com" not in str([s.act for c in todo.plan.changes for s in c.steps])
    serving.run(todo.plan)
    assert settled(wanted, serving.sight(wanted), with_maintenance(True), MESH).plan.empty


def test_what_is_so_already_changes_nothing(serving: Fleet) -> None:
    assert asked(serving, with_maintenance(False)).plan.empty


def test_an_app_that_is_not_there_cannot_be_set() -> None:
    with pytest.raises(InputError, match="serves nothing yet"):
        asked(fleet(), with_maintenance(True))


def test_an_edit_counts_once() -> None:
    once = edited(Platform(), with_drains(add=["syslog://a:514"]))
    assert (once.serial, once.drains) == (1, ("syslog://a:514",))
    assert edited(once, with_drains(add=["syslog://a:514"])) is once
    assert edited(once, with_drains(remove=["syslog://a:514"])) == Platform(serial=2)


def test_a_document_is_read_back_as_it_was() -> None:
    pair = Certificate("chain", "key")
    full = Platform(3, True, ("a.example.com",), ("https://x/",), {"a.example.com": pair})
    assert read(full.text().reveal()) == full
    assert with_certificate("a.example.com", None)(full).certificates == {}
    assert (legible("{"), legible("[]"), legible(None)) == (None, None, None)


def test_a_drain_has_a_token_of_its_own_and_hides_its_password() -> None:
    url = "https://user:secret@logs.example.com:8443/in?key=secret"
    assert plainly(url) == "https://logs.example.com:8443/…"
    assert token("seal", url) == token("seal", url) != token("other", url)
    assert token("seal", url).startswith("d.")
