"""Log lines on their way to a reader: what is asked for, doubles, order, bounds, and what is shown."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import ModuleType

import pytest
from shipped import loaded, script

from deployer.problems import InputError
from deployer.remote import reel
from deployer.world import logs


def line(second: float, text: str, origin: str = "app[web.1]") -> str:
    return f"2026-11-26T10:00:{second:09.6f}+00:00 {origin}: {text}"


@pytest.mark.parametrize(
    ("given", "moment"),
    [
        ("10m", "-600"),
        (" 2h", "-7200"),
        ("2026-11-26", "2026-11-26T00:00:00.000000+00:00"),
        ("2026-11-26T10:15", "2026-11-26T10:15:00.000000+00:00"),
        ("2026-11-26T10:15:01.5+02:00", "2026-11-26T08:15:01.500000+00:00"),
    ],
)
def test_since(given: str, moment: str) -> None:
    assert logs.moment(given) == moment


def test_wrong_flags_say_what_is_right() -> None:
    with pytest.raises(InputError) as caught:
        logs.query("hello", None, "", "", "yesterday")
    assert "2026-11-26" in caught.value.problems[0].hint
    with pytest.raises(InputError) as caught:
        logs.query("hello", None, "nobody", "", "")
    assert "--source app" in caught.value.problems[0].hint


def test_hundred_lines_without_a_moment_and_all_since_one() -> None:
    assert logs.query("hello", None, "", "web", "").argv() == ("hello", "100", "", "web", "", "end")
    assert logs.query("hello", None, "app", "", "5s").argv("now") == ("hello", "all", "app", "", "-5", "now")
    assert logs.query("hello", 7, "", "", "5s").number == 7


def test_hosts_are_merged_by_time_without_doubles() -> None:
    one = [line(1, "a"), line(3, "c"), line(3, "c"), line(4, "d")]
    two = [line(2, "b"), line(1, "a"), line(3, "c"), line(3, "c"), line(4, "d"), line(3, "c")]
    assert logs.merged([one, two], None) == [line(1, "a"), line(2, "b"), *[line(3, "c")] * 2, line(4, "d")]
    assert logs.merged([one, two], 2) == [line(3, "c"), line(4, "d")]
    assert logs.merged([[]], 5) == []


def test_lines_of_one_moment_keep_their_order() -> None:
    same = [line(1, text) for text in "zxy"]
    assert logs.merged([same, same], None) == same


def test_line_for_programs() -> None:
    assert logs.fields(line(1, " [x]: y")) == {
        "at": "2026-11-26T10:00:01.000000+00:00",
        "source": "app",
        "process": "web.1",
        "text": " [x]: y",
    }
    assert logs.fields("odd")["text"] == "odd"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\033[31mred", "\033[31mred\033[0m"),
        ("a\rb\r", "a\\x0db"),
        ("\033[2J\033]0;t\a", "\\x1b[2J\\x1b]0;t\\x07"),
        ("tab\there ü", "tab\there ü"),
        ("nel\x85sep\u2028", "nel\\x85sep\\x2028"),
    ],
)
def test_no_line_moves_the_cursor(text: str, shown: str) -> None:
    assert logs.shown(line(1, text), tinted=False) == line(1, shown)


def test_each_process_has_a_colour() -> None:
    first, again, other = (
        logs.shown(line(1, "x", f"app[{name}]"), tinted=True) for name in ("a.1", "a.1", "b.1")
    )
    assert first == again
    assert first.startswith("\033[")
    assert first.split("m")[0] != other.split("m")[0]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_reel_waits_for_older_lines_and_drops_doubles() -> None:
    clock = Clock()
    lines = reel.Reel(clock)
    lines.know([line(1, "shown")])
    for text in (line(2, "late"), line(1, "shown"), line(2, "late"), line(1.5, "early")):
        lines.add(text)
    lines.add(line(2, "late"), times=1)
    assert lines.take(0)[0] == []
    clock.now += reel.HOLD
    assert lines.take(0) == ([line(1.5, "early"), line(2, "late"), line(2, "late")], [])


def test_reel_takes_younger_lines_that_were_written_before() -> None:
    clock = Clock()
    lines = reel.Reel(clock)
    lines.add(line(5, "five"))
    clock.now += reel.HOLD
    lines.add(line(4, "four"))
    lines.add(line(6, "six"))
    assert lines.take(0)[0] == [line(4, "four"), line(5, "five")]
    clock.now += reel.HOLD
    assert lines.take(0)[0] == [line(6, "six")]


def test_reel_counts_what_a_slow_reader_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reel, "BOUND", 2)
    clock = Clock()
    lines = reel.Reel(clock)
    for n in range(5):
        lines.add(line(n, str(n)))
    lines.add(line(4, "4"))
    clock.now += 1
    text = "Error L11 (Tail buffer overflow) -> This tail session dropped 3 messages since 2026-11-26T10:00:02+00:00."
    assert lines.take(0)[0] == [line(0, "0"), line(1, "1"), line(1, text, "heroku[logplex]")]
    lines.add(line(7, "7"))
    clock.now += 1
    assert lines.take(0)[0] == [line(7, "7")]


def test_reel_wakes_its_reader() -> None:
    lines = reel.Reel()
    threading.Timer(0.1, lines.tell, ("box-2 is gone",)).start()
    began = time.monotonic()
    assert lines.take(10) == ([], ["box-2 is gone"])
    assert time.monotonic() - began < 5


class Files:
    """An app's files on a logplex host, and log-tail as it runs there."""

    def __init__(self, place: Path) -> None:
        self.log, self.old = place / "hello.log", place / "hello.log.1"
        self.script = place / "log-tail"
        text = script("log-tail.py").read_text()
        self.script.write_text(text.replace("/var/lib/deployer/logs", str(place)))

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, str(self.script), "hello", *words]

    def ask(self, count: str = "all", source: str = "", process: str = "", since: str = "") -> list[str]:
        argv = self.argv(count, source, process, since, "end")
        return subprocess.check_output(argv, text=True, timeout=20).split("\n")[:-1]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def text_of(*lines: str) -> str:
    return "".join(f"{row}\n" for row in lines)


