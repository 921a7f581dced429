"""Dynos that end badly, each in its way, a while after they are up: `trouble.py stubborn|eater|crasher`."""

import signal
import sys
import time

AFTER = 5


def main(way: str) -> None:
    print(f"{way} begins", flush=True)
    if way == "stubborn":
        signal.signal(signal.SIGTERM, lambda *_: print("no", flush=True))
        while True:
            time.sleep(60)
    time.sleep(AFTER)
    if way == "crasher":
        sys.exit(3)
    kept = [b"x" * (1 << 20) for _ in range(4096)]
    print(len(kept), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
