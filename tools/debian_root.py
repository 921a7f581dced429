"""Has the Debian root of practice hosts made before anybody asks for hosts.

Debian's own Python is enough, so `make demo` has this go on while pip brings what the deployer needs.
"""

import sys

from deployer import lab
from deployer.problems import DeployerError
from deployer.views import text


def main() -> int:
    try:
        lab.prepare(lambda line: text.show(line, err=True))
    except DeployerError as error:
        for found in error.problems:
            text.show(text.problem(found), err=True)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
