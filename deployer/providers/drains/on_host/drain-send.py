#!/usr/bin/python3 -B
"""drain-send: takes the lines of this host's apps from its rsyslogd and sends them to their drains.

Each drain has a thread, a connection and a queue of its own, so that none waits for another. Settings are the files
in /etc/deployer/drains; SIGHUP has them read again, and what was read is noted in /run/deployer/drains.loaded. With
SIGTERM it stops within some seconds, and what was not delivered lies on disk.
"""

import contextlib
import glob
import hashlib
import json
import os
import signal
import socket
import threading
import time

from drain_one import STATES, Drain, write
from drain_relp import Door

SETTINGS = "/etc/deployer/drains/*.json"
LOADED = "/run/deployer/drains.loaded"
HELD = 3
"""The first file that systemd passes."""
GRACE = 3
"""Seconds that a drain has at the end for what is on its way."""


class House:
    """All drains of this host, by app."""

    def __init__(self):
        self.drains, self.known, self.by_app = {}, {}, {}
        self.closing = None

    def read(self):
        """Take the settings in: what is new begins, what is gone has some seconds to end, while lines come on."""
        wanted, loaded = {}, ""
        for path in sorted(glob.glob(SETTINGS)):
            with open(path, "rb") as f:
                content = f.read()
            loaded += "%s  %s\n" % (hashlib.sha256(content).hexdigest(), path)
            app = os.path.basename(path)[: -len(".json")]
            for settings in json.loads(content)["drains"]:
                wanted[app, settings["token"]] = settings
        self.closed()
        gone = [drain for key, drain in self.drains.items() if key not in wanted]
        for key in self.drains.keys() & wanted.keys():
            if self.known[key] != wanted[key]:
                self.drains[key].change(wanted[key])
        self.drains = {key: self.drains.get(key) or begun(key[0], wanted[key]) for key in sorted(wanted)}
        self.known, self.by_app = wanted, {}
        for app, token in sorted(self.drains):
            self.by_app.setdefault(app.encode(), []).append(self.drains[app, token])
        self.closing = threading.Thread(target=self.close, args=(gone, loaded), daemon=True)
        self.closing.start()

    def close(self, gone, loaded):
        """Apart, since rsyslogd would drop lines if nobody took them for so long."""
        finish(gone, keeps=False)
        write(LOADED, loaded)

    def closed(self):
        """Who comes back finds its queue with nobody. Reloads wait for LOADED, so there is seldom a wait here."""
        if self.closing:
            self.closing.join()

    def hand_out(self, line):
        app, _, rest = line.partition(b" ")
        for drain in self.by_app.get(app, ()):
            drain.take_in(rest)

    def end(self):
        self.closed()
        finish(self.drains.values(), keeps=True)


def begun(app, settings):
    drain = Drain(app, settings)
    drain.thread.start()
    return drain


def finish(drains, keeps):
    until = time.monotonic() + GRACE
    for drain in drains:
        drain.end()
    for drain in drains:
        drain.thread.join(max(0, until - time.monotonic()))
    for drain in drains:
        with drain.more:
            drain.queue.leave(keeps)


def main():
    os.makedirs(STATES, exist_ok=True)
    house, asked = House(), []
    wake, woken = os.pipe()
    for end in (wake, woken):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(woken)
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: asked.append(number))
    door = Door(socket.socket(fileno=HELD), wake)
    house.read()
    while signal.SIGTERM not in asked:
        for line in door.lines():
            house.hand_out(line)
        with contextlib.suppress(BlockingIOError):
            os.read(wake, 64)
        if signal.SIGHUP in asked:
            asked.remove(signal.SIGHUP)
            house.read()
    house.end()
    os._exit(0)


if __name__ == "__main__":
    main()
