"""RELP as far as the rsyslogd of this host speaks it: each line is acknowledged once it is in the queues."""

import selectors

OFFER = b"200 OK\nrelp_version=0\nrelp_software=deployer\ncommands=syslog"
LONGEST = 1 << 18
"""Bytes of a frame: what is longer is no line of ours."""


class Peer:
    """One connection: `feed` takes bytes in and gives the lines that are whole, `answer` what is to be said to them."""

    def __init__(self):
        self.rest, self.answer, self.is_done = b"", b"", False

    def feed(self, data):
        data, at, lines = self.rest + data, 0, []
        while not self.is_done:
            frame = next_frame(data, at)
            if frame is None:
                break
            number, command, content, at = frame
            if command == b"syslog":
                lines.append(content)
            self.answer += reply(number, {b"open": OFFER, b"close": b""}.get(command, b"200 OK"))
            self.is_done = command == b"close"
        self.rest = data[at:]
        return lines


def next_frame(data, at):
    """`(number, command, content, where the next begins)`; None while it is not all there. Raises ValueError."""
    end = data.find(b"\n", at, at + 64)
    head = data[at : at + 64 if end < 0 else end].split(b" ", 3)
    if len(head) < 3 or (len(head) == 3 and end < 0):
        if len(data) - at >= 64:
            raise ValueError("no RELP")
        return None
    number, command, size = head[0], head[1], int(head[2])
    if size > LONGEST:
        raise ValueError("a frame of %d bytes" % size)
    if size == 0:
        return (number, command, b"", end + 1) if end >= 0 else None
    begin = at + len(number) + len(command) + len(head[2]) + 3
    if len(data) < begin + size + 1:
        return None
    return number, command, data[begin : begin + size], begin + size + 1


def reply(number, content):
    return b"%s rsp %d%s\n" % (number, len(content), b" " + content if content else b"")


class Door:
    """Takes lines from the connections to a listening socket, which systemd holds."""

    def __init__(self, listener, wake):
        self.all, self.listener = selectors.DefaultSelector(), listener
        listener.setblocking(False)
        self.all.register(listener, selectors.EVENT_READ, None)
        self.all.register(wake, selectors.EVENT_READ, None)

    def lines(self):
        """The lines that have come since; waits for something to happen. Acknowledge them with `acknowledge`."""
        for key, _ in self.all.select():
            if key.fileobj is self.listener:
                self.let_in()
            elif key.data:
                yield from self.heard(key.fileobj, key.data)

    def let_in(self):
        link, _ = self.listener.accept()
        link.settimeout(10)
        self.all.register(link, selectors.EVENT_READ, Peer())

    def heard(self, link, peer):
        try:
            data = link.recv(1 << 18)
            yield from peer.feed(data)
            link.sendall(peer.answer)
            peer.answer = b""
        except (OSError, ValueError):
            data = b""
        if not data or peer.is_done:
            self.all.unregister(link)
            link.close()