def test_tail_reads_both_parts_and_no_half_line(files: Files) -> None:
    assert files.ask() == []
    rows = [line(n, f"{n}") for n in range(6)]
    files.old.write_text(text_of(*rows[:3]))
    files.log.write_text(text_of(*rows[3:]) + "2026-11-26T10:00:09 app[we")
    assert files.ask() == rows
    assert files.ask("2") == rows[-2:]
    assert files.ask("4") == rows[-4:]
    assert files.ask("0") == []


def test_tail_filters(files: Files) -> None:
    rows = [
        line(1, "x"),
        line(2, "y", "heroku[web.1]"),
        line(3, "z", "app[web.10]"),
        line(4, "q", "app[webby.1]"),
    ]
    files.log.write_text(text_of(*rows))
    assert files.ask(source="heroku") == [rows[1]]
    assert files.ask(process="web.1") == rows[:2]
    assert files.ask(process="web") == rows[:3]
    assert files.ask(since="2026-11-26T10:00:03.000000+00:00") == rows[2:]
    assert files.ask("1", process="web.1") == [rows[1]]
    assert files.ask(since="-60") == []


def test_tail_reads_long_lines_backwards(files: Files) -> None:
    rows = [line(n, f"{n}" * 9_999) for n in range(60)]
    files.log.write_text(text_of(*rows))
    assert files.ask("50") == rows[-50:]


class Following:
    """log-tail that goes on: lines and places as they come."""

    def __init__(self, files: Files, place: str, count: str = "all") -> None:
        self.process = subprocess.Popen(
            files.argv(count, "", "", "", place), stdout=subprocess.PIPE, text=True
        )
        self.lines: list[str] = []
        self.place = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for row in self.process.stdout or ():
            if row.startswith("\0"):
                self.place = row[1:].strip()
            else:
                self.lines.append(row[:-1])

    def until(self, count: int) -> list[str]:
        end = time.monotonic() + 10
        while (len(self.lines) < count or not self.place) and time.monotonic() < end:
            time.sleep(0.02)
        return self.lines

    def stop(self) -> str:
        time.sleep(0.3)
        self.process.kill()
        self.process.wait()
        return self.place


