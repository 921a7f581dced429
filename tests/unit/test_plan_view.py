"""A plan as a person sees it: what is folded, what hosts have in common, and what changes inside files."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fleets import fleet, spec

from deployer.model.plan import NEW, Change, Field, Plan
from deployer.model.steps import Sh, Stage, Step
from deployer.views.plan import FEW, plan

DIGEST = Field("sha", "abc", "def", digest=True)


def change(key: str, action: str = "update", host: str = "one", *fields: Field, **more: Any) -> Change:
    made = Change(f"lxc/{host}/{key}", action, host, "as said", fields, ())  # type: ignore[arg-type]
    return replace(made, **more)


def told(*changes: Change, hosts: tuple[str, ...] = ("one", "two"), **how: Any) -> list[str]:
    """The lines above the summary."""
    document = Plan("hello", "v2", changes, 41, hosts).as_dict() | how.pop("more", {})
    return plan(document, 0.84, **how).splitlines()[:-2]


def base(host: str, *keys: str, action: str = "create") -> list[Change]:
    return [change(key, action, host, base=True) for key in keys]


def test_changes_with_causes_and_fields_then_how_it_goes() -> None:
    changes = (
        change("new", "create", "one", Field("place", None, "here")),
        change("other", "update", "one", Field("on", False, True), Field("what", "a", None)),
        change("old", "delete"),
    )
    document = Plan("hello", "v2", changes, 41, ("one", "two"), ("a note",)).as_dict()
    assert plan(document, 0.84).splitlines() == [
        "  + lxc/new on one  (as said)",
        "  ~ lxc/other on one  (as said)",
        "      on: no → yes",
        "      what: a → none",
        "  - lxc/old on one  (as said)",
        "",
        "a note",
        "Plan: 1 to create, 1 to update, 1 to delete, 41 in sync (2 hosts, 0.8 s)",
    ]


def test_an_empty_plan_says_so_first() -> None:
    empty = Plan("hello", "v1", (), 9, ("one",))
    assert plan(empty.as_dict(), 0.5) == (
        "No changes. Plan: 0 to create, 0 to update, 0 to delete, 9 in sync (1 host, 0.5 s)"
    )


def test_what_hosts_have_in_common_is_one_line() -> None:
    hosts = tuple(f"h{n}" for n in range(8))
    many = [change("many", host=host) for host in hosts[:7]]
    assert told(*many, change("few"), change("few", host="two"), hosts=(*hosts, "one", "two")) == [
        "  ~ lxc/many on h0, h1, h2, h3 and 3 more  (as said)",
        "  ~ lxc/few on one, two  (as said)",
    ]
    assert told(*many, hosts=hosts, every=True) == [f"  ~ lxc/many on {', '.join(hosts[:7])}  (as said)"]
    assert told(change("a"), change("a", host="two")) == ["  ~ lxc/a on all hosts  (as said)"]
    assert told(change("a"), hosts=("one",)) == ["  ~ lxc/a  (as said)"]


def test_what_differs_from_host_to_host_is_several_lines() -> None:
    one, two = (change("a", "update", host, Field("at", None, host)) for host in ("one", "two"))
    assert told(one, two) == [
        "  ~ lxc/a on one  (as said)",
        "      at: none → one",
        "  ~ lxc/a on two  (as said)",
        "      at: none → two",
    ]


def test_a_plus_needs_no_words_for_being_new() -> None:
    assert told(change("a", "create", cause=NEW)) == ["  + lxc/a on one"]


def test_what_is_done_first_is_told_first() -> None:
    late, early = ((Step(stage, "", Sh(("true",))),) for stage in (Stage.RETIRE, Stage.BUILD))
    changes = (change("late", steps=late), change("early", host="two", steps=(*early, *late)))
    assert [line.split()[1] for line in told(*changes)] == ["lxc/early", "lxc/late"]


def test_much_of_the_base_is_one_line_a_host() -> None:
    keys = ("package:a", "package:b", "file:/a:b", "unit:a", "log", "wall")
    assert told(*base("one", *keys), change("a", "create"), *base("two", *keys[:FEW])) == [
        "  + the platform's base: 2 packages, 1 file, 1 unit, 2 more on one  (--verbose names each)",
        "  + lxc/a on one  (as said)",
        *(f"  + lxc/{key} on two  (as said)" for key in keys[:FEW]),
    ]
    assert len(told(*base("one", *keys), every=True)) == len(keys)


def test_each_action_on_the_base_counts_by_itself() -> None:
    keys = [f"file:/{n}" for n in range(FEW + 1)]
    lines = told(*base("one", *keys), *base("one", "file:/x", action="update"))
    assert lines[0].startswith("  + the platform's base: 6 files on one")
    assert lines[1:] == ["  ~ lxc/file:/x on one  (as said)"]


def test_a_digest_tells_only_whether_there_is_one() -> None:
    fields = (DIGEST, replace(DIGEST, name="loaded", before=None), Field("id", "abc", "def"))
    assert told(change("a", "update", "one", *fields))[1:] == [
        "      loaded: none → there",
        "      id: abc → def",
    ]
    assert "      sha: abc → def" in told(change("a", "update", "one", *fields), every=True)


def test_verbose_shows_the_fields_of_what_is_created() -> None:
    new = change("a", "create", "one", Field("place", None, "here"))
    assert told(new) == ["  + lxc/a on one  (as said)"]
    assert told(new, every=True)[1:] == ["      place: none → here"]


DIFF = {
    "address": "lxc/one/a",
    "file": "/a",
    "diff": "--- /a\n+++ /a\n@@ -1 +1 @@\n-old\x1b[2J\n+new\n",
    "hidden": "",
}
HIDDEN = DIFF | {"file": "/b", "diff": "", "hidden": "it holds secrets"}


def test_what_changes_inside_files_stands_under_its_change() -> None:
    lines = told(change("a"), change("b"), more={"diffs": [DIFF, HIDDEN]})
    assert lines == [
        "  ~ lxc/a on one  (as said)",
        "      --- /a",
        "      +++ /a",
        "      @@ -1 +1 @@",
        "      -old\\x1b[2J",
        "      +new",
        "      /b is not shown: it holds secrets",
        "  ~ lxc/b on one  (as said)",
    ]


def test_colour_only_where_asked_for() -> None:
    changes, more = [change("a", "create")], {"diffs": [DIFF]}
    assert "\033" not in "".join(told(*changes, more=more))
    lines = told(*changes, more=more, tinted=True)
    assert lines[0] == "\033[32m  + lxc/a\033[0m on one  (as said)"
    assert [line.partition("m")[0][-2:] for line in lines[1:]] == ["[2", "[2", "[2", "31", "32"]


@pytest.mark.parametrize("every", [False, True])
def test_the_first_plan_of_a_fleet_is_read_at_a_glance(every: bool) -> None:
    hosts = {"one": "router dynos logplex build", "two": "router dynos", "three": "dynos"}
    document = fleet().plan(spec(hosts=hosts, scale={"web": 3})).as_dict()
    lines = plan(document, 0, every=every).splitlines()
    assert (len(lines) < 25) is not every
    names = {change["address"].split("/", 2)[2] for change in document["changes"]}
    told = [name for name in names if any(f"/{name} on " in line for line in lines)]
    assert (len(told) == len(names)) is every
