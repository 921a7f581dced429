"""What is wrong with a certificate is said before a router sees it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from certs import NOW, made_key, pair, pem, private_key, signed
from fleets import spec

from deployer.spec.platform import Certificate, Platform
from deployer.world import certificates

DOMAINS = ("shop.example.com",)
GOOD = pair("shop.example.com www.example.com")


def said(own: Certificate, domains: tuple[str, ...] = DOMAINS) -> list[str]:
    return [problem.summary for problem in certificates.objections(own, domains, NOW)]


def test_a_good_one_is_taken() -> None:
    assert said(GOOD) == []


def test_what_it_says_of_itself() -> None:
    found = certificates.described(GOOD.chain)
    assert found and found.names == ("shop.example.com", "www.example.com")
    assert (found.issuer, found.expires) == ("CN=Test CA", NOW + timedelta(days=90))
    assert certificates.described("nothing") is None
    assert certificates.described("-----BEGIN CERTIFICATE-----\n") is None


@pytest.mark.parametrize(
    ("names", "domain", "covered"),
    [
        ("shop.example.com", "shop.example.com", True),
        ("*.example.com", "shop.example.com", True),
        ("*.example.com", "*.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "a.shop.example.com", False),
        ("shop.example.com", "*.example.com", False),
    ],
)
def test_which_names_it_covers(names: str, domain: str, covered: bool) -> None:
    found = certificates.described(pair(names).chain)
    assert found and found.covers(domain) is covered


LEAF = signed("shop.example.com", "Middle", DOMAINS, is_public=True)
MIDDLE, ROOT = signed("Middle", "Root"), signed("Root", "Root")
KEY = private_key(made_key("shop.example.com"))
BAD = {
    "another key": (replace(GOOD, key=private_key(made_key("else"))), "is not that of the certificate"),
    "an encrypted key": (replace(GOOD, key=private_key(made_key("shop.example.com"), b"x")), "encrypted"),
    "no key": (replace(GOOD, key="nothing\n"), "no private key"),
    "no certificate": (replace(GOOD, chain="nothing\n"), "no certificate in the file"),
    "half a certificate": (replace(GOOD, chain=GOOD.chain[:300]), "cannot be read"),
    "expired": (pair("shop.example.com", -0.5), "expired on 2026-01-01"),
    "another domain": (
        pair("else.example.com"),
        "covers none of the app's domains: it is for else.example.com",
    ),
    "the CA's first": (Certificate(pem(MIDDLE) + pem(LEAF), KEY), "out of order"),
    "a gap": (Certificate(pem(LEAF) + pem(ROOT), KEY), "out of order: CN=Root has not signed"),
    "without its issuer": (
        Certificate(pem(LEAF), KEY),
        "incomplete: the certificate of CN=Middle is missing",
    ),
}


@pytest.mark.parametrize("how", BAD)
def test_a_bad_one_is_told_why(how: str) -> None:
    own, words = BAD[how]
    assert any(words in line for line in said(own)), said(own)
    assert all(problem.hint for problem in certificates.objections(own, DOMAINS, NOW))


def test_one_that_is_not_valid_yet() -> None:
    early = signed("shop.example.com", "Root", DOMAINS, begins=NOW + timedelta(days=1))
    assert said(Certificate(pem(early), KEY)) == ["the certificate is not valid before 2026-01-03 03:04 UTC"]


def test_a_root_may_be_sent_or_left_out() -> None:
    assert said(Certificate(pem(LEAF) + pem(MIDDLE), KEY)) == []
    assert said(Certificate(pem(LEAF) + pem(MIDDLE) + pem(ROOT), KEY)) == []


def test_what_soon_expires_is_noted() -> None:
    rows = {
        "a": pair("a.example.com", 29.5),
        "b": pair("b.example.com", 31),
        "c": pair("c.example.com", -0.1),
    }
    lines = list(certificates.notes(rows.items(), NOW))
    assert [line.split(".")[0] for line in lines] == [
        "The certificate a expires in 29 days",
        "The certificate c has expired",
    ]


def test_those_of_the_files_count_before_those_of_commands() -> None:
    added = Platform(serial=1, certificates={"any.example.com": GOOD, "more": GOOD})
    declared = (pair("*.example.com"), pair("*.example.com", 91))
    own = certificates.own(replace(spec(), certificates=declared), added)
    assert list(own) == ["any.example.com", "any.example.com-2", "more"]
    assert own["any.example.com"] == declared[0]


def test_a_key_shows_itself_nowhere() -> None:
    assert GOOD.key not in repr(GOOD)
    assert GOOD.key not in repr(replace(spec(), certificates=(GOOD,)))
