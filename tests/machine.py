"""A host in memory: it takes the steps of a plan, and answers the probe as `remote/on_host/probe.py` does.

What a step does here is what it is for, no more: a unit starts when what it reads is there, a service notes
what it took in. An act that nobody taught the machine is an error, so no step goes by unseen.
"""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import impossible
from certs import pair
from unitfiles import FOLDER, file_of, required, taken_away

from deployer.model.steps import Fetch, Put, Send, Sh, Text, sha
from deployer.world.facts import Facts, Probe, read

BIN = "/var/lib/deployer/bin"
GUARDS = "/var/lib/deployer/guard"
DYNOS, APPS, STACKS = ("/var/lib/deployer/" + name for name in ("dynos", "apps", "stacks"))
SITES, WALLS = "/etc/nginx/conf.d/", "/etc/deployer/nftables/"
NGINX = "/etc/nginx/nginx.conf"
ON, OFF = ("active", "running"), ("inactive", "dead")
WRITTEN: dict[str, dict[str, Any]] = {}
"""What the maker of a slug has written down, for those that fetch it: they do so under its name."""


@cache
def globs(patterns: frozenset[str]) -> re.Pattern[str]:
    """What matches any of them."""
    any_of = (fnmatch.translate(pattern).replace(".*", "[^/]*") for pattern in sorted(patterns))
    return re.compile("|".join(any_of) or "(?!)")


class Refused(Exception):
    """What a real host would have answered with an exit status other than 0."""


@dataclass
class Unit:
    active: str = "inactive"
    sub: str = "dead"
    enabled: str = "disabled"


