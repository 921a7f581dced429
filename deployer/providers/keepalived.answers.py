#!/usr/bin/python3 -IS
"""mesh-answers [proxy]: whether nginx on this host answers now; with `proxy` after a PROXY header.

Exit: 0 it does, whatever it says; 1 it does not. keepalived asks each second, so only one module is loaded.
"""

import socket
import sys

SECONDS = 0.8
HEADER = b"PROXY TCP4 127.0.0.1 127.0.0.1 1 80\r\n"
QUESTION = b"HEAD / HTTP/1.0\r\nHost: deployer.invalid\r\n\r\n"


def answers(port, header):
    try:
        link = socket.create_connection(("127.0.0.1", port), SECONDS)
    except OSError:
        return False
    try:
        link.sendall(header + QUESTION)
        return link.recv(5) == b"HTTP/"
    except OSError:
        return False
    finally:
        link.close()


if __name__ == "__main__":
    sys.exit(0 if answers(80, HEADER if "proxy" in sys.argv[1:] else b"") else 1)
