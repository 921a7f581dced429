"""Each concern refuses the host that it is about, and says why; a host as an apply leaves it is refused by none."""

from __future__ import annotations

import json
from collections.abc import Callable

import impossible
import pytest
from fleets import ALL, Fleet, fleet, spec
from impossible import DYNOS, GUARDS, ImpossibleError, refuse, refuse_at_rest
from machine import Machine, Unit

from deployer.model.steps import Put, Sh, Text

WEB_1, WEB_2 = "hello.web.1.v1", "hello.web.2.v1"
NGINX = "/run/deployer/nginx.loaded"
Harm = Callable[[Machine], object]


@pytest.fixture
def one() -> Machine:
    seen: Fleet = fleet()
    seen.apply(spec(scale={"web": 2}, drains=["https://logs.example.com/"]))
    return seen.machines["one"]


def told(machine: Machine, key: str, **change: object) -> None:
    path = f"{DYNOS}/{key}/dyno.json"
    machine.write(path, json.dumps(json.loads(machine.text(path)) | change))


def forward(machine: Machine, *rows: str) -> None:
    machine.tables["deployer.hello"] = ", ".join(rows)


HARMS: dict[str, tuple[Harm, str]] = {
    "a path that is none": (lambda m: m.write("/etc/../etc/x", ""), "/etc/../etc/x is no whole path"),
    "below a file": (
        lambda m: m.write("/etc/nginx/nginx.conf/x", ""),
        "/etc/nginx/nginx.conf is a file and a folder",
    ),
    "a mode": (lambda m: m.write("/etc/x", "", 0o100644), "/etc/x has the mode 100644"),
    "an owner": (lambda m: m.write("/etc/x", "", owner="root"), "/etc/x belongs to 'root'"),
    "a state": (
        lambda m: m.units.update(x=Unit("active", "dead")),
        "systemd never says active, dead, disabled",
    ),
    "no unit file": (
        lambda m: m.remove("/etc/systemd/system/deployer.dyno@.service"),
        f"deployer.dyno@{WEB_1}.service is active, and there is no /etc/systemd/system/deployer.dyno@.service",
    ),
    "what it requires": (
        lambda m: m.units.update({"deployer.log.socket": Unit("failed", "failed")}),
        "deployer.log.service is active without deployer.log.socket",
    ),
    "a mark that was left": (
        lambda m: m.units.update({"deployer.log.service": Unit()}),
        "deployer.log.service is inactive, and /run/deployer/log.loaded is still there",
    ),
    "the mark of a dyno that was left": (
        lambda m: m.units.update({f"deployer.dyno@{WEB_1}.service": Unit()}),
        f"is inactive, and /run/deployer/dynos/{WEB_1}.loaded is still there",
    ),
    "half a package": (
        lambda m: m.units.pop("nginx.service"),
        "nginx-light is installed, and systemd does not know nginx.service",
    ),
    "a unit of no package": (
        lambda m: m.packages.remove("nginx-light"),
        "systemd knows nginx.service, and nginx-light is not installed",
    ),
    "a mark by hand": (lambda m: m.write(NGINX, "0000  x\n"), f"{NGINX} says '0000  x\\n', which nothing"),
    "a dyno without a folder": (
        lambda m: m.remove(f"{DYNOS}/{WEB_1}"),
        f"{WEB_1} runs without config command dyno.env dyno.json in its folder",
    ),
    "a dyno without an address": (lambda m: told(m, WEB_1, address=""), f"{WEB_1} runs without an address"),
    "a dyno without a mark": (
        lambda m: m.remove(f"/run/deployer/dynos/{WEB_1}.loaded"),
        f"{WEB_1} runs, and has not noted from what it was started",
    ),
    "the place of another": (
        lambda m: told(m, WEB_1, n=7),
        f"the folder of {WEB_1} holds the place of hello.web.7.v1",
    ),
    "one address": (
        lambda m: told(m, WEB_2, address="10.213.0.2"),
        f"{WEB_1} and {WEB_2} have one address, 10.213.0.2",
    ),
    "one port": (lambda m: told(m, WEB_2, host_port=20000), f"{WEB_1} and {WEB_2} have one port, 20000"),
    "one user namespace": (
        lambda m: m.write(
            "/var/lib/deployer/apps/else/app.json", m.text("/var/lib/deployer/apps/hello/app.json")
        ),
        "hello and else have one user namespace",
    ),
    "the port of another": (
        lambda m: forward(m, "20000 : 10.213.0.2 . 5000", "20001 : 10.213.0.2 . 5000"),
        "port 20001 of deployer.hello leads to 10.213.0.2:5000, the dyno with port 20000",
    ),
    "no address": (lambda m: m.interfaces.update({"192.0.2.500/24": "eth1"}), "192.0.2.500"),
    "no port": (lambda m: m.listeners.update({70000: "x"}), "port 70000 does not exist"),
    "half a guard": (
        lambda m: m.write(f"{GUARDS}/0a/guard.json", ""),
        f"{GUARDS}/0a/guard.json has no guard.py beside it",
    ),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_host_that_could_never_be(one: Machine, harm: str) -> None:
    refuse_at_rest(one)
    do, why = HARMS[harm]
    do(one)
    with pytest.raises(ImpossibleError) as refused:
        refuse(one)
    assert why in str(refused.value)


def test_everything_is_said_at_once(one: Machine) -> None:
    one.write("/etc/x", "", owner="root")
    one.listeners[70000] = "x"
    with pytest.raises(
        ImpossibleError, match=r"^one could never be: .* no user:group; port 70000 does not exist$"
    ):
        refuse(one)


def test_a_step_and_a_look_are_refused(one: Machine) -> None:
    with pytest.raises(ImpossibleError, match="has the mode"):
        one.act(Put("/etc/x", Text(""), mode=0o100644))
    with pytest.raises(ImpossibleError, match="has the mode"):
        fleet_of(one).plan(spec())


def fleet_of(machine: Machine) -> Fleet:
    return Fleet({machine.name: machine})


def test_a_port_of_nobody_is_there_only_between_two_steps(one: Machine) -> None:
    forward(one, "20000 : 10.213.0.2 . 5000", "20009 : 10.213.0.99 . 5000")
    refuse(one)
    with pytest.raises(ImpossibleError, match="leads to 10.213.0.99:5000, and no dyno is there"):
        refuse_at_rest(one)


def test_two_hosts_of_one_address() -> None:
    same = {"192.0.2.1/24": "eth0"}
    with pytest.raises(ImpossibleError, match=r"one and two have one network address, 192\.0\.2\.1"):
        impossible.refuse_together({name: Machine(name, interfaces=same) for name in ("one", "two")})


def test_what_people_do_to_hosts_is_possible(one: Machine) -> None:
    """Files edited or gone, services stopped, a boot: drift, which a plan must see."""
    one.write(f"{DYNOS}/{WEB_1}/config", "by hand")
    one.remove("/etc/nginx/conf.d")
    one.crash(WEB_2)
    one.stop("deployer.log.socket")
    refuse(one)
    assert one.units["deployer.log.service"].active == "inactive"
    one.boot("deployer.wall.service")
    refuse(one)
    one.act(Sh(("systemctl", "start", "deployer.wall.service")))
    assert "deployer.hello" in one.tables


def test_every_fleet_has_addresses_of_its_own() -> None:
    seen = fleet()
    seen.apply(spec({"one": ALL, "two": "router dynos"}))
    assert {name: [*m.interfaces] for name, m in seen.machines.items()} == {
        "one": ["192.0.2.1/24"],
        "two": ["192.0.2.2/24"],
    }
