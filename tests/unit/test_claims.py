"""What apps ask of the routers that they share, and the names under which they answer."""

from __future__ import annotations

import pytest
from fleets import fleet, spec

from deployer.planning import status
from deployer.problems import InputError
from deployer.providers import nginx
from deployer.spec.fleet import load_fleet
from deployer.world import claims, releases
from deployer.world.world import Claims, Release

HOST = {"one": {"address": "192.0.2.1", "roles": ["router"]}}
RELEASE = Release(3, "s", "debian-12", {}, {})


def test_an_app_answers_to_its_domains_and_to_that_of_the_fleet() -> None:
    assert load_fleet({"hosts": HOST, "domains": ["A.test"], "domain": "Apps.Test"}, "hello").names == (
        "a.test",
        "hello.apps.test",
    )
    assert load_fleet({"hosts": HOST}, "hello").names == ()


def test_dynos_are_told_the_default_domain() -> None:
    told = releases.metadata("hello", RELEASE, "hello.apps.test")
    assert told["HEROKU_APP_DEFAULT_DOMAIN_NAME"] == "hello.apps.test"
    assert "HEROKU_APP_DEFAULT_DOMAIN_NAME" not in releases.metadata("hello", RELEASE)


def test_claims_are_kept_as_they_were() -> None:
    full = Claims(("a.test",), "192.0.2.100", ("10.0.0.0/8",))
    assert claims.read(full.as_dict()) == full
    assert claims.read({}) == Claims()
    assert Claims().as_dict() == {}


def test_two_apps_cannot_have_one_domain() -> None:
    seen = fleet()
    seen.apply(spec(app="first", domains=["a.test", "b.test"]))
    with pytest.raises(InputError) as error:
        seen.plan(spec(app="second", domains=["B.test", "*.test"]))
    assert [(str(p.where), p.summary) for p in error.value.problems] == [
        ("one/192.0.2.1", "b.test is a domain of the app first already")
    ]


def test_an_app_whose_domain_was_taken_out_leaves_it_to_others() -> None:
    seen = fleet()
    seen.apply(spec(app="first", domains=["a.test"]))
    seen.apply(spec(app="first", domains=["c.test"]))
    seen.apply(spec(app="second", domains=["a.test"]))
    assert seen.plan(spec(app="second", domains=["a.test"])).empty


def test_names_with_their_source_and_the_routers_that_know_them() -> None:
    seen, wanted = (
        fleet(),
        spec(hosts={"one": "router dynos logplex build", "two": "router"}, domain="apps.test"),
    )
    seen.apply(wanted)
    seen.machines["two"].remove(nginx.LOADED)
    later = spec(hosts={"one": "router dynos logplex build", "two": "router"}, domains=["a.test"])
    found = status.domains(later.fleet, ("b.test",), seen.facts(later, later.fleet.hosts))
    assert [tuple(row.values()) for row in found] == [
        ("a.test", "domains in fleet.json", [], ["one", "two"]),
        ("b.test", "deploy domains add", [], ["one", "two"]),
        ("hello.apps.test", "nothing; the next apply takes it out", ["one"], []),
    ]


def test_without_domains_the_app_has_its_name_and_the_addresses_of_the_routers() -> None:
    seen, wanted = fleet(), spec(virtual_address="192.0.2.100")
    seen.apply(wanted)
    found = status.domains(wanted.fleet, (), seen.facts(wanted, wanted.fleet.hosts))
    assert [(row["domain"], row["routers"]) for row in found] == [
        ("hello", ["one"]),
        ("192.0.2.1", ["one"]),
        ("192.0.2.100", ["one"]),
    ]


def test_the_ports_of_a_router_expect_one_thing_whichever_app_asks_or_leaves() -> None:
    seen, acme = fleet(), {"acme": {"email": "ada@example.com"}}
    secured = spec(app="first", domains=["a.test"], tls=acme)
    plain = spec(app="second", domains=["b.test"], routing={"proxy_protocol": ["10.0.0.0/8"]})

    def expects() -> list[bool]:
        files = ("deployer.conf", "deployer_tls.conf")
        texts = (seen.machines["one"].text(f"/etc/nginx/conf.d/{name}") for name in files)
        return [" proxy_protocol;" in text for text in texts]

    seen.apply(secured)
    seen.apply(plain)
    assert expects() == [True, True]
    assert (seen.plan(plain).empty, seen.plan(secured).empty) == (True, True)
    seen.run(seen.gone(plain))
    assert expects() == [False, False]
    assert seen.plan(secured).empty
