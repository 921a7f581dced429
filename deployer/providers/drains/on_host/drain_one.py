"""One drain: its queue, its connection, and what is said of both."""

import contextlib
import datetime
import http.client
import json
import os
import socket
import ssl
import threading
import time

from drain_queue import Queue
from drain_wire import Refused, Unfit, Unusable, wire

SPOOL = "/var/lib/deployer/spool/drains"
STATES = "/run/deployer/drains"
LOG = "/run/deployer/log"
PAUSES = (1, 2, 4, 8, 16, 30)
"""Seconds between attempts to reach a drain."""
GLANCE = 2
"""Seconds after which a state that changed is written down."""
L10_EVERY, L14_EVERY = 10, 600
UNTRUSTED = {
    10: "certificate expired",
    18: "unknown ca",
    19: "unknown ca",
    20: "unknown ca",
    21: "unknown ca",
}
"""What OpenSSL calls by number, in the words of TLS alerts."""


class Drain:
    """A thread of its own sends; `take_in` never waits for it."""

    def __init__(self, app, settings):
        self.app, self.token, self.plain = app, settings["token"], settings["plain"]
        self.name = "%s.%s" % (app, self.token)
        self.wire = wire(settings["url"], self.token, settings["ca"])
        self.queue, self.more = Queue(os.path.join(SPOOL, self.name)), threading.Condition()
        self.thread, self.ending = threading.Thread(target=self.run, daemon=True), False
        self.newer = None
        self.state = {"state": "up", "error": "", "since": now(), "sent": 0, "lost": 0}
        self.shown, self.shown_at, self.active, self.said = "", 0, 0, {}
        self.lost, self.untold, self.lost_since = 0, 0, now()

    def take_in(self, line):
        with self.more:
            self.queue.put(line)
            self.more.notify()

    def change(self, settings):
        """Send with these from the next batch on."""
        with self.more:
            self.newer = settings
            self.more.notify()

    def end(self):
        with self.more:
            self.ending = True
            self.more.notify()

    def run(self):
        failures, batch = 0, None
        self.doubt()
        while not (self.ending and (failures or self.queue.is_left or not len(self.queue))):
            self.renew()
            batch = self.next(again=len(batch or ()) if failures else 0)
            if batch is None:
                continue
            try:
                failures = failures + 1 if self.trouble_with(batch) else 0
            except Exception as error:  # a thread that ended would take its drain's lines with it
                failures += 1
                self.is_now("down", "%s: %s" % (type(error).__name__, error))
            if failures:
                self.wait(PAUSES[min(failures, len(PAUSES)) - 1])
        self.wire.rest()
        self.show()

    def renew(self):
        """Between two batches: so nobody sends over the old connection beside the new one."""
        with self.more:
            settings, self.newer = self.newer, None
        if settings:
            self.wire.rest()
            self.wire = wire(settings["url"], self.token, settings["ca"])
            self.doubt()

    def doubt(self):
        """What is wrong with settings is told before there is a line to send."""
        if isinstance(self.wire, Unusable):
            self.is_unfit(self.wire.flaw)

    def is_unfit(self, flaw):
        self.mistrust("bad certificate")
        self.is_now("down", flaw)

    def next(self, again=0):
        """What goes next; None when there was nothing for a while. What is tried `again` is the same, so that it
        keeps its number."""
        with self.more:
            if not len(self.queue) and not self.ending and not self.more.wait(GLANCE):
                self.nothing_new()
            self.count_lost()
            return self.queue.take(again or self.wire.lines, self.wire.size) or None

    def nothing_new(self):
        self.show()
        if time.monotonic() - self.active > self.wire.idle:
            self.wire.rest()

    def wait(self, seconds):
        until = time.monotonic() + seconds
        with self.more:
            while not (self.ending or self.newer) and time.monotonic() < until:
                self.more.wait(until - time.monotonic())

    def trouble_with(self, batch):
        """Whether these lines must be tried again."""
        notice = [overflow(self.untold, self.lost_since)] if self.untold else []
        try:
            self.wire.send([line.encode() for line in notice] + batch)
        except Refused as refused:
            self.drop(len(batch))
            self.is_now("refusing", str(refused))
            return False
        except Unfit as error:
            self.is_unfit(str(error))
            return True
        except ssl.SSLCertVerificationError as error:
            self.mistrust(UNTRUSTED.get(error.verify_code, "bad certificate"))
            self.is_now("down", "certificate: %s" % error.verify_message)
            return True
        except (OSError, http.client.HTTPException) as error:
            self.is_now("down", getattr(error, "strerror", None) or str(error) or type(error).__name__)
            return True
        self.untold = 0
        self.delivered(len(batch))
        return False

    def delivered(self, count):
        with self.more:
            self.queue.done(count)
        self.state["sent"] += count
        self.active = time.monotonic()
        self.is_now("up", "")

    def drop(self, count):
        with self.more:
            self.queue.done(count)
            self.queue.lost += count
            self.count_lost()

    def count_lost(self):
        """What the queue has dropped since the last time is told to the drain, and in the app's log."""
        if not self.queue.lost:
            return
        self.state["lost"] += self.queue.lost
        if not self.untold:
            self.lost_since = now()
        self.untold += self.queue.lost
        self.lost += self.queue.lost
        self.queue.lost = 0
        if self.is_due("L10", L10_EVERY):
            text = overflow(self.lost, self.lost_since).split(" ", 3)[3]
            self.say(172, "%s drain=%s" % (text, self.token))
            self.lost = 0

    def mistrust(self, words):
        if self.is_due("L14", L14_EVERY):
            self.say(188, 'Error L14 (certificate validation): error="%s" uri="%s"' % (words, self.plain))

    def is_due(self, what, every):
        due = time.monotonic() >= self.said.get(what, 0)
        if due:
            self.said[what] = time.monotonic() + every
        return due

    def say(self, priority, text):
        """In the app's log; waiting for it here would be waiting for ourselves."""
        stamp = time.strftime("%b %e %H:%M:%S", time.gmtime())
        line = "<%d>%s %s/heroku/logplex: %s" % (priority, stamp, self.app, text)
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.settimeout(2)
            log.sendto(line.encode(), LOG)

    def is_now(self, state, error):
        if (state, error) != (self.state["state"], self.state["error"]):
            self.state.update(state=state, error=error, since=now())
            self.show()
        elif time.monotonic() - self.shown_at > GLANCE:
            self.show()

    def show(self):
        """Of a drain that was removed nothing may come back."""
        if self.queue.is_left:
            return
        text = json.dumps({**self.state, "waiting": len(self.queue)})
        if text != self.shown:
            write(os.path.join(STATES, self.name + ".json"), text)
        self.shown, self.shown_at = text, time.monotonic()


def overflow(lost, since):
    return "%s heroku logplex Error L10 (output buffer overflow): %d messages dropped since %s." % (
        now("microseconds"),
        lost,
        since,
    )


def now(to="seconds"):
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec=to)


def write(path, text):
    with open(path + ".new", "w") as f:
        f.write(text)
    os.replace(path + ".new", path)
