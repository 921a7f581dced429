"""How long `deploy --help` takes, beside a Python that does nothing."""

from __future__ import annotations

import sys

from measure import DEPLOY, arguments, in_turn


def main() -> None:
    given = arguments(__doc__, 9)
    found = in_turn({"help": (DEPLOY, "--help"), "nothing": (sys.executable, "-c", "pass")}, given.runs)
    ours, nothing = found["help"][0], found["nothing"][0]
    print(
        f"deploy --help: {ours:.3f} s, {ours / nothing:.1f} x `python -c pass` ({nothing:.3f} s);"
        f" medians of {given.runs}"
    )


if __name__ == "__main__":
    main()
