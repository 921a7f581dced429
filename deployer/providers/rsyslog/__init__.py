"""The logplex: every host takes the lines of its dynos and router and sends them to the logplex hosts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from deployer.model.steps import Put, Sh, Stage, Step, Text
from deployer.providers import parts
from deployer.providers.base import About, plain_cause, render, roles
from deployer.spec.fleet import Host
from deployer.spec.spec import Spec
from deployer.world.facts import Facts, Probe
from deployer.world.world import World

CONF = "/etc/deployer/rsyslog/{}.conf"
UNIT = "/etc/systemd/system/deployer.{}.service"
SOCKET = "/etc/systemd/system/deployer.log.socket"
LOADED = "/run/deployer/{}.loaded"
RELP_PORT = 20514
QUEUE_MB = 256
"""Disk that a host gives to the lines for one logplex host that is slow or down."""
LOOK = 2
"""Seconds between two looks at what the queues lost."""
ROTATE_BYTES = 16 << 20
KINDS = ("log", "logplex")
_TAKES = "Every host takes the lines of its dynos and its router and sends them to the logplex hosts."
FOLDERS = ("/run/deployer", "/var/lib/deployer/spool", "/var/lib/deployer/logs")


@dataclass(frozen=True)
class RulesSeen:
    """`loaded` is the digest of the rules that the running rsyslogd was started with."""

    key: str
    rules: str | None
    loaded: str | None
    active: bool
    enabled: bool


@dataclass(frozen=True)
class Rules:
    """`log` on every host: input, queue, forwarding. `logplex` on logplex hosts: files."""

    key: str
    rules: Text

    def expect(self) -> RulesSeen:
        return RulesSeen(self.key, self.rules.sha, self.rules.sha, True, True)


class RsyslogProvider:
    name = "rsyslog"
    base = ("*",)

    def desire(self, world: World, host: Host) -> Iterator[Any]:
        if not host.roles:
            return
        yield parts.File(SOCKET, render("rsyslog/socket.j2"), stage=Stage.LOGS)
        for kind in _kinds(host):
            yield parts.unit_file(
                UNIT.format(kind), render("rsyslog/service.j2", kind=kind), stage=Stage.LOGS
            )
        yield parts.Unit("deployer.log.socket", stage=Stage.LOGS)
        for kind in _kinds(host):
            yield Rules(kind, _rules(world, kind))

    def probe(self, app: str) -> Probe:
        files = {template.format(kind) for kind in KINDS for template in (CONF, UNIT)}
        return Probe(
            files=frozenset(files | {SOCKET}),
            texts=frozenset(LOADED.format(kind) for kind in KINDS),
            units=frozenset({"deployer.log.socket", *(f"deployer.{kind}.service" for kind in KINDS)}),
        )

    def observe(self, app: str, facts: Facts) -> Iterator[Any]:
        yield from parts.see_files(facts, (SOCKET, *(UNIT.format(kind) for kind in KINDS)))
        yield from parts.see_units(facts, ["deployer.log.socket"])
        for kind in KINDS:
            unit = f"deployer.{kind}.service"
            if rules := facts.sha(CONF.format(kind)):
                loaded = parts.loaded(facts, LOADED.format(kind))
                yield RulesSeen(kind, rules, loaded, facts.active(unit), facts.enabled(unit))

    def converge(self, want: Any, have: Any, differs: frozenset[str]) -> Iterable[Step]:
        """The logplex serves every app of a host, so no app's plan removes it."""
        if isinstance(want, Rules):
            return _take(want, have, differs)
        return parts.converge(want, have, differs) if want else ()

    def cause(self, world: World, want: Any, have: Any, differs: frozenset[str]) -> str:
        if isinstance(want, Rules) and differs == {"loaded"}:
            return "the running rsyslogd has other rules than the file"
        return plain_cause(want, have, differs)

    def about(self, spec: Spec, host: Host, key: str) -> About:
        if key not in KINDS:
            return parts.about(spec, host, key, _TAKES)
        plexes = (roles(spec, other) for other in spec.fleet.with_role("logplex"))
        asks = tuple(dict.fromkeys((roles(spec, host), *plexes)))
        places = (CONF.format(key), f"deployer.{key}.service", LOADED.format(key))
        rule = f"{_TAKES} The running rsyslogd must have taken in what the file says."
        role = "logplex" if key == "logplex" else "every role"
        return About(asks, places, rule, drop=f"take {role} from {host.name}, in fleet.json")


def _kinds(host: Host) -> tuple[str, ...]:
    return KINDS if "logplex" in host.roles else KINDS[:1]


def _rules(world: World, kind: str) -> Text:
    targets = tuple((host.name, host.mesh) for host in world.with_role("logplex"))
    template = {"log": "rsyslog/base.conf.j2", "logplex": "rsyslog/logplex.conf.j2"}[kind]
    limits = {"megabytes": QUEUE_MB, "rotate_bytes": ROTATE_BYTES, "look": LOOK}
    return render(template, targets=targets, port=RELP_PORT, **limits)


def _take(want: Rules, have: RulesSeen | None, differs: frozenset[str]) -> Iterator[Step]:
    path, unit = CONF.format(want.key), f"deployer.{want.key}.service"
    if have is None or "rules" in differs:
        yield Step(Stage.LOGS, f"write {path}", Put(path, want.rules))
    folders = Sh(("mkdir", "-p", *FOLDERS))
    yield Step(Stage.LOGS, f"make the folders of {unit}", folders)
    yield Step(Stage.LOGS, f"check {path}", Sh(("rsyslogd", "-N1", "-f", path)))
    yield parts.systemctl("enable", unit, stage=Stage.LOGS, say=f"enable {unit}")
    yield parts.systemctl("restart", unit, stage=Stage.LOGS, say=f"have {unit} take its rules in")
