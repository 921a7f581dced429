"""The documents: links lead somewhere, commands and flags exist, pictures are whole, examples are of this code."""

from __future__ import annotations

import ast
import json
import re
import shlex
import textwrap
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
from deployer.model.steps import Text
from deployer.planning import planner
from deployer.providers import PROVIDERS
from deployer.source import data
from deployer.spec.fleet import load_fleet
from deployer.views.plan import plan as rendered

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


def from_page(template: str) -> Callable[..., Text]:
    made = jinja2.Template(template, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return lambda name, **values: Text(made.render(**values))


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


STYLE = (ROOT / "docs/style.md").read_text("utf-8")
LIFE = (ROOT / "docs/life-of-a-change.md").read_text("utf-8")
CUT = re.compile(r"^Do, in `([^`]+)`:\n\n```python\n(.*?)^```$", re.M | re.S)
PLACE = re.compile(r"`([\w/]+\.py): ([\w.]+)`")
FILE = re.compile(r"`([\w-]+/[\w/.-]+\.\w+)(?:: [\w.]+)?`")


def in_house(path: str) -> Path:
    """A file as the pages name it: below deployer/ or below the project."""
    return next((place for place in (ROOT / "deployer" / path, ROOT / path) if place.is_file()), ROOT / path)


def names(node: ast.Module | ast.ClassDef, before: str = "") -> Iterator[str]:
    """What a module defines, and what its classes do: `Plan.barriers`."""
    for child in node.body:
        if isinstance(child, ast.FunctionDef):
            yield before + child.name
        elif isinstance(child, ast.ClassDef):
            yield before + child.name
            yield from names(child, f"{child.name}.")
        elif isinstance(child, ast.Assign | ast.AnnAssign):
            targets = child.targets if isinstance(child, ast.Assign) else [child.target]
            yield from (before + target.id for target in targets if isinstance(target, ast.Name))


@pytest.mark.parametrize(("path", "code"), CUT.findall(STYLE), ids=[path for path, _ in CUT.findall(STYLE)])
def test_what_to_do_is_what_the_code_does(path: str, code: str) -> None:
    assert code in in_house(path).read_text("utf-8")


def test_each_rule_has_both_sides() -> None:
    rules = [rule for rule in re.split(r"^### ", STYLE, flags=re.M)[1:] if "```" in rule]
    assert len(rules) > 15
    assert [
        rule.partition("\n")[0] for rule in rules if not re.search(r"^Don't:.*^Do, ", rule, re.M | re.S)
    ] == []


def test_code_of_the_style_parses() -> None:
    for code in (body for kind, body in FENCE.findall(STYLE) if kind == "python"):
        ast.parse(textwrap.dedent(code))


def test_rules_are_held_by_tests_that_exist() -> None:
    tests = {
        name for file in (ROOT / "tests").rglob("*.py") for name in names(ast.parse(file.read_text("utf-8")))
    }
    said = set(re.findall(r"`(test_\w+)`", STYLE))
    assert len(said) > 10
    assert said - tests == set()


def test_the_case_of_the_style_is_one() -> None:
    (shown,) = (json.loads(body) for kind, body in FENCE.findall(STYLE) if kind == "jsonc")
    case = json.loads((ROOT / "tests/cases/lxc/crashed.json").read_text("utf-8"))
    assert shown == {key: case[key] for key in shown}


def test_the_life_of_a_change_names_what_is_there() -> None:
    places = PLACE.findall(LIFE)
    assert len(places) > 30
    missing = [
        (path, name)
        for path, name in places
        if name not in set(names(ast.parse(in_house(path).read_text("utf-8"))))
    ]
    assert missing == []


@pytest.mark.parametrize("page", [STYLE, LIFE], ids=["style", "life-of-a-change"])
def test_files_that_pages_name_are_there(page: str) -> None:
    assert [path for path in FILE.findall(page) if not in_house(path).is_file()] == []


def test_the_providers_are_told_in_their_order() -> None:
    page = (ROOT / "docs/architecture.md").read_text("utf-8")
    (said,) = re.findall(r"^The providers, in order: (.*?)\.$", page, re.M | re.S)
    assert re.findall(r"`(\w+)`", said) == [provider.name for provider in PROVIDERS]


def test_the_life_of_a_change_shows_its_plan() -> None:
    shop = {"hosts": {"one": fleets.ALL, "two": "dynos"}, "app": "shop"}
    seen = fleets.fleet()
    seen.apply(fleets.spec(**shop, scale={"web": 2}))
    plan = seen.plan(fleets.spec(**shop, scale={"web": 3}))
    whole = rendered(plan.as_dict(), 0)
    took = whole.rpartition(", 0.0 s)")[0]
    assert f"```\n{took}, " in LIFE
