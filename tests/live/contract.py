"""An app that misbehaves on request, and what its router says of that, compared whole with the contract (5.6)."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from conftest import Shop
from here import HOSTS, at, gateway

CODE = Path(__file__).parent / "app_contract"
SEEN_SECONDS = 10
NONE = {"dyno": "", "connect": "", "service": "", "bytes": ""}
"""What stands there when no dyno took the request."""
UNTAKEN = {"service": "", "bytes": ""}
KEYS = ("dyno", "connect", "service", "status", "bytes")


@dataclass
class Answer:
    """What a client got; `status` is 0 where the router hung up without a word."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0


@dataclass
class Contract:
    """The app on the practice fleet. `ask` gives each request an id of its own, by which its line is found."""

    shop: Shop
    name: str
    host: str

    @property
    def folder(self) -> Path:
        return self.shop.folder

    def ask(
        self, path: str, method: str = "GET", timeout: float = 100, **given: object
    ) -> tuple[str, Answer]:
        """`given`: `body`, and `headers` beside Host and X-Request-Id."""
        mark = str(uuid.uuid4())
        headers = {"Host": self.host, "X-Request-Id": mark, **dict(given.get("headers", {}))}  # type: ignore[call-overload]
        link = http.client.HTTPConnection(at("box-1"), timeout=timeout)
        began, answer = time.monotonic(), Answer()
        try:
            link.request(method, path, body=given.get("body"), headers=headers)  # type: ignore[arg-type]
            response = link.getresponse()
            names = {name.lower() for name in response.headers}
            answer = Answer(response.status, {name: response.getheader(name, "") for name in names})
            answer.body = response.read()
        except http.client.IncompleteRead as cut:
            answer.body = cut.partial
        except (http.client.HTTPException, OSError):
            pass
        finally:
            link.close()
        answer.seconds = time.monotonic() - began
        return mark, answer

    def raw(self, text: bytes, wait: float = 0.0, timeout: float = 100) -> bytes:
        """All that comes back for these bytes; after `wait` the client itself goes, if that is given."""
        with socket.create_connection((at("box-1"), 80), timeout=wait or timeout) as link:
            link.sendall(text)
            found = b""
            try:
                while block := link.recv(65536):
                    found += block
            except TimeoutError:
                assert wait, "the router kept a client for ever"
            return found

    def line(self, mark: str) -> str:
        """The router's line of a request, without its time."""
        end = time.monotonic() + SEEN_SECONDS
        while time.monotonic() < end:
            log = f"/var/lib/deployer/logs/{self.name}.log"
            found = self.shop.ssh(
                "box-1", f"tail -n 3000 {log} | grep -F {mark} | grep -F 'heroku[router]' || true"
            )
            if found:
                return found.splitlines()[-1].split(" ", 1)[1]
            time.sleep(0.2)
        raise AssertionError(f"no line of {mark} came")

    def check(self, mark: str, head: str, path: str, status: int, method: str = "GET", **words: str) -> str:
        """The whole line, key by key; `words` are patterns for what is not as usual."""
        usual = {"dyno": r"web\.\d+", "connect": r"\d+ms", "service": r"\d+ms", "bytes": r"\d+"}
        rest = usual | {"status": str(status)} | words
        fwd = words.get("fwd", re.escape(gateway()))
        pattern = (
            rf'heroku\[router\]: {re.escape(head)} method={method} path="{re.escape(path)}" '
            rf'host={re.escape(self.host)} request_id={mark} fwd="{fwd}" '
            + " ".join(f"{key}={rest[key]}" for key in KEYS)
            + " protocol=http1\\.1 tls=false tls_version=unknown"
        )
        line = self.line(mark)
        assert re.fullmatch(pattern, line), f"{line}\nis not\n{pattern}"
        return line

    def dynos(self) -> dict[str, tuple[str, str, str]]:
        """`web.1` to the host, the key and the address of the dyno."""
        found = {}
        for host in HOSTS:
            places = f"/var/lib/deployer/dynos/{self.name}.web.*/dyno.json"
            for row in (
                self.shop.ssh(host, f"cat {places} 2>/dev/null || true").replace("}{", "}\n{").splitlines()
            ):
                place = json.loads(row)
                key = f"{self.name}.web.{place['n']}.v{place['release']}"
                found[f"web.{place['n']}"] = (host, key, place["address"])
        return found


def error(code: str, desc: str) -> str:
    return f'at=error code={code} desc="{desc}"'


def deployed(shop: Shop, folder: Path, name: str, quantity: int, **fleet: object) -> Contract:
    """The app under a name of its own beside what is on the fleet already."""
    shutil.copytree(CODE, folder)
    document = json.loads((shop.folder / "fleet.json").read_text())
    kept = {key: document[key] for key in ("hosts", "ssh")}
    own = {"app": name, "domains": [f"{name}.test"], "rollout": {"watch": 0, "drain": 1}}
    formation = {"web": {"quantity": quantity}}
    (folder / "fleet.json").write_text(json.dumps(kept | own | {"formation": formation} | fleet))
    made = Shop(folder)
    made.settle()
    return Contract(made, name, f"{name}.test")


def at_once(
    pool: ThreadPoolExecutor, calls: dict[str, tuple[object, ...]], app: Contract
) -> dict[str, Future[tuple[str, Answer]]]:
    """Asks many things at the same time; each call is the arguments of `ask`."""
    return {name: pool.submit(app.ask, *call) for name, call in calls.items()}  # type: ignore[arg-type]
