"""The lines that wait for one drain: in memory, and on disk once there are many. When the disk part is full the oldest go.

A folder holds the parts that are on disk, numbered, one line after another. Its owner sees to locking.
"""

import collections
import os

MEMORY = 1 << 20
PART = 4 << 20
DISK = 256 << 20
"""Bytes of each drain on each host; above the last, lines are dropped and counted."""
FIRST = 10**12


class Queue:
    """Lines without their newline, oldest first: `take` looks at the next ones, `done` drops them."""

    def __init__(self, folder, disk=DISK):
        self.folder, self.disk = folder, disk
        self.memory, self.size = collections.deque(), 0
        self.begun, self.left = None, 0
        self.last = None
        self.lost, self.is_left = 0, False
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.parts = collections.deque(
            self.part(name) for name in sorted(os.listdir(folder)) if name.isdigit()
        )

    def part(self, name):
        path = os.path.join(self.folder, name)
        with open(path, "rb") as f:
            return [path, sum(1 for _ in f), os.path.getsize(path)]

    def __len__(self):
        return len(self.memory) + sum(part[1] for part in self.parts)

    def put(self, line):
        if not self.parts and self.size + len(line) <= MEMORY:
            self.memory.append(line)
            self.size += len(line)
            return
        try:
            self.write(line)
        except OSError:
            self.lost += 1
        while len(self.parts) > 1 and sum(part[2] for part in self.parts) > self.disk:
            path, lines, _ = self.parts.popleft()
            self.lost += lines
            remove(path)

    def write(self, line):
        if self.last is None or self.parts[-1][2] >= PART:
            self.close()
            number = int(os.path.basename(self.parts[-1][0])) + 1 if self.parts else self.first() + 1
            path = os.path.join(self.folder, "%013d" % number)
            self.last = open(path, "ab", buffering=1 << 16)  # noqa: SIM115
            self.parts.append([path, 0, 0])
        self.last.write(line + b"\n")
        self.parts[-1][1] += 1
        self.parts[-1][2] += len(line) + 1

    def first(self):
        """The number of what memory holds: below that of every part."""
        if self.begun:
            return int(os.path.basename(self.begun))
        return int(os.path.basename(self.parts[0][0])) - 1 if self.parts else FIRST

    def close(self):
        if self.last:
            self.last.close()
            self.last = None

    def take(self, lines, size):
        """The oldest lines, at most so many and so many bytes, but one at least; none where there are none."""
        if not self.memory and self.parts:
            self.load()
        batch, total = [], 0
        for line in self.memory:
            total += len(line)
            if len(batch) == lines or (batch and total > size):
                break
            batch.append(line)
        return batch

    def load(self):
        """The oldest part into memory; it stays on disk until the last of its lines is done."""
        path, lines, _ = self.parts.popleft()
        if not self.parts:
            self.close()
        with open(path, "rb") as f:
            self.memory.extend(line.rstrip(b"\n") for line in f)
        self.size = sum(len(line) for line in self.memory)
        self.begun, self.left = path, lines

    def done(self, count):
        if self.is_left:
            return
        for _ in range(count):
            self.size -= len(self.memory.popleft())
        self.left -= count
        if self.begun and self.left <= 0:
            remove(self.begun)
            self.begun = None

    def leave(self, keeps):
        """What is in memory goes to disk for whoever comes next, if anything is kept; nothing changes after that."""
        self.close()
        self.is_left = True
        if keeps:
            self.save()

    def save(self):
        path = os.path.join(self.folder, "%013d" % self.first())
        if self.memory:
            with open(path + ".new", "wb") as f:
                f.writelines(line + b"\n" for line in self.memory)
            os.replace(path + ".new", path)
        elif self.begun:
            remove(self.begun)


def remove(path):
    """Somebody may have been quicker, when the drain itself was removed."""
    if os.path.exists(path):
        os.unlink(path)
