"""Subscribes to both channels over a plain socket, and writes each message as `channel<TAB>line`.

    python3 subscribe.py PORT FILE
"""

import socket
import sys


def main():
    port, path = int(sys.argv[1]), sys.argv[2]
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"SUBSCRIBE excimer excimer-wall\r\n")
    answers = connection.makefile("rb")

    def value():
        line = answers.readline()
        if not line:
            sys.exit("the connection ended")
        kind, rest = line[:1], line[1:-2]
        if kind == b"*":
            return [value() for _ in range(int(rest))]
        if kind == b"$":
            return answers.read(int(rest) + 2)[:-2]
        return rest

    with open(path, "wb", buffering=0) as lines:
        while True:
            kind, channel, text = value()
            if kind == b"message":
                lines.write(channel + b"\t" + text + b"\n")


main()
