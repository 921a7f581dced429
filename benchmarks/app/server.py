"""Answers as soon as Python can, so that what is measured is the start and not the app."""

import os
import socket

with socket.create_server(("0.0.0.0", int(os.environ["PORT"]))) as server:
    while True:
        link, _ = server.accept()
        with link:
            link.recv(4096)
            link.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
