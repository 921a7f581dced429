"""World and facts in, plan and steps out: one behaviour a file of `cases/<provider>`.

`before` are the worlds that were applied to empty hosts, `drift` is what then happened on the hosts behind the
deployer's back, `world` is what is wanted now (null: the app is destroyed); words that a world leaves out are
those of `fleets.spec`. `plan` and `steps` are what the provider of the folder answers. Digests are shown as
<a>, <b>… in the order in which they appear. `pytest --update` writes both anew; read the diff.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from certs import pair
from fleets import Fleet, fleet, in_order, spec
from machine import Machine

from deployer.engine import decision
from deployer.model.plan import Plan
from deployer.model.steps import Sh
from deployer.providers import PROVIDERS
from deployer.views.plan import plan as shown
from deployer.views.text import value

HOME = Path(__file__).parent / "cases"
NAMES = {provider.name for provider in PROVIDERS}
CASES = sorted(file for name in NAMES for file in (HOME / name).glob("*.json"))


def drift(machine: Machine, what: str, *words: Any) -> None:
    match what, words:
        case "stop", [unit]:
            machine.stop(unit)
        case "crash", [key]:
            machine.crash(key)
        case "deaf", [key]:
            machine.deaf.add(key)
        case "write", [path, content]:
            machine.write(path, content)
        case "touch", [path]:
            machine.write(path, machine.text(path) + "# by hand\n")
        case "mode", [path, mode]:
            machine.write(path, machine.text(path), int(mode, 8))
        case "edit", [path, old, new]:
            assert old in machine.text(path)
            machine.write(path, machine.text(path).replace(old, new))
        case "remove", [path]:
            before = (dict(machine.files), set(machine.folders))
            machine.remove(path)
            assert before != (machine.files, machine.folders)
        case "folder", [path]:
            machine.folders.add(path)
        case "purge", [package]:
            machine.purge(package)
        case "rules", [table, rules]:
            machine.tables[table] = rules
        case "listen", [port, process]:
            machine.listeners[port] = process
        case "certificate", [path, names, days]:
            machine.write(path, pair(names, days).chain + pair(names, days).key, 0o600)
        case "restart", [unit]:
            machine.start(unit)
        case "reload", []:
            machine.start("nginx.service")
        case "refuse", [words]:
            machine.refusal = words
            machine.certify("hello")
        case "boot", broken:
            machine.boot(*broken)
        case _:
            raise ValueError(f"no drift is called {what} {words}")


def planned(case: dict[str, Any], provider: str) -> Plan:
    seen: Fleet = fleet()
    for world in case.get("before", []):
        seen.apply(spec(**world))
    for host, *what in case.get("drift", []):
        drift(seen.machines[host], *what)
    if case["world"] is None:
        whole = seen.gone(spec(**case["before"][-1]))
        changes = tuple(c for c in whole.changes if c.address.startswith(f"{provider}/"))
        return Plan(whole.app, whole.release, changes, 0, whole.hosts)
    return seen.plan(spec(**(case["world"] | promoted(case))), only=provider)


def promoted(case: dict[str, Any]) -> dict[str, str]:
    """`"slug": true` is the slug of the last world before."""
    if not case["world"].get("slug"):
        return {}
    return {"slug": decision.build_of(spec(**case["before"][-1])).digest}


def lines(plan: Plan) -> list[str]:
    """Every change of every host, with the fields of what is updated, digests and all; then how it goes."""
    changes = [line for host in plan.hosts for line in _of_host(plan.on(host).as_dict())]
    end = shown(plan.as_dict(), 0.0).rpartition("\n\n")[2].splitlines()
    return [*changes, *(re.sub(r" to delete, \d+ in sync .*", " to delete", line) for line in end)]


def _of_host(document: dict[str, Any]) -> list[str]:
    changes = [line for change in document["changes"] for line in _change(change)]
    return [*document["hosts"], *changes] if changes else []


def _change(change: dict[str, Any]) -> list[str]:
    provider, _, key = change["address"].split("/", 2)
    sign = {"create": "+", "update": "~", "delete": "-"}[change["action"]]
    fields = change["fields"] if change["action"] == "update" else []
    told = [f"      {f['name']}: {value(f['before'])} → {value(f['after'])}" for f in fields]
    return [f"  {sign} {provider}/{key}  ({change['cause']})", *told]


def steps(plan: Plan) -> list[str]:
    """`STAGE host: words`, the host where there are several; `< content` where a command gets some."""
    several = len(plan.hosts) > 1
    return [
        f"{step.stage.name} {f'{host}: ' if several else ''}{step.say}"
        + (" < content" if isinstance(step.act, Sh) and step.act.stdin else "")
        for host, step in in_order(plan)
    ]


def labelled(said: list[str]) -> list[str]:
    """Digests by letter: a changed template is no changed behaviour."""
    names: dict[str, str] = {}

    def label(found: re.Match[str]) -> str:
        return names.setdefault(found[0][:8], f"<{chr(97 + len(names))}>")

    return [re.sub(r"(?<![0-9A-Za-z])(?=[0-9a-f]*\d)[0-9a-f]{8,64}\b", label, line) for line in said]


@pytest.mark.parametrize("file", CASES, ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_case(file: Path, update: bool) -> None:
    case = json.loads(file.read_text("utf-8"))
    plan = planned(case, file.parent.name)
    both = labelled([*lines(plan), "", *steps(plan)])
    found = {"plan": both[: both.index("")], "steps": both[both.index("") + 1 :]}
    if update:
        file.write_text(json.dumps(case | found, indent=2, ensure_ascii=False) + "\n", "utf-8")
    assert found == {key: case.get(key) for key in found} or update


def test_every_provider_has_cases() -> None:
    assert {file.parent.name for file in CASES} == NAMES
    assert len(CASES) > 40