def append(path: Path, *lines: str, end: str = "") -> None:
    with path.open("a") as file:
        file.write(text_of(*lines) + end)


def test_tail_follows_over_a_rotation_and_comes_back_to_its_place(files: Files) -> None:
    rows = [line(n, f"{n}") for n in range(9)]
    files.log.write_text(text_of(*rows[:2]))
    first = Following(files, "now", count="1")
    assert first.until(1) == rows[1:2]
    append(files.log, rows[2], end=rows[3][:20])
    assert first.until(2) == rows[1:3]
    append(files.log, rows[3][20:])
    files.log.rename(files.old)
    append(files.log, rows[4])
    assert first.until(4) == rows[1:5]
    place = first.stop()
    append(files.log, rows[5])
    files.log.rename(files.old)
    append(files.log, rows[6])
    again = Following(files, place)
    assert again.until(2) == rows[5:7]
    again.stop()


def test_tail_ends_with_its_reader(files: Files) -> None:
    files.log.write_text(text_of(line(1, "x")))
    done = subprocess.run(
        [
            "bash",
            "-c",
            '"$@" | head -1; exit "${PIPESTATUS[0]}"',
            "bash",
            *files.argv("all", "", "", "", "now"),
        ],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{line(1, 'x')}\n", "")


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = loaded("log-lost.py")
    module.told = []  # type: ignore[attr-defined]
    seconds = iter(range(100))
    monkeypatch.setattr(module, "tell", lambda _, text: module.told.append(text))
    monkeypatch.setattr(module, "now", lambda: f"2026-11-26T10:00:{next(seconds):02d}+00:00")
    return module


def stats(lost: ModuleType, monkeypatch: pytest.MonkeyPatch, state: Path, *rows: str) -> list[str]:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text_of(*rows)))
    lost.told.clear()
    lost.main(str(state))
    return list(lost.told)


MEMORY, DISK = "to.box-1 queue", "to.box-1 queue[DA]"


def l10(count: int, second: int) -> str:
    since = f"2026-11-26T10:00:{second:02d}+00:00"
    return f"Error L10 (output buffer overflow): {count} messages dropped since {since}."


def test_loss_is_told_once_the_queue_is_empty(
    lost: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ask = (lost, monkeypatch, tmp_path / "lost.json")
    assert stats(*ask, f"0 5 {MEMORY}", f"0 0 {DISK}") == []
    assert not ask[2].exists()
    rows = (
        f"0 0 {MEMORY}",
        f"0 0 {DISK}",
        f"0 7000 {MEMORY}",
        f"40 900 {DISK}",
        f"60 900 {DISK}",
        f"0 99 {MEMORY}",
    )
    assert stats(*ask, *rows) == []
    assert json.loads(ask[2].read_text())["to.box-1"]["lost"] == 60


def test_loss_is_told_with_its_count_and_when_it_began(
    lost: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rows = (f"0 0 {DISK}", f"40 900 {DISK}", f"60 900 {DISK}", f"60 0 {DISK}", f"60 0 {DISK}", f"61 0 {DISK}")
    told = stats(lost, monkeypatch, tmp_path / "lost.json", *rows)
    assert [text.split(": ")[1].split()[0] for text in told] == ["60", "1"]
    assert told[0] == l10(60, 1)


def test_what_a_full_rsyslogd_ends_with_is_counted(
    lost: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ask = (lost, monkeypatch, tmp_path / "lost.json")
    stats(*ask, f"0 3000 {MEMORY}", f"40 900 {DISK}", f"0 3500 {MEMORY}")
    told = stats(*ask, f"0 0 {MEMORY}", f"0 900 {DISK}", f"0 0 {DISK}")
    assert [text.split(": ")[1].split()[0] for text in told] == ["3540"]


def test_what_ends_with_room_on_its_disk_loses_nothing(
    lost: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ask = (lost, monkeypatch, tmp_path / "lost.json")
    stats(*ask, f"0 3000 {MEMORY}", f"40 900 {DISK}", f"40 500 {DISK}")
    told = stats(*ask, f"0 0 {MEMORY}", f"0 0 {DISK}")
    assert [text.split(": ")[1].split()[0] for text in told] == ["40"]
