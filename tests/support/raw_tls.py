# SPDX-License-Identifier: Apache-2.0
"""Sends standard input as it is over a verified TLS connection and prints what comes back: `raw_tls.py HOST <bytes`.

Run inside missions, for requests that no ordinary client would make.
"""

import socket
import ssl
import sys


def main():
    host = sys.argv[1]
    stream = ssl.create_default_context().wrap_socket(socket.create_connection((host, 443)), server_hostname=host)
    try:
        stream.sendall(sys.stdin.buffer.read())
        while data := stream.recv(65536):
            sys.stdout.buffer.write(data)
    except OSError as error:  # refused in the middle of our sending: what was answered is what counts
        print(f"({error})", file=sys.stderr)


if __name__ == "__main__":
    main()
