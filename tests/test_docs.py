"""The documents: links lead somewhere, commands and flags exist, pictures are whole, and the worked example works."""

from __future__ import annotations

import json
import re
import shlex
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fleets
import jinja2
import pytest
import typer
from jsonschema import Draft202012Validator

from deployer.cli.app import app
from deployer.cli.heroku import HERE
from deployer.planning import planner
from deployer.source import data
from deployer.spec.fleet import load_fleet

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("changes/*.md"), *ROOT.glob("examples/*/*.md")]
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
CODE = re.compile(r"`(deploy [^`]+)`")
LINE = re.compile(r"^(?:[#$] |\s*- )?(deploy .+)$", re.M)
EXAMPLE = re.compile(r"^\s*Example: (deploy .+)$", re.M)
SHELL = {"|", "||", "&&", ";", ">", "#"}
COMMAND: Any = typer.main.get_command(app)
OWN = {"--debug", "--help"}.union(*(option.opts for option in COMMAND.params))
"""Flags of `deploy` itself."""


def anchors(page: Path) -> set[str]:
    """What GitHub makes of each heading."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        found = LINK.findall(FENCE.sub("", page.read_text("utf-8")))
        yield from ((page, link) for link in found if not re.match(r"[a-z]+:", link))


def commands() -> Iterator[tuple[str, str]]:
    """`(where, command)` of all that a page or the help tells a reader to type."""
    for page in PAGES:
        text = page.read_text("utf-8")
        fenced = [
            line
            for kind, body in FENCE.findall(text)
            if kind in ("console", "yaml")
            for line in LINE.findall(body)
        ]
        for command in (*fenced, *CODE.findall(FENCE.sub("", text))):
            yield page.name, command
    yield from (("heroku", hint[hint.rindex("deploy ") :]) for hint in HERE.values() if "deploy " in hint)
    yield from (
        ("help", found) for command in leaves(COMMAND) for found in EXAMPLE.findall(command.help or "")
    )


def leaves(command: Any) -> Iterator[Any]:
    children = getattr(command, "commands", {})
    yield from (leaf for child in children.values() for leaf in leaves(child)) if children else [command]


def parse(line: str) -> None:
    """Raises for a command or a flag that is not there. Nothing is run."""
    words = shlex.split(line, comments=True)[1:]
    end = next((i for i, word in enumerate(words) if word in SHELL), len(words))
    command = COMMAND
    words = [word for word in words[:end] if word not in OWN]
    while words and hasattr(command, "commands"):
        name = words.pop(0)
        assert name in command.commands, f"no such command: {name}"
        command = command.commands[name]
    if words or not hasattr(command, "commands"):
        command.make_context(command.name, words)


@pytest.mark.parametrize(
    ("page", "link"), [pytest.param(*pair, id=f"{pair[0].name}:{pair[1]}") for pair in links()]
)
def test_relative_links_lead_somewhere(page: Path, link: str) -> None:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    assert target.exists()
    assert not anchor or anchor in anchors(target)


@pytest.mark.parametrize("command", [pytest.param(c, id=f"{p}:{c}") for p, c in sorted(set(commands()))])
def test_commands_and_flags_exist(command: str) -> None:
    parse(command)


@pytest.mark.parametrize(
    "command", ["deploy nothing", "deploy plan --nothing", "deploy logs -n none", "deploy lab sideways"]
)
def test_a_command_that_is_not_there_is_found(command: str) -> None:
    with pytest.raises(Exception, match=r"(?i)no such|nothing|valid|unexpected"):
        parse(command)


def test_every_command_is_in_the_first_steps() -> None:
    page = (ROOT / "docs/getting-started.md").read_text("utf-8")
    missing = [c.name for c in leaves(COMMAND) if not re.search(rf"deploy (\w+ )?{c.name}\b", page)]
    assert missing in ([], ["status"])


@pytest.mark.parametrize("picture", sorted(ROOT.glob("docs/*.svg")), ids=lambda path: path.name)
def test_pictures_bring_their_background(picture: Path) -> None:
    """A page is light or dark; a picture with a ground of its own can be read on both."""
    root = ElementTree.parse(picture).getroot()
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    grounds = (e.attrib for e in root if e.tag.endswith("rect") and e.attrib.get("fill", "none") != "none")
    assert any(float(g["width"]) >= width - 2 and float(g["height"]) >= height - 2 for g in grounds)
    assert root.find("{*}title") is not None


@pytest.fixture
def worked_example() -> Any:
    """The provider of docs/add-a-provider.md, made from the page."""
    blocks = dict(FENCE.findall((ROOT / "docs/add-a-provider.md").read_text("utf-8")))
    room: dict[str, Any] = {"__name__": "logrotate"}
    exec(compile(blocks["python"], "add-a-provider.md", "exec"), room)
    room["render"] = from_page(blocks["jinja"])
    return room["LogrotateProvider"]()


def from_page(template: str) -> Callable[..., str]:
    made = jinja2.Template(template, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return lambda name, **values: made.render(**values)


def test_the_worked_example_works(worked_example: Any) -> None:
    wanted = fleets.spec({"one": fleets.ALL, "two": "router"})
    plan = planner.plan(fleets.fleet().world(wanted), [worked_example])
    assert [c.address for c in plan.changes] == ["logrotate/one/file:/etc/logrotate.d/deployer.hello"]
    assert [s.say for c in plan.changes for s in c.steps] == ["write /etc/logrotate.d/deployer.hello"]


@pytest.mark.parametrize(
    "page", [p for p in PAGES if "```json" in p.read_text("utf-8")], ids=lambda p: p.name
)
def test_files_in_pages_are_sound(page: Path) -> None:
    for body in (json.loads(body) for kind, body in FENCE.findall(page.read_text("utf-8")) if kind == "json"):
        Draft202012Validator(data.schema("fleet" if "hosts" in body else "app")).validate(body)
        assert "hosts" not in body or load_fleet(body, "folder").app == "shop"
