"""A worker that grows: EAT=`80 300@45` holds 80 MB at once, and 300 MB in all 45 s later."""

import os
import time

PAGE = 1 << 20


def main() -> None:
    """Says what it holds after each step, and stays."""
    kept: list[bytes] = []
    for step in os.environ.get("EAT", "0").split():
        megabytes, _, pause = step.partition("@")
        time.sleep(float(pause or 0))
        kept += [b"x" * PAGE for _ in range(int(megabytes) - len(kept))]
        print(f"holds {len(kept)} MB", flush=True)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
