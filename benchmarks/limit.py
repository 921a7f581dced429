"""The limit that an empty plan is measured against: one parallel paramiko connect and one exec of the same probe.

Argument: a file with {"hosts": [...], "line": the remote command, "stdin": what it reads}.
Prints seconds from the first connect to the last byte read, after all imports.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import paramiko


def look(host: Mapping[str, Any], line: str, stdin: str) -> dict[str, Any]:
    """The probe's document of one host."""
    with paramiko.SSHClient() as client:
        client.load_host_keys(host["known_hosts"])
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        client.connect(
            host["address"], host["port"], host["user"], key_filename=host["key"], allow_agent=False
        )
        sent, output, _ = client.exec_command(line)
        sent.write(stdin)
        sent.channel.shutdown_write()
        found: dict[str, Any] = json.loads(output.read().partition(b"--- deployer\n")[2])
        return found


def main() -> None:
    work = json.loads(open(sys.argv[1]).read())
    began = time.perf_counter()
    with ThreadPoolExecutor(len(work["hosts"])) as pool:
        seen = list(pool.map(lambda host: look(host, work["line"], work["stdin"]), work["hosts"]))
    took = time.perf_counter() - began
    if len(seen) != len(work["hosts"]):
        sys.exit("a host is missing")
    print(took)


if __name__ == "__main__":
    main()
