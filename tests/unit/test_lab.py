"""The lab's pure parts and its care with files; `tests/live` runs the whole of it."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from deployer import lab
from deployer.cli import lab as cli
from deployer.lab import (
    apt,
    base,
    command,
    container,
    fleet,
    host,
    layout,
    machine,
    network,
    record,
    templates,
)
from deployer.lab.layout import Ground
from deployer.problems import DeployerError, InputError

DEBIAN = """\
# the installer wrote this
Types: deb
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: {key}
"""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYER_LAB_DIR", str(tmp_path / "lab"))
    monkeypatch.setattr(layout, "lock", lambda what: tmp_path / f"{what}.lock")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "archive.gpg"
    file.touch()
    return file


OURS = Ground(lab.DEFAULT, 0)


def silent(line: str) -> None:
    """Progress is of no interest here."""


class TestSources:
    def test_a_debian_stanza_is_taken_without_its_comments(self, key: Path) -> None:
        [stanza] = apt.debian_stanzas(DEBIAN.format(key=key), "bookworm")
        assert stanza.startswith("Types: deb\nURIs: http://mirror.example/debian\n")

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("Suites: bookworm bookworm-updates", "Suites: bookworm-pgdg"),
            ("Suites: bookworm bookworm-updates", "Suites: trixie"),
            ("Components: main contrib", "Components: stable"),
            ("Types: deb", "Types: deb-src"),
            ("Types: deb", "Enabled: no\nTypes: deb"),
            ("URIs: http://mirror.example/debian", "URIs: file:/srv/debian"),
            ("Signed-By: {key}", "Signed-By: /nowhere/key.gpg"),
        ],
    )
    def test_a_stanza_that_a_host_cannot_use_is_left_out(self, key: Path, field: str, value: str) -> None:
        text = DEBIAN.replace(field, value).format(key=key)
        both = f"{text}\n{DEBIAN.format(key=key)}"
        assert len(apt.debian_stanzas(both, "bookworm")) == 1

    def test_a_key_in_the_stanza_itself_needs_no_file(self) -> None:
        text = DEBIAN.format(key="\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEY8")
        assert apt.debian_stanzas(text, "bookworm") == [text.strip().partition("\n")[2]]

    def test_lines_are_judged_as_stanzas_are(self, key: Path) -> None:
        ours = [
            f"deb [arch=amd64 signed-by={key}] http://mirror.example/debian bookworm main  # ours",
            "deb http://mirror.example/security bookworm-security main non-free-firmware",
        ]
        others = [
            "# deb http://mirror.example/debian bookworm main",
            "deb-src http://mirror.example/debian bookworm main",
            "deb [signed-by=/nowhere/key.gpg] http://mirror.example/debian bookworm main",
            "deb http://packages.example/tool stable tool",
            "deb http://packages.example/flat ./",
            "deb cdrom:[Debian]/ bookworm main",
        ]
        assert apt.debian_lines("\n".join([*others, *ours]), "bookworm") == ours

    def test_settings_of_apt_itself_and_empty_ones_are_left_out(self) -> None:
        own = 'Acquire::Retries "5";\nAcquire::http::Proxy "http://proxy.example:3128";\n'
        dump = f'Acquire "";\nAcquire::IndexTargets::deb::Packages::MetaKey "x";\n{own}Acquire::cdrom "";\n'
        assert apt.own_settings(dump) == own

    def test_no_source_at_all_is_a_problem_before_anything_is_made(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(apt, "of_this_machine", lambda: apt.Apt("", "", "", (), ()))
        monkeypatch.setattr(command, "run", lambda *_, **__: pytest.fail("a command ran"))
        with pytest.raises(DeployerError, match="no Debian package source"):
            base.ensure(silent)


class TestFleet:
    def fresh(self, count: int) -> dict[str, Any]:
        return fleet.merged(OURS, {}, layout.names(count), "/known_hosts")

    @pytest.mark.parametrize("count", [1, 2, 3, 5])
    def test_every_role_has_a_host_and_every_host_runs_dynos(self, count: int) -> None:
        roles = [host["roles"] for host in self.fresh(count)["hosts"].values()]
        assert {role for each in roles for role in each} == {"router", "dynos", "logplex", "build", "data"}
        assert all("dynos" in each for each in roles)

    def test_a_fresh_one_says_how_to_get_in(self) -> None:
        assert self.fresh(2)["ssh"] == {
            "user": "root",
            "key": str(OURS.key),
            "known_hosts": "/known_hosts",
        }
        assert self.fresh(2)["hosts"]["box-2"]["address"] == "10.77.0.12"

    def test_the_users_words_stay(self) -> None:
        before = {
            "app": "shop",
            "hosts": {
                "box-1": {"address": "10.77.0.11", "roles": ["dynos"], "labels": {"disk": "fast"}},
                "box-3": {"address": "10.77.0.13", "roles": ["dynos"]},
                "mine": {"address": "192.0.2.7", "roles": ["data"]},
            },
            "ssh": {"jump": "gate.example", "user": "somebody"},
        }
        after = fleet.merged(OURS, before, ["box-1", "box-2"], "/known_hosts")
        assert list(after["hosts"]) == ["mine", "box-1", "box-2"]
        assert after["hosts"]["box-1"] == before["hosts"]["box-1"]  # type: ignore[index]
        assert (after["app"], after["ssh"]["jump"], after["ssh"]["user"]) == ("shop", "gate.example", "root")

    def test_hosts_as_an_array_stay_one(self) -> None:
        before = {"hosts": [{"name": "box-1", "address": "10.77.0.11", "roles": ["data", "dynos"]}]}
        after = fleet.merged(OURS, before, ["box-1", "box-2"], "/known_hosts")
        assert [host["name"] for host in after["hosts"]] == ["box-1", "box-2"]
        assert after["hosts"][0]["roles"] == ["data", "dynos"]

    def test_an_equal_fleet_is_not_written_again(self, tmp_path: Path) -> None:
        fleet.write(OURS, tmp_path, ["box-1"], "keys\n")
        file = tmp_path / "fleet.json"
        in_the_users_style = json.dumps(json.loads(file.read_text()), indent=8)
        file.write_text(in_the_users_style)
        fleet.write(OURS, tmp_path, ["box-1"], "keys\n")
        assert file.read_text() == in_the_users_style

    @pytest.mark.parametrize(
        ("text", "place"),
        [('{"hosts":\n  }', "fleet.json:2:3"), ('{"hosts": [{}]}', "fleet.json"), ("[]", "")],
    )
    def test_what_is_no_fleet_is_refused_before_anything_is_done(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, place: str
    ) -> None:
        monkeypatch.setattr(machine, "require", lambda: None)
        monkeypatch.setattr(machine, "install_missing", lambda _: pytest.fail("the machine was changed"))
        (tmp_path / "fleet.json").write_text(text)
        with pytest.raises(InputError) as raised:
            lab.up(1, tmp_path, silent)
        assert place in str(raised.value.problems[0].where)
        assert (tmp_path / "fleet.json").read_text() == text


class TestHosts:
    def test_names_addresses_and_cables_are_their_own_and_fit(self) -> None:
        names = layout.names(layout.MOST_HOSTS)
        for unique in (OURS.address, OURS.hardware_address, OURS.veth):
            assert len({unique(name) for name in names}) == len(names)
        subnet = ipaddress.ip_network(OURS.subnet)
        assert all(ipaddress.ip_address(OURS.address(name)) in subnet for name in names)

    def test_the_container_has_its_address_and_cable(self) -> None:
        OURS.host("box-2").mkdir(parents=True)
        container.configure(OURS, "box-2")
        lines = (OURS.host("box-2") / "config").read_text().splitlines()
        assert "lxc.net.0.ipv4.address = 10.77.0.12/24" in lines
        assert f"lxc.rootfs.path = dir:{OURS.rootfs('box-2')}" in lines

    def test_a_value_that_a_template_lacks_is_an_error(self) -> None:
        with pytest.raises(UndefinedError):
            templates.render("network.nft.j2", bridge="lab")

    def test_only_whole_hosts_exist_and_count_as_numbers(self) -> None:
        for name in ("box-10", "box-2", "box-3.partial"):
            OURS.host(name).mkdir(parents=True)
        assert host.existing(OURS) == ["box-2", "box-10"]
        assert [folder.name for folder in host.leftovers(OURS)] == ["box-3.partial"]

    def test_known_hosts_have_each_key_of_each_host(self) -> None:
        for name in ("box-1", "box-2"):
            folder = OURS.rootfs(name) / "etc/ssh"
            folder.mkdir(parents=True)
            (folder / "ssh_host_ed25519_key.pub").write_text(f"ssh-ed25519 {name}key root@here\n")
        expected = "10.77.0.11 ssh-ed25519 box-1key\n10.77.0.12 ssh-ed25519 box-2key\n"
        assert host.known_hosts(OURS, ["box-1", "box-2"]) == expected

    def test_an_existing_host_gets_the_key_and_keeps_a_resolver_of_its_own(self, tmp_path: Path) -> None:
        root = OURS.rootfs("box-1")
        (root / "etc/ssh").mkdir(parents=True)
        (root / "etc/resolv.conf").symlink_to("../run/stub-resolv.conf")
        OURS.key.parent.mkdir(parents=True)
        Path(f"{OURS.key}.pub").write_text("ssh-ed25519 key\n")
        assert host.ensure(OURS, "box-1", tmp_path / "unused") is False
        assert (root / "etc/ssh/lab_keys").read_text() == "ssh-ed25519 key\n"
        assert (root / "etc/resolv.conf").is_symlink()

    def test_a_lab_is_plain_json(self) -> None:
        box = lab.LabHost("box-1", "10.77.0.11", "running", 7, ssh=True)
        described = lab.Lab("default", OURS.subnet, "deployerlab0", (box,), None, None, None).as_dict()
        assert json.loads(json.dumps(described)) == described


class TestGrounds:
    @pytest.fixture(autouse=True)
    def free_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(network, "addresses", list)
        monkeypatch.setattr(machine, "require", lambda: None)

    def test_the_default_one_has_the_first_subnet(self) -> None:
        assert (record.claim(lab.DEFAULT).subnet, OURS.address("box-1")) == ("10.77.0.0/24", "10.77.0.11")

    def test_labs_share_nothing(self) -> None:
        grounds = [record.claim(name) for name in (lab.DEFAULT, "trial", "trial-2")]
        for of in (
            "subnet",
            "gateway",
            "bridge",
            "bridge_address",
            "cables",
            "cgroup",
            "lock",
            "key",
            "record",
        ):
            assert len({getattr(ground, of) for ground in grounds}) == len(grounds), of
        hosts = {ground.hardware_address(name) for ground in grounds for name in layout.names(3)}
        assert len(hosts) == 9

    def test_a_cable_is_of_one_lab_alone(self) -> None:
        every = [Ground("each", number) for number in range(layout.MOST_LABS + 1)]
        for cable in (Ground("some", 1).veth("box-11"), Ground("some", 11).veth("box-1")):
            assert len([ground for ground in every if cable.startswith(ground.cables)]) == 1

    def test_all_names_of_links_fit_the_kernel(self) -> None:
        last = Ground("last", layout.MOST_LABS)
        assert max(len(name) for name in (last.bridge, last.veth(layout.name(layout.MOST_HOSTS)))) <= 15

    def test_a_lab_keeps_its_number_while_others_come_and_go(self) -> None:
        first, second = record.claim("first"), record.claim("second")
        first.record.unlink()
        assert record.claim("second") == record.find("second") == second
        assert record.claim("third").number == first.number
        assert [ground.lab for ground in record.all_labs()] == ["second", "third"]

    def test_a_subnet_that_the_machine_is_in_is_no_labs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(network, "addresses", lambda: [("vpn0", ipaddress.IPv4Network("10.77.0.0/23"))])
        assert record.claim("trial").subnet == "10.77.2.0/24"

    def test_no_subnet_left_is_a_problem_with_a_way_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(network, "addresses", lambda: [("vpn0", ipaddress.IPv4Network("10.0.0.0/8"))])
        with pytest.raises(DeployerError, match="subnets for labs are taken"):
            record.claim("trial")

    def test_a_record_of_before_labs_had_numbers_is_the_default_ones(self) -> None:
        layout.home().mkdir()
        OURS.record.write_text('{"folder": "/root/hello"}\n')
        assert record.all_labs() == [OURS]
        assert record.folder(OURS) == Path("/root/hello")

    @pytest.mark.parametrize(("links", "left"), [(["eth0"], "0\n"), (["eth0", "deployerlab3"], "1\n")])
    def test_forwarding_is_as_before_once_no_lab_is_left_in_any_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: list[str], left: str
    ) -> None:
        for link in links:
            (tmp_path / "links" / link).mkdir(parents=True)
        monkeypatch.setattr(network, "LINKS", tmp_path / "links")
        monkeypatch.setattr(network, "FORWARD", tmp_path / "forward")
        network.FORWARD.write_text("1\n")
        layout.home().mkdir()
        layout.forward_before().write_text("0\n")
        network.restore_forwarding()
        assert (network.FORWARD.read_text(), layout.forward_before().exists()) == (left, False)

    @pytest.mark.parametrize("name", ["", "Trial", "a_b", "-a", "a-", "../home", "a" * 31, "1st"])
    def test_a_name_is_one_of_a_folder_and_of_a_control_group(self, name: str) -> None:
        with pytest.raises(InputError, match="cannot be called"):
            lab.up(1, Path("/nowhere"), silent, name)

    @pytest.mark.parametrize("what", [lab.status, lambda name: lab.down(silent, name)])
    def test_an_unknown_lab_is_told_with_the_known_ones(self, what: Callable[[str], object]) -> None:
        record.claim("trial")
        with pytest.raises(InputError, match="there is no lab trail") as raised:
            what("trail")
        assert "trial" in raised.value.problems[0].hint

    def test_the_command_line_names_the_default_lab_as_the_lab_does(self) -> None:
        assert cli.DEFAULT == lab.DEFAULT

    def test_who_names_one_does_not_lose_all(self) -> None:
        with pytest.raises(InputError, match="two different things"):
            cli.down(name="trial", every=True)


class TestMachine:
    def test_a_user_is_told_all_that_is_wrong_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("os.geteuid", lambda: 1000)
        monkeypatch.setattr(machine, "_os_release", lambda: {"ID": "ubuntu"})
        with pytest.raises(DeployerError) as raised:
            lab.up(1, Path("/nowhere"), silent)
        assert [problem.summary for problem in raised.value.problems] == [
            "the lab needs root",
            "the lab needs a Debian machine",
        ]
        assert all(problem.hint for problem in raised.value.problems)

    @pytest.mark.parametrize("count", [0, layout.MOST_HOSTS + 1])
    def test_a_number_of_hosts_has_bounds(self, count: int) -> None:
        with pytest.raises(InputError, match=f"not {count}"):
            lab.up(count, Path("/nowhere"), silent)

    def test_a_second_lab_command_waits_and_says_so(self) -> None:
        said: list[str] = []
        order: list[str] = []

        def second() -> None:
            with machine.only_one(layout.lock("lab-default"), said.append):
                order.append("second")

        with machine.only_one(layout.lock("lab-default"), said.append):
            thread = threading.Thread(target=second)
            thread.start()
            deadline = time.monotonic() + 10
            while not said and time.monotonic() < deadline:
                time.sleep(0.01)
            order.append("first")
        thread.join()
        assert (said, order) == (["waiting for another lab command to end"], ["first", "second"])

    def test_commands_of_two_labs_do_not_wait_for_each_other(self) -> None:
        said: list[str] = []
        with (
            machine.only_one(Ground("one", 1).lock, said.append),
            machine.only_one(Ground("two", 2).lock, said.append),
        ):
            assert said == []

    def test_a_root_of_other_sources_stays_while_somebody_copies_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(apt, "of_this_machine", lambda: apt.Apt("", "", "", (), ()))
        monkeypatch.setattr(base, "_make", lambda root, _: root.mkdir(parents=True))
        other = layout.cache() / "bookworm-0123456789ab"
        other.mkdir(parents=True)
        with base.held(silent) as root, base.held(silent):
            assert sorted(layout.cache().iterdir()) == [root]
            other.mkdir()
            with base.held(silent):
                assert other.exists()
        with base.held(silent):
            assert not other.exists()

    def test_an_equal_file_is_not_written_again(self, tmp_path: Path) -> None:
        file = tmp_path / "file"
        machine.write_whole(file, "text")
        written = file.stat().st_ino
        machine.write_whole(file, "text")
        assert file.stat().st_ino == written
        machine.write_whole(file, "other")
        assert (file.read_text(), [entry.name for entry in tmp_path.iterdir()]) == ("other", ["file"])

    @pytest.mark.parametrize("left", [("box-1",), ("box-1.partial",), ("box-1", "box-1.partial")])
    def test_a_folder_goes_with_the_half_that_an_earlier_try_left(
        self, tmp_path: Path, left: tuple[str, ...]
    ) -> None:
        for name in left:
            (tmp_path / name / "rootfs").mkdir(parents=True)
        machine.remove_tree(tmp_path / "box-1")
        assert list(tmp_path.iterdir()) == []


class TestCommand:
    def test_a_failure_shows_the_command_and_its_last_words(self) -> None:
        with pytest.raises(DeployerError) as raised:
            command.run(("sh", "-c", "echo first; echo broken >&2; exit 3"))
        [problem] = raised.value.problems
        assert problem.summary.endswith("ended with 3")
        assert problem.detail.splitlines() == ["first", "broken"]

    def test_a_missing_command_is_an_answer(self) -> None:
        assert command.attempt(("no-such-command",)).returncode == 127

    def test_what_writes_dies_with_the_lab_command(self) -> None:
        writer = (*command.DIES_WITH_US, "sh", "-c", "echo up; exec sleep 60")
        code = f"import subprocess; subprocess.run({writer!r})"
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
            assert parent.stdout and parent.stdout.readline() == b"up\n"
            parent.kill()
            began = time.monotonic()
            assert parent.stdout.read() == b""
            assert time.monotonic() - began < 30
