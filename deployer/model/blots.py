"""Secrets in what is told: blotted out wherever they stand."""

from __future__ import annotations

from collections.abc import Iterable

SHORTEST = 4
"""Characters; what is shorter would blot out half of a text and is no secret."""


def blots(secrets: Iterable[str]) -> tuple[str, ...]:
    """What no line may hold: each line of each secret, longer ones first, as one may be part of another."""
    lines = {line for secret in secrets for line in secret.splitlines() if len(line) >= SHORTEST}
    return tuple(sorted(lines, key=lambda line: (-len(line), line)))


def blotted(text: str, words: Iterable[str]) -> str:
    """The text without any of these words, which `blots` gives."""
    for word in words:
        text = text.replace(word, "(secret)")
    return text
