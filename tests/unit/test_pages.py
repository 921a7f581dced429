"""The pages of routers: what stands in them, and which URLs may."""

from __future__ import annotations

import pytest

from deployer.model.steps import Text
from deployer.problems import InputError
from deployer.providers.nginx.pages import ERROR, MAINTENANCE, pages


def config(**values: str) -> dict[str, Text]:
    return {name: Text(value, secret=True) for name, value in values.items()}


def test_plain_pages_say_what_is_wrong() -> None:
    found = pages({})
    titles = {"error": "Application error", "maintenance": "Offline for maintenance", "empty": "No web dynos"}
    assert all(f"<title>{title}" in found[kind] for kind, title in titles.items())


def test_each_url_has_its_pages() -> None:
    found = pages(config(**{ERROR: "https://a.example/e", MAINTENANCE: "http://b.example/m"}))
    frames = dict.fromkeys(("error", "empty"), "<iframe src='https://a.example/e'>")
    assert all(frame in found[kind] for kind, frame in frames.items())
    assert "<iframe src='http://b.example/m'>" in found["maintenance"]


@pytest.mark.parametrize("sign", ['"', "'", "$", "\\", "<", ">", "`", "{", "}"])
def test_no_sign_of_a_url_means_anything_to_nginx_or_html(sign: str) -> None:
    page = pages(config(**{ERROR: f"https://a.example/x{sign}y?a=1&b=2"}))["error"]
    assert f"src='https://a.example/x%{ord(sign):02X}y?a=1&amp;b=2'" in page
    assert not {'"', "$", "\\"} & set(page)


@pytest.mark.parametrize("kind", ["error", "maintenance", "empty"])
def test_no_page_holds_what_would_end_its_string_in_nginx(kind: str) -> None:
    assert not {'"', "$", "\\"} & set(pages({})[kind])


@pytest.mark.parametrize(
    "url", ["sorry.html", "//a.example/", "ftp://a.example/", "https:///x", "https://a b/", "javascript:1",
            "https://a.example/\n", "https://[a/", "https://a.example/" + "x" * 2000],
)  # fmt: skip
def test_what_is_no_absolute_url_is_refused_by_name(url: str) -> None:
    if url.strip() != url:
        url = url.strip() + "\nx"
    with pytest.raises(InputError, match=f"{ERROR} is no absolute http or https URL"):
        pages(config(**{ERROR: url}))


def test_an_empty_value_is_none() -> None:
    assert pages(config(**{ERROR: " "})) == pages({})
