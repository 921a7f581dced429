"""SHIPPED to hosts: one host's part of an end-to-end proof. Python 3.8 standard library only.

One JSON request on standard input; every part may be left out:
`lines`     {dyno: {pipe, text}}: each text goes into the dyno's own output
`requests`  {port, proxy, path, headers, marks}: one GET for each mark, one after another, to this host's
            router, each after a PROXY header where the router asks for one
`log`       {path, mark, awaited, seconds}: read until all is there, or nothing awaited came for so long
`record`    {path, text}: a file beside a release's record, if this host has the record
One JSON report on standard output: `refused` {dyno: why}, `answers` {mark: status or why there is none},
`found` {awaited: line}.
"""

import http.client
import json
import os
import re
import sys
import time

TAIL = 2 << 20
ANSWER_SECONDS, REST_SECONDS, SENDING_SECONDS = 7, 1, 20
PIPE_SECONDS = 2
POLL = 0.05
PROXY = b"PROXY TCP4 127.0.0.1 127.0.0.1 1 80\r\n"
SOURCE = re.compile(r"\S+ ((?:app|heroku)\[[^\]]+\]):")


def write_lines(lines):
    refused = {}
    for dyno, line in sorted(lines.items()):
        try:
            write(line["pipe"], (line["text"] + "\n").encode())
        except OSError as error:
            refused[dyno] = str(error)
    return refused


def write(pipe, text):
    """In one piece, as a line is shorter than PIPE_BUF; nobody is waited for who does not read."""
    end = time.monotonic() + PIPE_SECONDS
    pipe = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    try:
        while True:
            try:
                os.write(pipe, text)
                return
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
            time.sleep(POLL)
    finally:
        os.close(pipe)


def ask_router(requests):
    end = time.monotonic() + SENDING_SECONDS
    answers = {}
    for mark in requests["marks"]:
        if time.monotonic() < end:
            answers[mark] = ask(requests, mark)
    return answers


def ask(requests, mark):
    headers = dict(requests["headers"], Connection="close", **{"X-Request-Id": mark})
    link = http.client.HTTPConnection("127.0.0.1", requests["port"], timeout=ANSWER_SECONDS)
    try:
        link.connect()
        if requests["proxy"]:
            link.sock.sendall(PROXY)
        link.request("GET", requests["path"], headers=headers)
        sock = link.sock
        response = link.getresponse()
        sock.settimeout(REST_SECONDS)
        read_on(response)
        return response.status
    except (OSError, http.client.HTTPException, ValueError) as error:
        return str(error) or type(error).__name__
    finally:
        link.close()


def read_on(response):
    """A short answer is read to its end; one that goes on is left, since its status is known."""
    end = time.monotonic() + REST_SECONDS
    try:
        while time.monotonic() < end and response.read1(65536):
            continue
    except (OSError, http.client.HTTPException):
        return


def await_lines(log):
    found, missing = {}, set(log["awaited"])
    marked = re.compile(re.escape(log["mark"]) + "[0-9-]*")
    last = time.monotonic()
    for lines in batches(log["path"]):
        for line in lines:
            for name in names(marked, line):
                if name in missing:
                    missing.discard(name)
                    found[name] = line
                    last = time.monotonic()
        if not missing or time.monotonic() - last > log["seconds"]:
            break
        if not lines:
            time.sleep(POLL)
    return found


def names(marked, line):
    """`source[process] mark` for each mark: what an app says of a request is not the router's word."""
    source = SOURCE.match(line)
    return ["%s %s" % (source.group(1), mark) for mark in marked.findall(line)] if source else []


def batches(path):
    """Whole lines for ever: the latest 2 MB, also of the part that was rotated away, then what comes."""
    f, rest = opened(path, TAIL), b""
    yield whole(b"", read_all(opened(path + ".1", TAIL)))[0]
    while True:
        f = f or opened(path)
        rotated = f is not None and not same(f, path)
        lines, rest = whole(rest, f.read(TAIL) if f else b"")
        yield lines
        if rotated and not lines:
            f.close()
            f, rest = None, b""


def whole(rest, block):
    *lines, rest = (rest + block).split(b"\n")
    return [line.decode("utf-8", "replace") for line in lines], rest


def opened(path, tail=None):
    """The file at its beginning, or so many bytes before its end; None where there is none."""
    try:
        f = open(path, "rb")  # noqa: SIM115
    except FileNotFoundError:
        return None
    if tail is not None:
        f.seek(max(0, os.fstat(f.fileno()).st_size - tail))
    return f


def read_all(f):
    if f is None:
        return b""
    with f:
        return f.read()


def same(f, path):
    try:
        return os.fstat(f.fileno()).st_ino == os.stat(path).st_ino
    except FileNotFoundError:
        return False


def keep(record):
    if os.path.isdir(os.path.dirname(record["path"])):
        with open(record["path"] + ".new", "w", encoding="utf-8") as f:
            f.write(record["text"])
            os.fchmod(f.fileno(), 0o644)
        os.replace(record["path"] + ".new", record["path"])


def main(request):
    report = {"refused": write_lines(request.get("lines", {})), "answers": {}, "found": {}}
    if "requests" in request:
        report["answers"] = ask_router(request["requests"])
    if "log" in request:
        report["found"] = await_lines(request["log"])
    if "record" in request:
        keep(request["record"])
    return report


if __name__ == "__main__":
    json.dump(main(json.loads(sys.stdin.buffer.read().decode())), sys.stdout)
