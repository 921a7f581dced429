"""The Procfile: what its lines mean, beyond the cases of `cases/validate`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.source import procfile

TYPES = st.from_regex(r"[A-Za-z0-9_-]{1,20}", fullmatch=True)
COMMANDS = st.text(st.characters(exclude_characters="\n\r", codec="utf-8"), min_size=1).map(str.strip)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("web: a && b | c; (d) & e", "a && b | c; (d) & e"),
        ("web:node app.js", "node app.js"),
        (" web : node app.js \t", "node app.js"),
        ("web: java -cp a:b/* X # not a comment", "java -cp a:b/* X # not a comment"),
        ('web: x --class="egg:meinheld#worker"', 'x --class="egg:meinheld#worker"'),
        ("web: A=${B:-${C:-d}} $(e) `f`", "A=${B:-${C:-d}} $(e) `f`"),
        ("web: x \u2013preload", "x \u2013preload"),
        ("web: python\r", "python"),
    ],
)
def test_a_command_is_kept_to_the_letter(line: str, command: str) -> None:
    assert procfile.parse(line) == ({"web": command}, ())


def test_types_keep_their_order_and_case() -> None:
    processes, problems = procfile.parse("release: a\nweb: b\nredis_TA-x: c\n")
    assert (list(processes), problems) == (["release", "web", "redis_TA-x"], ())


def test_a_place_for_every_type() -> None:
    text = "# c\n\n web: x\nworker: y"
    assert str(procfile.place(text, "worker")) == "Procfile:4:1"
    assert (str(procfile.place(text, "web")), procfile.place(text, "web").source) == (
        "Procfile:3:2",
        " web: x",
    )
    assert str(procfile.place(text, "clock")) == "Procfile"


@given(st.dictionaries(TYPES, COMMANDS.filter(bool), min_size=1, max_size=5))
def test_what_is_written_is_read(processes: dict[str, str]) -> None:
    text = "\n".join(f"{name}: {command}" for name, command in processes.items())
    found, problems = procfile.parse(text)
    alike = len({name.lower().replace("_", "-") for name in processes}) < len(processes)
    assert found == processes
    assert bool(problems) == alike


@given(st.text())
def test_any_text_is_processes_or_problems(text: str) -> None:
    processes, problems = procfile.parse(text)
    assert processes or problems
    assert all(problem.hint and problem.where for problem in problems)
