"""What is blotted out of all that is told."""

from __future__ import annotations

from deployer.model.blots import SHORTEST, blots, blotted


def test_each_line_of_a_secret_counts_and_longer_ones_first() -> None:
    assert blots(["part", "first\nthe part of it\nabc", "part"]) == ("the part of it", "first", "part")
    assert blots(["x" * (SHORTEST - 1)]) == ()


def test_no_part_of_a_longer_secret_stays() -> None:
    assert blotted("say the part of it, first", blots(["part", "the part of it"])) == "say (secret), first"
