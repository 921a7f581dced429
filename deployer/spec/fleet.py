"""What a fleet is: `fleet.json` as typed, frozen values."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator

from deployer.spec.app import Scale, Value
from deployer.spec.https import OwnCertificate, Tls
from deployer.spec.sizes import DEFAULT_SIZE, SIZES, Size, megabytes
from deployer.spec.values import FromCommand as FromCommand
from deployer.spec.values import FromEnv as FromEnv
from deployer.spec.values import FromFile as FromFile
from deployer.spec.values import Literal as Literal
from deployer.spec.values import Source as Source

ROLES = ("router", "dynos", "logplex", "build", "data")


class Host(Value):
    """One machine. `mesh` is the address that the other hosts use for it; `memory` is in MB."""

    name: str
    address: str
    port: int = 22
    user: str = "root"
    key: str | None = None
    jump: str | None = None
    roles: frozenset[str] = frozenset()
    labels: dict[str, str] = {}
    memory: int | None = Field(default=None, json_schema_extra={"file": "capacity.memory"})
    mesh: str = Field(default="", validation_alias="private_address")

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, raw: Any) -> Any:
        if not isinstance(raw, dict) or "capacity" not in raw:
            return raw
        rest = {key: value for key, value in raw.items() if key != "capacity"}
        return rest | {"memory": megabytes(raw["capacity"].get("memory"))}

    def model_post_init(self, _context: object, /) -> None:
        """Other hosts use the public address where there is no private one."""
        if not self.mesh:
            object.__setattr__(self, "mesh", self.address)


class Rollout(Value):
    """How one release takes the place of another. `batch` and `floor` are numbers of dynos or "50%"."""

    batch: int | str | None = None
    floor: int | str | None = None
    watch: int = 3
    drain: int = 30


class BuildLimits(Value):
    """What one build may use: seconds for all of it, memory in MB (Heroku contract 7.3)."""

    timeout: int = 900
    memory: int = 2560

    @field_validator("memory", mode="before")
    @classmethod
    def _megabytes(cls, raw: Any) -> Any:
        return megabytes(raw)


class Health(Value):
    """What a web dyno must answer before it gets requests, and while it is watched."""

    path: str
    status: int = 200


class Routing(Value):
    """Seconds to the first byte and of silence, requests at once, and networks of load balancers."""

    first_byte: int = 30
    idle: int = 55
    connections: int = 500
    proxy_protocol: tuple[str, ...] = ()


class Metrics(Value):
    """What is told of an app's dynos and host: `dynos` in its log, counters to the networks of `allow`."""

    dynos: bool = False
    allow: tuple[str, ...] = ()


def share(part: int | str, whole: int) -> int:
    """A number of dynos as it stands, or "50%" of `whole`, rounded up."""
    return part if isinstance(part, int) else -(-int(part.rstrip("%")) * whole // 100)


class Fleet(Value):
    """The machines, and what this app is given on them."""

    app: str
    hosts: tuple[Host, ...]
    domains: tuple[str, ...] = ()
    domain: str = ""
    virtual_address: str = ""
    routing: Routing = Routing()
    sizes: dict[str, Size] = SIZES
    default_size: str = DEFAULT_SIZE
    formation: dict[str, Scale] = {}
    config: dict[str, Source] = {}
    drains: tuple[Source, ...] = ()
    drain_ca: str | None = None
    build: BuildLimits = BuildLimits()
    known_hosts: str | None = Field(default=None, json_schema_extra={"file": "ssh.known_hosts"})
    stack_updates: str = ""
    dyno_network: str = "10.213.0.0/16"
    allow: tuple[str, ...] = ()
    tls: Tls = Tls()
    certificates: tuple[OwnCertificate, ...] = ()
    rollout: Rollout = Rollout()
    health: Health | None = None
    metrics: Metrics = Metrics()

    @field_validator("hosts")
    @classmethod
    def _by_name(cls, hosts: tuple[Host, ...]) -> tuple[Host, ...]:
        return tuple(sorted(hosts, key=lambda host: host.name))

    @field_validator("domains")
    @classmethod
    def _lower_case_names(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(domain.lower() for domain in domains)

    @field_validator("domain")
    @classmethod
    def _lower_case_domain(cls, domain: str) -> str:
        return domain.lower()

    @field_validator("default_size")
    @classmethod
    def _lower_case(cls, size: str) -> str:
        return size.lower()

    @field_validator("config", mode="before")
    @classmethod
    def _literals(cls, raw: Any) -> Any:
        return {name: _literal(source) for name, source in raw.items()}

    @field_validator("drains", mode="before")
    @classmethod
    def _literal_drains(cls, raw: Any) -> Any:
        return tuple(_literal(source) for source in raw)

    @property
    def default_domain(self) -> str:
        """`<app>.<domain>`; empty where the fleet has no domain."""
        return f"{self.app}.{self.domain}" if self.domain else ""

    @property
    def names(self) -> tuple[str, ...]:
        """All domains of the app, its own first."""
        default = (self.default_domain,) if self.domain else ()
        return tuple(dict.fromkeys((*self.domains, *default)))

    def with_role(self, role: str) -> tuple[Host, ...]:
        """The hosts that do this work, by name; `role` is one of ROLES."""
        return tuple(host for host in self.hosts if role in host.roles)


def _literal(source: Any) -> Any:
    return {"value": source} if isinstance(source, str) else source


def load_fleet(document: dict[str, Any], app: str) -> Fleet:
    """The fleet of a checked `fleet.json`; `app` is the name to take where the file has none."""
    keys = {key: value for key, value in document.items() if key not in ("$schema", "ssh")}
    ssh = document.get("ssh", {})
    given = {"hosts": host_list(document), "sizes": _sizes(document), "known_hosts": ssh.get("known_hosts")}
    return Fleet.model_validate({"app": app} | keys | given)


def host_list(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The hosts of either form, in the order of the file, each with its name and the `ssh` defaults."""
    hosts = document.get("hosts", [])
    named = [host | {"name": name} for name, host in hosts.items()] if isinstance(hosts, dict) else hosts
    defaults = {key: value for key, value in document.get("ssh", {}).items() if key != "known_hosts"}
    return [defaults | host for host in named]


def _sizes(document: dict[str, Any]) -> dict[str, Size]:
    own = {name.lower(): size for name, size in document.get("sizes", {}).items()}
    return SIZES | {name: Size.model_validate(size | {"name": name}) for name, size in own.items()}
