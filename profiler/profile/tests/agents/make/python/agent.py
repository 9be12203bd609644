"""Profiles itself with pyroscope-io, which pushes to a server in this process."""

import gzip
import hashlib
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import pyroscope

posts = []


class Keep(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length) if length else chunks(self.rfile)
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        posts.append(body)
        self.send_response(200)
        self.send_header("content-type", self.headers.get("content-type", ""))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def chunks(file):
    body = b""
    while size := int(file.readline(), 16):
        body += file.read(size)
        file.readline()
    return body


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """The length-delimited fields of a protobuf message."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            _, at = varint(data, at)
        elif key & 7 == 2:
            length, at = varint(data, at)
            yield key >> 3, data[at : at + length]
            at += length
        else:
            raise ValueError(f"wire type {key & 7}")


def profiles(push):
    """push.v1.PushRequest: series (1), their samples (2), their raw_profile (1)."""
    for _, series in (f for f in fields(push) if f[0] == 1):
        for _, sample in (f for f in fields(series) if f[0] == 2):
            yield from (raw for number, raw in fields(sample) if number == 1)


def hashing(until):
    digest = b""
    while time.monotonic() < until:
        for _ in range(500):
            digest = hashlib.sha256(digest).digest()


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def counting(until):
    while time.monotonic() < until:
        fibonacci(12)


def work(name, run, until):
    with pyroscope.tag_wrapper({"operation": name}):
        run(until)


def main(directory):
    server = HTTPServer(("127.0.0.1", 0), Keep)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pyroscope.configure(
        application_name="fixture",
        server_address=f"http://127.0.0.1:{server.server_port}",
        sample_rate=100,
        oncpu=True,
        tags={"region": "here"},
    )
    until = time.monotonic() + 12
    threads = [
        threading.Thread(target=work, args=(name, run, until))
        for name, run in (("hash", hashing), ("count", counting))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pyroscope.shutdown()
    largest = max((raw for post in posts for raw in profiles(post)), key=len)
    with open(os.path.join(directory, "python-cpu.pb.gz"), "wb") as file:
        file.write(largest if largest[:2] == b"\x1f\x8b" else gzip.compress(largest, mtime=0))


main(sys.argv[1])