@dataclass
class Machine:
    name: str
    memory: int = 65536
    python: bool = True
    files: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    """`path: (content, mode, owner)`."""
    folders: set[str] = field(default_factory=set)
    units: dict[str, Unit] = field(default_factory=dict)
    packages: set[str] = field(default_factory=lambda: {"python3"})
    tables: dict[str, str] = field(default_factory=dict)
    """The kernel's: the rules that each was loaded from."""
    listeners: dict[int, str] = field(default_factory=dict)
    interfaces: dict[str, str] = field(default_factory=dict)
    """Network interfaces by `address/prefix`: whoever makes a fleet gives each machine its own."""
    deaf: set[str] = field(default_factory=set)
    """Dynos that run and do not accept."""
    ran: list[str] = field(default_factory=list)
    """Commands that ran once, in dynos of their own."""
    refusal: str = ""
    """Why the CA gives no certificate."""
    said: list[str] = field(default_factory=list)
    """Lines of `app[api]` that this host wrote, in order."""
    release: str = ""
    """What bin/release of the last buildpack prints in a build here."""
    noted: set[tuple[str, str]] = field(default_factory=set)
    """`(path, content)` of each mark that a daemon has left here."""

    # what it shows

    def look(self, probe: Probe) -> Facts:
        """Raises ImpossibleError for a host that could never be, as `act` does."""
        impossible.refuse(self)
        return read(self.name, self.document(probe))

    def document(self, probe: Probe) -> dict[str, Any]:
        """What the probe prints, and only what it was asked for."""
        return {
            "version": 1,
            "codename": "bookworm",
            "cgroup": 2,
            "apparmor": True,
            "memory": self.memory,
            "disk_free": 20000,
            "addresses": [address.partition("/")[0] for address in self.interfaces],
            "interfaces": self.interfaces,
            "lines": self.lines(probe.lines),
            "resolvers": ["192.0.2.53"],
            "listeners": {str(port): name for port, name in self.listeners.items()},
            "files": {
                path: {
                    "sha": sha(self.files[path][0]),
                    "mode": self.files[path][1],
                    "owner": self.files[path][2],
                }
                for path in self.matching(self.files, probe.files)
            },
            "texts": {path: self.files[path][0] for path in self.matching(self.files, probe.texts)},
            "private": {path: self.files[path][0] for path in self.matching(self.files, probe.private)},
            "readable": {
                path: self.files[path][0]
                for path in self.matching(self.files, probe.readable)
                if self.files[path][1] & 0o004
            },
            "folders": self.matching(self.folders | self.parents(), probe.folders),
            "units": {n: vars(self.units[n]) for n in self.matching(self.units, probe.units)},
            "packages": dict.fromkeys(sorted(self.packages & probe.packages), "1"),
            "tables": {n: self.table(n) for n in sorted(self.tables.keys() & probe.tables)},
            "answers": self.answers(),
        }

    @staticmethod
    def matching(names: Any, patterns: frozenset[str]) -> list[str]:
        """As glob has it: a star does not match a slash."""
        return sorted(filter(globs(patterns).match, names))

    def lines(self, wanted: Any) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for pattern, fits in sorted(wanted):
            for path in self.matching(self.files, frozenset({pattern})):
                if fitting := [
                    line.strip() for line in self.text(path).splitlines() if re.search(fits, line)
                ]:
                    found[path] = found.get(path, []) + fitting
        return found

    def parents(self) -> set[str]:
        parts = [path.split("/") for path in self.files]
        return {"/".join(names[:n]) for names in parts for n in range(2, len(names))}

    def table(self, name: str) -> dict[str, Any]:
        rules = self.tables[name]
        ports = re.findall(r"(\d+) : (\d+\.\d+\.\d+\.\d+) \. (\d+)", rules)
        return {"sha": sha("listed " + rules), "ports": {host: f"{to}:{port}" for host, to, port in ports}}

    def answers(self) -> dict[str, bool]:
        found = {}
        for key in self.dynos():
            dyno = json.loads(self.text(f"{DYNOS}/{key}/dyno.json"))
            if dyno["port"]:
                found[f"{dyno['address']}:{dyno['port']}"] = self.is_up(key) and key not in self.deaf
        return found

    def is_up(self, key: str) -> bool:
        return self.units.get(f"deployer.dyno@{key}.service", Unit()).active == "active"

    def dynos(self) -> list[str]:
        """Of those that have a place, the keys."""
        places = [path for path in self.files if path.startswith(DYNOS) and path.endswith("/dyno.json")]
        return sorted(path.split("/")[-2] for path in places)

    def text(self, path: str) -> str:
        return self.files[path][0]

    # what it does

    def act(self, act: Put | Sh | Send | Fetch) -> None:
        self._act(act)
        impossible.refuse(self)

    def _act(self, act: Put | Sh | Send | Fetch) -> None:
        match act:
            case Put():
                self.write(act.path, act.content.reveal(), act.mode, act.owner)
            case Send():
                app, digest = act.argv[1:3]
                self.needs_script(act.argv[0])
                order = json.loads(dict(act.texts)["build.json"].reveal())
                self.needs(f"{STACKS}/{order['image']}")
                self.hold(f"{APPS}/{app}/slugs/{digest}", {**order, "release": self.release, "procfile": ""})
            case Fetch():
                self.needs_script(f"{BIN}/fetch")
                path = f"/var/lib/deployer/{act.into or act.item}"
                self.hold(path, WRITTEN.get(f"/var/lib/deployer/{act.item}"))
            case Sh():
                self.sh(act.argv, act.stdin or Text(""))

    def hold(self, folder: str, record: dict[str, Any] | None) -> None:
        """An image or a slug, with what was written down about it where it was made."""
        self.folders.add(folder)
        if record:
            WRITTEN[folder] = record
            self.write(f"{folder}/.slug.json", json.dumps(record, sort_keys=True))

    def write(self, path: str, content: str, mode: int = 0o644, owner: str = "root:root") -> None:
        self.files[path] = (content, mode, owner)

    def sh(self, argv: tuple[str, ...], stdin: Text) -> None:
        match argv:
            case ("apt-get", *_, "update") | ("mkdir", "-p", *_) | ("systemctl", "daemon-reload"):
                pass
            case ("apt-get", *_, "install", "--no-install-recommends", name):
                self.install(name)
            case ("rm", "-rf", "--one-file-system", "--", *paths):
                for path in paths:
                    self.remove(path)
            case ("systemctl", "enable", unit):
                self.unit(unit).enabled = "enabled"
            case ("systemctl", "stop", unit) if unit.startswith("deployer.certificates@"):
                pass
            case ("systemctl", "restart" | "start", unit):
                self.start(unit)
            case ("systemctl", "restart", *units):
                for unit in units:
                    self.start(unit)
            case ("systemctl", "reload-or-restart", unit) if unit.startswith("deployer.vip@"):
                self.start(unit)
            case ("sed", "-E", "-i", "--follow-symlinks", _, path) if path == NGINX:
                self.write(path, self.text(path).replace("768;", "8192;"))
            case ("systemctl", "reload-or-restart", "nginx"):
                self.start("nginx.service")
            case ("systemctl", "reload-or-restart", "deployer.drains.service"):
                self.take_drains()
            case ("systemctl", "disable", "--now", unit):
                if unit in self.units:
                    self.stop(unit)
                    del self.units[unit]
            case ("rsyslogd", "-N1", "-f", path) if path in self.files:
                pass
            case ("sh", "-c", script, "sh", _) if script.startswith("systemctl reset-failed "):
                pass
            case ("nft", "-f", "-"):
                self.tables.pop(stdin.reveal().split()[2], None)
            case ("flock", _, program) if program == f"{BIN}/dyno-once":
                self.needs_script(program)
                order = json.loads(stdin.reveal())
                self.needs(*order["lower"], order["env_file"])
                self.ran.append(order["command"])
            case ("python3", script, "disarm") if script.startswith(f"{GUARDS}/"):
                self.needs(script)
                self.remove(script.removesuffix("/guard.py"))
            case (program, *words) if program.startswith(BIN):
                self.needs_script(program)
                self.script(program.removeprefix(f"{BIN}/"), words, stdin)
            case _:
                raise Refused(f"{self.name} was never taught {argv}")

    def script(self, name: str, words: list[str], stdin: Text) -> None:
        match name, words:
            case "log-say", [_, line, *marks]:
                self.said.append(line)
                for mark in marks:
                    self.write(mark, f"{len(self.said)} {line}\n")
            case "stack-make", []:
                stack = json.loads(stdin.reveal())
                for variant in stack["variants"]:
                    self.folders.add(f"{STACKS}/{stack['name']}.{stack['digest']}.{variant}")
            case "dyno-watch", [_, *keys]:
                if not all(self.is_up(key) for key in keys):
                    raise Refused(f"{keys} are not up")
            case "dyno-drain", [_, _]:
                pass
            case "mesh-take", [path]:
                if stdin.reveal():
                    self.write(path, stdin.reveal())
                self.start("nginx.service")
            case "certify", [app]:
                self.certify(app)
            case "mesh-put", [path, *shipped]:
                self.write(path, stdin.reveal())
                stock = "/etc/nginx/sites-enabled/default"
                if stock in self.files and sha(self.text(stock)) in shipped:
                    self.remove(stock)
            case "wall-take", [path]:
                self.load(path)
            case _:
                raise Refused(f"{self.name} was never taught {name} {words}")

    def install(self, name: str) -> None:
        self.packages.add(name)
        if name == "nginx-light":
            self.units["nginx.service"] = Unit(*ON, "enabled")
            self.write(NGINX, "events {\n\tworker_connections 768;\n}\n")

    def purge(self, name: str) -> None:
        self.packages.remove(name)
        if name == "nginx-light":
            del self.units["nginx.service"]
            self.remove(NGINX)

    def remove(self, path: str) -> None:
        kept = {name: file for name, file in self.files.items() if not f"{name}/".startswith(f"{path}/")}
        self.files = kept
        self.folders = {name for name in self.folders if not f"{name}/".startswith(f"{path}/")}

    def load(self, path: str) -> None:
        name = path.removeprefix(WALLS).removesuffix(".nft")
        self.tables[name] = self.text(path)
        self.mark(f"wall/{name}", f"{sha(self.text(path))}\n{self.table(name)['sha']}\n")

    def certify(self, app: str) -> None:
        """The CA gives what is asked for, unless somebody says why not."""
        if "acme-tiny" not in self.packages:
            raise Refused(f"{self.name} lacks acme-tiny")
        for domain, conf in json.loads(self.text(f"{APPS}/{app}/acme.json"))["domains"].items():
            path = f"{APPS}/{app}/certificates/automatic/{domain}"
            self.write(f"{path}.json", json.dumps({"failures": [], "said": self.refusal}), 0o600)
            if not self.refusal:
                self.write(f"{path}.pem", pair(domain).chain + pair(domain).key, 0o600)
                self.write(f"{path}.conf", conf, 0o600)
        self.start("nginx.service")

    def unit(self, name: str) -> Unit:
        """Units are made of files: systemd knows none without."""
        if name not in self.units:
            self.needs(file_of(name))
            self.units[name] = Unit()
        return self.units[name]

    def unit_file(self, name: str) -> str:
        """Its text; empty for a unit of a package's."""
        return self.files.get(file_of(name), ("",))[0]

    def start(self, name: str) -> None:
        """With what it requires, which starts first; raises Refused where it cannot run."""
        for other in required(self.unit_file(name)):
            if self.unit(other).active != "active":
                self.start(other)
        unit = self.unit(name)
        unit.active, unit.sub = ON
        self.take_in(name)

    def take_in(self, name: str) -> None:
        """What a unit does with its files when it starts."""
        if name == "nginx.service":
            ours = (
                f"{SITES}deployer",
                "/etc/nginx/modules-enabled/deployer",
                f"{APPS}/[^/]+/certificates/(automatic/)?[^/]+[.](pem|conf)$",
            )
            paths = [p for p in sorted(self.files) if any(re.match(pattern, p) for pattern in ours)]
            room = re.findall(r"^\s*worker_connections\s+\d+;.*", self.text(NGINX), re.M)
            self.mark("nginx.loaded", "\n".join((self.digests(paths), *room)))
        elif name in ("deployer.log.service", "deployer.logplex.service"):
            kind = name.split(".")[1]
            more = fnmatch.filter(sorted(self.files), "/etc/deployer/rsyslog/drains*.conf")
            self.mark(f"{kind}.loaded", self.digests([f"/etc/deployer/rsyslog/{kind}.conf", *more]))
        elif name == "deployer.drains.service":
            self.take_drains()
            code = self.matching(self.files, frozenset({f"{BIN}/drain[-_]*", f"{FOLDER}deployer.drains.s*"}))
            self.mark("drains.code", self.digests(code))
        elif name.startswith("deployer.vip@"):
            address = name.removeprefix("deployer.vip@").removesuffix(".service")
            rules = f"/etc/deployer/keepalived/{address}.conf"
            self.mark(f"vip.{address}.loaded", self.digests([rules]))
        elif name == "deployer.wall.service":
            for path in self.matching(self.files, frozenset({f"{WALLS}*.nft"})):
                self.load(path)
        elif name == "deployer.meter.service":
            paths = [*self.matching(self.files, frozenset({"/var/lib/deployer/meter/*.py"})), FOLDER + name]
            self.mark("meter.loaded", sha("".join(map(self.text, paths))) + "  -\n")
        elif name.startswith("deployer.dyno@"):
            self.start_dyno(name.removeprefix("deployer.dyno@").removesuffix(".service"))

    def digests(self, paths: list[str]) -> str:
        """As sha256sum prints them."""
        return "".join(f"{sha(self.text(p))}  {p}\n" for p in paths)

    def mark(self, name: str, content: str) -> None:
        """What a daemon notes, below /run/deployer."""
        self.write(f"/run/deployer/{name}", content)
        self.noted.add((f"/run/deployer/{name}", content))

    def take_drains(self) -> None:
        settings = fnmatch.filter(sorted(self.files), "/etc/deployer/drains/*.json")
        self.needs(
            f"{BIN}/drain-send", *(f"{BIN}/drain_{part}.py" for part in ("one", "queue", "relp", "wire"))
        )
        self.mark("drains.loaded", self.digests(settings))
        for path in settings:
            app = path.split("/")[-1].removesuffix(".json")
            tokens = [drain["token"] for drain in json.loads(self.text(path))["drains"]]
            self.folders |= {f"/var/lib/deployer/spool/drains/{app}.{token}" for token in tokens}

    def start_dyno(self, key: str) -> None:
        home = f"{DYNOS}/{key}"
        lines = self.text(f"{home}/dyno.env").splitlines()
        settings = dict(line.partition("=")[::2] for line in lines)
        self.needs(
            *settings["LOWER"].split(":"), settings["ENV_FILE"], f"{home}/dyno.json", f"{BIN}/dyno-run"
        )
        if self.units.get("deployer.network.service", Unit()).active != "active":
            raise Refused(f"{self.name} has no network for {key}")
        parts = (f"{home}/config", f"{home}/command", f"{home}/dyno.env", settings["ENV_FILE"])
        self.mark(f"dynos/{key}.loaded", sha("".join(map(self.text, parts))) + "\n")

    def needs(self, *paths: str) -> None:
        if missing := [p for p in paths if p not in self.files and p not in self.folders]:
            raise Refused(f"{self.name} lacks {' '.join(missing)}")

    def needs_script(self, path: str) -> None:
        self.needs(path)
        if not self.files[path][1] & 0o100:
            raise Refused(f"{path} cannot be run")

    # what goes wrong with it

    def crash(self, key: str) -> None:
        unit = self.units[f"deployer.dyno@{key}.service"]
        unit.active, unit.sub = "activating", "auto-restart"

    def stop(self, name: str) -> None:
        """With those that require it, as systemd does."""
        for other, unit in self.units.items():
            if unit.active == "active" and name in required(self.unit_file(other)):
                self.stop(other)
        self.units[name].active, self.units[name].sub = OFF
        for path in taken_away(name, self.unit_file(name)):
            self.remove(path)

    def boot(self, *broken: str) -> None:
        """What is enabled starts again, but for units that do not come up."""
        self.files = {path: file for path, file in self.files.items() if not path.startswith("/run/")}
        self.tables.clear()
        for unit in self.units.values():
            unit.active, unit.sub = OFF
        for name in sorted(self.units, key=lambda name: name.startswith("deployer.dyno@")):
            if name in broken:
                self.units[name].active, self.units[name].sub = "failed", "failed"
            elif self.units[name].enabled == "enabled":
                self.start(name)
