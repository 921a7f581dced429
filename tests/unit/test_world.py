"""What a World says of all of itself."""

from __future__ import annotations

from fleets import fleet, spec


def test_what_no_output_may_show_is_of_each_kind() -> None:
    url = "https://ada:hunter22@logs.example.com/in"
    wanted = spec(
        config={"TOKEN": "planted-token"},
        drains=[url],
        certificates={"shop.example.com": 90},
        domains=["shop.example.com"],
    )
    world = fleet().world(wanted)
    (pair,) = world.certificates.values()
    assert {"planted-token", url, pair.key} <= {text.reveal() for text in world.hidden if text.secret}
