"""Words that a shell completes after a flag or as an argument. None of them asks a host.

Annotations are evaluated here, once: typer would evaluate their text for every flag at every start.
"""

from pathlib import Path

import typer


def environments(context: typer.Context, begun: str) -> list[str]:
    from deployer.source import words

    return _beginning(begun, words.environments(_folder(context)))


def hosts(context: typer.Context, begun: str) -> list[str]:
    from deployer.source import words

    return _beginning(begun, words.hosts(_folder(context), context.params.get("environment")))


def process_types(context: typer.Context, begun: str) -> list[str]:
    from deployer.source import words

    return _beginning(begun, words.process_types(_folder(context)))


def sources(begun: str) -> list[str]:
    return _beginning(begun, ["app", "heroku"])


def states(begun: str) -> list[str]:
    return _beginning(begun, ["on", "off"])


def _folder(context: typer.Context) -> Path:
    return Path(context.params.get("folder") or "")


def _beginning(begun: str, words: list[str]) -> list[str]:
    return [word for word in words if word.startswith(begun)]
