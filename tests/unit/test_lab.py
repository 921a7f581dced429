"""The lab's pure parts and its care with files; `tests/live` runs the whole of it."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from jinja2 import UndefinedError

from deployer import lab
from deployer.lab import apt, base, command, container, fleet, host, layout, machine, templates
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
    monkeypatch.setattr(layout, "lock", lambda: tmp_path / "lock")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "archive.gpg"
    file.touch()
    return file


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
        return fleet.merged({}, layout.names(count), "/key", "/known_hosts")

    @pytest.mark.parametrize("count", [1, 2, 3, 5])
    def test_every_role_has_a_host_and_every_host_runs_dynos(self, count: int) -> None:
        roles = [host["roles"] for host in self.fresh(count)["hosts"].values()]
        assert {role for each in roles for role in each} == {"router", "dynos", "logplex", "build", "data"}
        assert all("dynos" in each for each in roles)

    def test_a_fresh_one_says_how_to_get_in(self) -> None:
        assert self.fresh(2)["ssh"] == {"user": "root", "key": "/key", "known_hosts": "/known_hosts"}
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
        after = fleet.merged(before, ["box-1", "box-2"], "/key", "/known_hosts")
        assert list(after["hosts"]) == ["mine", "box-1", "box-2"]
        assert after["hosts"]["box-1"] == before["hosts"]["box-1"]  # type: ignore[index]
        assert (after["app"], after["ssh"]["jump"], after["ssh"]["user"]) == ("shop", "gate.example", "root")

    def test_hosts_as_an_array_stay_one(self) -> None:
        before = {"hosts": [{"name": "box-1", "address": "10.77.0.11", "roles": ["data", "dynos"]}]}
        after = fleet.merged(before, ["box-1", "box-2"], "/key", "/known_hosts")
        assert [host["name"] for host in after["hosts"]] == ["box-1", "box-2"]
        assert after["hosts"][0]["roles"] == ["data", "dynos"]

    def test_an_equal_fleet_is_not_written_again(self, tmp_path: Path) -> None:
        fleet.write(tmp_path, ["box-1"], "keys\n")
        file = tmp_path / "fleet.json"
        in_the_users_style = json.dumps(json.loads(file.read_text()), indent=8)
        file.write_text(in_the_users_style)
        fleet.write(tmp_path, ["box-1"], "keys\n")
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
        for unique in (layout.address, layout.hardware_address, layout.veth):
            assert len({unique(name) for name in names}) == len(names)
        subnet = ipaddress.ip_network(layout.SUBNET)
        assert all(ipaddress.ip_address(layout.address(name)) in subnet for name in names)
        assert all(len(layout.veth(name)) <= 15 for name in names)

    def test_the_container_has_its_address_and_cable(self) -> None:
        layout.host("box-2").mkdir(parents=True)
        container.configure("box-2")
        lines = (layout.host("box-2") / "config").read_text().splitlines()
        assert "lxc.net.0.ipv4.address = 10.77.0.12/24" in lines
        assert f"lxc.rootfs.path = dir:{layout.rootfs('box-2')}" in lines

    def test_a_value_that_a_template_lacks_is_an_error(self) -> None:
        with pytest.raises(UndefinedError):
            templates.render("network.nft.j2", table="lab")

    def test_only_whole_hosts_exist_and_count_as_numbers(self) -> None:
        for name in ("box-10", "box-2", "box-3.partial"):
            layout.host(name).mkdir(parents=True)
        assert host.existing() == ["box-2", "box-10"]
        assert [folder.name for folder in host.leftovers()] == ["box-3.partial"]

    def test_known_hosts_have_each_key_of_each_host(self) -> None:
        for name in ("box-1", "box-2"):
            folder = layout.rootfs(name) / "etc/ssh"
            folder.mkdir(parents=True)
            (folder / "ssh_host_ed25519_key.pub").write_text(f"ssh-ed25519 {name}key root@here\n")
        expected = "10.77.0.11 ssh-ed25519 box-1key\n10.77.0.12 ssh-ed25519 box-2key\n"
        assert host.known_hosts(["box-1", "box-2"]) == expected

    def test_an_existing_host_gets_the_key_and_keeps_a_resolver_of_its_own(self, tmp_path: Path) -> None:
        root = layout.rootfs("box-1")
        (root / "etc/ssh").mkdir(parents=True)
        (root / "etc/resolv.conf").symlink_to("../run/stub-resolv.conf")
        layout.key().parent.mkdir(parents=True)
        Path(f"{layout.key()}.pub").write_text("ssh-ed25519 key\n")
        assert host.ensure("box-1", tmp_path / "unused") is False
        assert (root / "etc/ssh/lab_keys").read_text() == "ssh-ed25519 key\n"
        assert (root / "etc/resolv.conf").is_symlink()

    def test_a_lab_is_plain_json(self) -> None:
        box = lab.LabHost("box-1", "10.77.0.11", "running", 7, ssh=True)
        described = lab.Lab("deployerlab0", (box,), None, None, None).as_dict()
        assert json.loads(json.dumps(described)) == described


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
            with machine.only_one(said.append):
                order.append("second")

        with machine.only_one(said.append):
            thread = threading.Thread(target=second)
            thread.start()
            deadline = time.monotonic() + 10
            while not said and time.monotonic() < deadline:
                time.sleep(0.01)
            order.append("first")
        thread.join()
        assert (said, order) == (["waiting for another lab command to end"], ["first", "second"])

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
