"""A worker that shows in the logs that it lives."""

import os
import time
from itertools import count


def main() -> None:
    """Say one line every few seconds, for ever."""
    for tick in count(1):
        print(f"tick {tick} of {os.environ.get('DYNO', 'nowhere')}", flush=True)
        time.sleep(5)


if __name__ == "__main__":
    main()
