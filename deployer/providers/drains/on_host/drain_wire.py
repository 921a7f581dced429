"""How lines go to a drain: octet-counted over TCP and TLS, or in Logplex's frames over HTTP and HTTPS.

The shapes are those of the Heroku contract, 6.2 and 6.3. A line is `TIME SOURCE PROCESS TEXT`, in bytes.
"""

import base64
import fcntl
import hashlib
import http.client
import socket
import ssl
import struct
import termios
import time
from urllib.parse import unquote, urlsplit

PATIENCE = 10
"""Seconds for each exchange with a drain."""
APP, PLATFORM = 190, 134
PRIORITIES = {b"router": 158, b"logplex": 172}


class Refused(Exception):
    """The receiver does not want these lines and never will."""


class Unfit(Exception):
    """Nobody can send with these settings."""


def frame(line, token, fields):
    """One message, its length before it; `token` stands where a host name would, `fields` before the text."""
    parts = line.split(b" ", 3)
    time_, source, process = parts[:3]
    text = b" " + parts[3] if len(parts) > 3 and parts[3] else b""
    head = b"<%d>1 %s %s %s %s %s" % (priority(source, process), time_, token, source, process, fields)
    message = head + text + b"\n"
    return b"%d %s" % (len(message), message)


def priority(source, process):
    if source == b"app" and process != b"api":
        return APP
    return PRIORITIES.get(process, PLATFORM)


def context(url, ca):
    """Verified against the host's certificates and those of the app, unless the URL ends with #insecure."""
    made = ssl.create_default_context()
    # newer Pythons refuse CAs that lack what no receiver's own ever had
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if ca:
        made.load_verify_locations(cadata=ca)
    if urlsplit(url).fragment == "insecure":
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made


class Syslog:
    """Over one connection, which lives as long as the receiver likes."""

    lines, size, idle = 2000, 1 << 18, 240

    def __init__(self, url, token, ca):
        parts = urlsplit(url)
        self.token, self.host = token.encode(), parts.hostname
        self.context = context(url, ca) if parts.scheme == "syslog+tls" else None
        self.port = parts.port or (6514 if self.context else 514)
        self.link, self.before = None, b""

    def send(self, lines):
        """Returns when the receiver's machine has taken all in. Raises OSError."""
        data = b"".join(frame(line, self.token, b"- -") for line in lines)
        if self.link and not self.is_open():
            self.close()
        try:
            if not self.link:
                self.connect()
                self.link.sendall(self.before)
            self.link.sendall(data)
            self.wait()
        except OSError:
            self.close()
            raise
        self.before = data

    def connect(self):
        link = socket.create_connection((self.host, self.port), PATIENCE)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            self.link = self.context.wrap_socket(link, server_hostname=self.host) if self.context else link
        except OSError:
            link.close()
            raise

    def is_open(self):
        """A receiver that has ended in good order had read all before; one that broke off may not have.

        Linux resets a connection whose receiver dies with bytes unread: then what went last goes again.
        """
        self.link.settimeout(0)
        try:
            while self.link.recv(4096):
                pass
            self.before = b""
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except OSError:
            pass
        finally:
            self.link.settimeout(PATIENCE)
        return False

    def wait(self):
        """Until the other kernel has acknowledged every byte. Raises OSError where it does not."""
        until, pause = time.monotonic() + PATIENCE, 0.0005
        while unacknowledged(self.link):
            if time.monotonic() > until:
                raise TimeoutError("the receiver takes nothing in")
            time.sleep(pause)
            pause = min(pause * 2, 0.02)
        if code := self.link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, "the connection broke")

    def rest(self):
        """Nothing was said for long: the next lines find a new connection."""
        self.before = b""
        self.close()

    def close(self):
        if self.link:
            self.link.close()
            self.link = None


def unacknowledged(link):
    return struct.unpack("i", fcntl.ioctl(link.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0]


class Http:
    """One POST for each batch, over a connection that is kept. `lines`, `size` in bytes and `idle` in seconds are bounds."""

    lines, size, idle = 500, 100000, 144

    def __init__(self, url, token, ca):
        parts = urlsplit(url)
        self.token, self.parts = token, parts
        self.path = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        self.context = context(url, ca) if parts.scheme == "https" else None
        self.credentials = ""
        if parts.username is not None:
            pair = "%s:%s" % (unquote(parts.username), unquote(parts.password or ""))
            self.credentials = "Basic " + base64.b64encode(pair.encode()).decode()
        self.link = None

    def send(self, lines):
        """Returns when the receiver has accepted. Raises Refused, OSError or HTTPException."""
        body = b"".join(frame(line, b"host", b"-") for line in lines)
        is_old = self.link is not None
        try:
            status = self.post(body, len(lines))
        except (OSError, http.client.HTTPException):
            self.close()
            if not is_old:
                raise
            # a connection that was kept may have ended meanwhile, which says nothing about the receiver
            status = self.post(body, len(lines))
        if 200 <= status < 300:
            return
        if 400 <= status < 500 and status != 429:
            raise Refused("HTTP status %d" % status)
        raise OSError("HTTP status %d" % status)

    def post(self, body, count):
        if not self.link:
            self.link = self.connection()
        headers = {
            "Content-Type": "application/logplex-1",
            "Logplex-Msg-Count": str(count),
            "Logplex-Frame-Id": hashlib.sha256(self.token.encode() + body).hexdigest()[:32],
            "Logplex-Drain-Token": self.token,
            "User-Agent": "Logplex/v1",
        }
        if self.credentials:
            headers["Authorization"] = self.credentials
        self.link.request("POST", self.path, body, headers)
        answer = self.link.getresponse()
        answer.read(1 << 16)
        if not answer.isclosed():
            self.close()
        return answer.status

    def connection(self):
        if self.context:
            return http.client.HTTPSConnection(
                self.parts.hostname, self.parts.port, timeout=PATIENCE, context=self.context
            )
        return http.client.HTTPConnection(self.parts.hostname, self.parts.port, timeout=PATIENCE)

    def rest(self):
        self.close()

    def close(self):
        if self.link:
            self.link.close()
            self.link = None


class Unusable:
    """Stands where settings are damaged: the lines wait for others. `flaw` says what is wrong."""

    lines, size, idle = 1, 1, 240

    def __init__(self, flaw):
        self.flaw = flaw

    def send(self, lines):
        raise Unfit(self.flaw)

    def rest(self):
        """There is no connection."""


def wire(url, token, ca):
    """Never raises, so that damaged settings of one drain stop no other."""
    try:
        return (Http if urlsplit(url).scheme in ("http", "https") else Syslog)(url, token, ca)
    except (ssl.SSLError, ValueError) as error:
        return Unusable("%s cannot be used: %s" % ("drain_ca" if ca else "the URL", error))
