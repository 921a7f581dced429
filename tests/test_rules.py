"""The rules of the house, read from the source: which way imports run, and who may print, read or connect."""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CODE = ROOT / "deployer"
ROOMS = (
    "problems",
    "model",
    "spec",
    "world",
    "source",
    "providers",
    "planning",
    "remote",
    "views",
    "lab",
    "engine",
    "cli",
    "__main__",
)
"""From the ground up: a room imports from itself and from those before it. `buildpacks` is data."""
APART = {"views": {"problems", "model"}, "lab": {"problems"}}
"""What a room may import where that is less."""
NETWORK = {"paramiko", "pyinfra", "fabric", "gevent", "socket"}
OWN_NETWORK = {"lab/contact.py": "the lab's machines show their SSH banner before they are handed over"}
READERS = ("source/", "lab/")
PACKAGED = {
    "providers/base.py": "packaged(): scripts that are shipped as they lie below its providers",
    "remote/channel.py": "source(): the same, for those that `remote` ships",
    "remote/known.py": "known_hosts belongs to SSH, as in OpenSSH itself",
    "__main__.py": "/dev/null, in place of a closed pipe",
}
LONGEST_FUNCTION = 40


def shipped(name: str) -> bool:
    """It runs on hosts, or in a build: it prints, reads and connects over there."""
    return "/on_host/" in name or name.startswith("buildpacks/")


FILES = sorted(path.relative_to(CODE).as_posix() for path in CODE.rglob("*.py"))
OURS = [name for name in FILES if not shipped(name)]


def tree(name: str) -> ast.Module:
    return ast.parse((CODE / name).read_text("utf-8"))


def imports(node: ast.AST) -> Iterator[tuple[int, str]]:
    """`(line, module)` of every import, also those inside functions; not those for types only."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from ((child.lineno, alias.name) for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module == "deployer":
            yield from ((child.lineno, f"deployer.{alias.name}") for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield child.lineno, child.module or ""
        yield from imports(child)


def calls(node: ast.AST) -> Iterator[tuple[int, str]]:
    """`(line, last word of what is called)`, and whether it is called on its own: `open` or `.open`."""
    for child in ast.walk(node):
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Name):
            yield child.lineno, child.func.id
        elif isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute):
            yield child.lineno, f".{child.func.attr}"


def room(name: str) -> str:
    return name.split("/")[0].removesuffix(".py")


def below(name: str) -> set[str]:
    """The rooms that one may import."""
    return APART.get(name) or set(ROOMS[: ROOMS.index(name)])


def test_the_rules_look_at_something() -> None:
    assert len(OURS) > 50
    assert {room(name) for name in OURS} == {"__init__", *ROOMS}
    assert len([name for name in FILES if "/on_host/" in name]) > 25


@pytest.mark.parametrize("name", OURS)
def test_imports_run_down(name: str) -> None:
    inner = [
        (line, module.split(".")[1]) for line, module in imports(tree(name)) if module.startswith("deployer.")
    ]
    here = room(name)
    may = below(here) | {here} if here in ROOMS else set()
    wrong = [f"deployer/{name}:{line} imports from {into}/" for line, into in inner if into not in may]
    assert wrong == [], f"{here}/ may import from: {', '.join(r for r in ROOMS if r in may) or 'nothing'}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Not even for their types, of which Python itself would not complain."""
    known = {dotted(name): name for name in OURS}
    order = TopologicalSorter({module: within(name, known.keys()) for module, name in known.items()})
    assert list(order.static_order())


def dotted(name: str) -> str:
    return f"deployer/{name}".removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def within(name: str, known: Collection[str]) -> set[str]:
    """The modules that one imports; of `from deployer.providers import parts` that is `parts` alone."""
    found: set[str] = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {module if module in known else node.module for module in names}
    return found & set(known) - {dotted(name)}


@pytest.mark.parametrize("name", OURS)
def test_only_remote_touches_the_network(name: str) -> None:
    if name.startswith("remote/") or name in OWN_NETWORK:
        return
    assert [(n, m) for n, m in imports(tree(name)) if m.split(".")[0] in NETWORK] == []


@pytest.mark.parametrize("name", OURS)
def test_only_views_print(name: str) -> None:
    if not name.startswith("views/"):
        assert [(n, call) for n, call in calls(tree(name)) if call == "print"] == []


@pytest.mark.parametrize("name", OURS)
def test_only_source_and_the_lab_use_local_files(name: str) -> None:
    if not name.startswith(READERS) and name not in PACKAGED:
        local = {"open", ".read_text", ".read_bytes", ".write_text", ".write_bytes"}
        assert [(n, call) for n, call in calls(tree(name)) if call in local] == []


@pytest.mark.parametrize("name", OURS)
def test_shipped_code_neither_asserts_nor_swallows(name: str) -> None:
    nodes = list(ast.walk(tree(name)))
    asserts = [node.lineno for node in nodes if isinstance(node, ast.Assert)]
    silent = [
        node.lineno
        for node in nodes
        if isinstance(node, ast.ExceptHandler) and all(isinstance(line, ast.Pass) for line in node.body)
    ]
    assert (asserts, silent) == ([], [])


@pytest.mark.parametrize("name", FILES)
def test_functions_are_short(name: str) -> None:
    functions = [node for node in ast.walk(tree(name)) if isinstance(node, ast.FunctionDef)]
    lengths = {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in functions}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


@pytest.mark.parametrize("name", OURS)
def test_no_text_is_glued_into_a_shell(name: str) -> None:
    """A shell's script (the word after -c) is a constant: values go into it as arguments."""
    for node in ast.walk(tree(name)):
        if not (isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Sh") and node.args):
            continue
        words = node.args[0].elts if isinstance(node.args[0], ast.Tuple) else []
        constants = [w.value if isinstance(w, ast.Constant) else None for w in words]
        after = [i + 1 for i, word in enumerate(constants) if word == "-c"]
        assert [ast.unparse(words[i]) for i in after if not isinstance(constants[i], str)] == []


def test_no_test_has_gevent_patch_the_others() -> None:
    """It patches threads and sockets for good, and is loaded by remote/connect: here, whatever was collected has been loaded."""
    monkey = sys.modules.get("gevent.monkey")
    assert monkey is None or not monkey.is_module_patched("socket")
