#!/usr/bin/python3 -IS
"""mesh-answers: whether nginx on this host answers now, with or without a PROXY header before the question.

Whether it wants one is what any app of the router may change at any time, so both are tried.
Exit: 0 it does, whatever it says; 1 it does not. keepalived asks each second, so only one module is loaded.
"""

import socket
import sys

SECONDS = 0.8
SHARED = "/etc/nginx/conf.d/deployer.conf"
HEADER = b"PROXY TCP4 127.0.0.1 127.0.0.1 1 80\r\n"
QUESTION = b"HEAD / HTTP/1.0\r\nHost: deployer.invalid\r\n\r\n"


def headers(path):
    """Both ways to ask, first the one that the file says: nginx writes each refusal into its log."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            proxy = " proxy_protocol;" in file.read()
    except OSError:
        proxy = False
    return (HEADER, b"") if proxy else (b"", HEADER)


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
    sys.exit(0 if any(answers(80, header) for header in headers(SHARED)) else 1)
