"""What is there, from facts: dynos and releases as documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.providers import nginx
from deployer.providers.drains.drain import STATES
from deployer.providers.lxc.dynos import running
from deployer.spec.drains import Drain
from deployer.spec.fleet import Fleet
from deployer.world import releases as kept
from deployer.world.facts import Facts
from deployer.world.placement import DYNOS


def dynos(app: str, facts: Mapping[str, Facts]) -> list[dict[str, Any]]:
    """Each dyno of the app, by type and number: `dyno state release host address host_port memory`."""
    found = [
        {
            "dyno": f"{dyno['type']}.{dyno['n']}",
            "state": "up" if running(key, facts[host]) not in _NOT_UP else str(running(key, facts[host])),
            "release": f"v{dyno['release']}",
            "host": host,
            "address": dyno["address"],
            "host_port": dyno["host_port"],
            "memory": dyno["memory"],
        }
        for host in sorted(facts)
        for key, dyno in facts[host].documents(DYNOS, "dyno.json")
        if dyno["app"] == app
    ]
    return sorted(
        found, key=lambda d: (d["dyno"].rpartition(".")[0], int(d["dyno"].rpartition(".")[2]), d["release"])
    )


def domains(fleet: Fleet, added: tuple[str, ...], facts: Mapping[str, Facts]) -> list[dict[str, Any]]:
    """Each name of the app, wanted or still answered to: `domain source routers missing`.

    `added` are those that commands have put on the platform.
    """
    routers = [host.name for host in fleet.with_role("router") if host.name in facts]
    answered = {name: nginx.answered(fleet.app, facts[name]) for name in routers}
    sources = _sources(fleet, added)
    left = sorted({name for names in answered.values() for name in names} - sources.keys())
    return [
        {
            "domain": domain,
            "source": source,
            "routers": [name for name in routers if domain in answered[name]],
            "missing": [name for name in routers if source != _LEFT and domain not in answered[name]],
        }
        for domain, source in (*sources.items(), *((name, _LEFT) for name in left))
    ]


def _sources(fleet: Fleet, added: tuple[str, ...]) -> dict[str, str]:
    """What asks for each name."""
    default = (fleet.default_domain,) if fleet.domain else ()
    kinds = ((fleet.domains, "domains in fleet.json"), (default, "domain in fleet.json"), (added, _ADDED))
    found = {name: source for names, source in reversed(kinds) for name in names}
    if found:
        return {name: found[name] for names, _ in kinds for name in names}
    names = nginx.own_names(fleet.app, fleet.with_role("router"), fleet.virtual_address)
    return dict.fromkeys(names, "no domains in fleet.json")


_ADDED = "deploy domains add"
_LEFT = "nothing; the next apply takes it out"
_NOT_UP = ("stopped", "booting", "crashed", "not answering")


def releases(app: str, facts: Mapping[str, Facts]) -> list[dict[str, Any]]:
    """The records, newest first, which of them is current, and what was proved of each."""
    records = kept.seen(app, facts.values())
    now = kept.current(records)
    return [
        {
            **records[n].as_dict(),
            "current": now is not None and n == now.number,
            "proof": _proof(app, facts, records[n].name),
        }
        for n in sorted(records, reverse=True)
    ]


def _proof(app: str, facts: Mapping[str, Facts], release: str) -> Mapping[str, Any] | None:
    """The latest proof of a release (`verdict.Proof.as_dict`): a host that was away keeps an older one."""
    path = f"{kept.APPS}/{app}/releases/{release}/proof.json"
    found = (facts[host].document(path) for host in sorted(facts))
    return max((proof for proof in found if proof), key=lambda proof: str(proof["when"]), default=None)


def drain(app: str, found: Drain, facts: Mapping[str, Facts]) -> dict[str, Any]:
    """One drain: `token url from state waiting lost hosts`; `state` names what troubles which host."""
    path = f"{STATES}/{app}.{found.token}.json"
    hosts = {host: document for host in sorted(facts) if (document := facts[host].document(path))}
    troubled = [f"{host}: {d['state']}, {d['error']}" for host, d in hosts.items() if d["state"] != "up"]
    return {
        "token": found.token,
        "url": found.plain,
        "from": "fleet.json" if found.declared else "command",
        "state": "; ".join(troubled) or ("up" if hosts else "unknown"),
        "waiting": sum(d["waiting"] for d in hosts.values()),
        "lost": sum(d["lost"] for d in hosts.values()),
        "hosts": hosts,
    }
