"""How this machine reaches Debian packages, so that its hosts reach them the same way.

No mirror is written into this project: a host is given the Debian sources, the `Acquire` settings and the
certificate authorities of the machine that it is made on.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template

from deployer.lab import command, machine

DEBIAN_COMPONENTS = frozenset({"main", "contrib", "non-free", "non-free-firmware"})
SUITES = r"({}|stable)([-/](updates|security|backports|proposed-updates))?"
PROXY = Template('Acquire::$kind::Proxy "$url";\n')
BUILT_IN = ("Acquire::IndexTargets", "Acquire::CompressionTypes", "Acquire::Changelogs", "Acquire::cdrom")
"""Settings of apt's own that every apt has; copying them would double the lists among them."""


@dataclass(frozen=True)
class Apt:
    """What a host is given. `files` are copied as they are, to the same path."""

    stanzas: str
    lines: str
    settings: str
    files: tuple[Path, ...]
    authorities: tuple[Path, ...]

    def parts(self) -> list[str]:
        """Everything that decides what packages a root is made of, as text."""
        return [self.stanzas, self.lines, self.settings, *(_text(file) for file in self.authorities)]


def of_this_machine() -> Apt:
    """Reads the machine's own apt configuration."""
    suite = machine.codename()
    folder = Path("/etc/apt/sources.list.d")
    stanzas = debian_stanzas("\n\n".join(_text(file) for file in sorted(folder.glob("*.sources"))), suite)
    lists = [*Path("/etc/apt").glob("sources.list"), *sorted(folder.glob("*.list"))]
    lines = debian_lines("\n".join(_text(file) for file in lists), suite)
    return Apt(
        stanzas="\n\n".join(stanzas) + "\n" if stanzas else "",
        lines="\n".join(lines) + "\n" if lines else "",
        settings=own_settings(command.run(("apt-config", "dump", "Acquire"))) + _proxy(),
        files=tuple(_keys(stanzas + lines) + sorted(Path("/etc/apt/mirrors").glob("*"))),
        authorities=tuple(sorted(Path("/usr/local/share/ca-certificates").rglob("*.crt"))),
    )


def debian_stanzas(text: str, suite: str) -> list[str]:
    """The deb822 stanzas of Debian itself for `suite`; a host could not verify or reach others."""
    stanzas = (_without_comments(stanza) for stanza in re.split(r"\n\s*\n", text))
    return [stanza for stanza in stanzas if _wanted(_fields(stanza), suite)]


def debian_lines(text: str, suite: str) -> list[str]:
    """The same for the one-line form: `deb [signed-by=…] uri suite component…`."""
    return [line.strip() for line in text.splitlines() if _wanted(_line_fields(line), suite)]


def own_settings(dump: str) -> str:
    """The part of `apt-config dump Acquire` that somebody set on this machine."""
    lines = [line for line in dump.splitlines() if not line.startswith(BUILT_IN)]
    return "".join(f"{line}\n" for line in lines if not line.endswith('"";'))


def _wanted(fields: dict[str, str], suite: str) -> bool:
    suites, components = fields.get("suites", "").split(), set(fields.get("components", "").split())
    named_key = _key_file(fields)
    return (
        "deb" in fields.get("types", "").split()
        and fields.get("enabled", "yes").lower() not in {"no", "false", "0", "off"}
        and bool(suites and components)
        and components <= DEBIAN_COMPONENTS
        and all(re.fullmatch(SUITES.format(re.escape(suite)), name) for name in suites)
        and not fields.get("uris", "file:").startswith(("file:", "cdrom:", "copy:"))
        and (named_key is None or named_key.exists())
    )


def _fields(stanza: str) -> dict[str, str]:
    found = re.finditer(r"^([A-Za-z0-9-]+):[ \t]*(.*(?:\n[ \t].*)*)", stanza, re.MULTILINE)
    return {match[1].lower(): match[2].strip() for match in found}


def _line_fields(line: str) -> dict[str, str]:
    match = re.fullmatch(r"(deb)\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s+(.+?)\s*(#.*)?", line.strip())
    if not match:
        return {}
    options = dict(option.partition("=")[::2] for option in (match[2] or "").split())
    fields = {"types": match[1], "uris": match[3], "suites": match[4], "components": match[5]}
    return fields | {"signed-by": options.get("signed-by", "")}


def _key_file(fields: dict[str, str]) -> Path | None:
    """A source may also name its key by fingerprint or hold it in full: then there is no file."""
    named = fields.get("signed-by", "")
    return Path(named) if named.startswith("/") else None


def _keys(sources: list[str]) -> list[Path]:
    named = {_key_file(_fields(source) or _line_fields(source)) for source in sources}
    return sorted({key for key in named if key} | set(Path("/etc/apt/trusted.gpg.d").glob("*")))


def _proxy() -> str:
    """apt obeys these variables here; nobody sets them in a host."""
    urls = {kind: os.environ.get(f"{kind}_proxy") for kind in ("http", "https")}
    return "".join(PROXY.substitute(kind=kind, url=url) for kind, url in urls.items() if url)


def _text(file: Path) -> str:
    return file.read_text(errors="replace")


def _without_comments(stanza: str) -> str:
    return "\n".join(line for line in stanza.strip().splitlines() if not line.startswith("#"))
