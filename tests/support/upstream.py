# SPDX-License-Identifier: Apache-2.0
"""A TLS server that writes down every byte it is sent and answers as a test tells it to.

It speaks HTTP/1.1 by hand, on purpose: what counts is which bytes arrive, so no library may tidy them up first, and
answers must be allowed to break every rule. A route is a function of one `Exchange`; it reads and writes raw bytes.
"""

import base64
import gzip
import json
import socket
import ssl
import threading
import time
import urllib.parse

HEAD_BYTES_MAX = 1 << 20
WAIT_SECONDS = 30  # how long a test waits for something before it calls it lost


class Exchange:
    """One request as it arrived, and the means to answer it."""

    def __init__(self, stream, head, buffered):
        self.stream = stream
        self.time = time.time()               # of the head's last byte
        self.head = head                      # exact bytes up to and with the empty line
        self.framed_body = b""                # exact bytes of the body as sent, chunk framing included
        self.body = b""                       # unframed
        self.trailers = []
        self.broken = None                    # why reading the body failed, when it did
        self._buffered = buffered
        lines = head.split(b"\r\n")
        self.method, self.target, self.version = (part.decode("latin-1") for part in lines[0].split(b" ", 2))
        self.headers = [(name.decode("latin-1"), value.strip().decode("latin-1"))
                        for name, _, value in (line.partition(b":") for line in lines[1:] if line)]
        self.path, _, self.query = self.target.partition("?")
        self.close = False

    def header(self, name):
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[0] if values else None

    # ---- reading -----------------------------------------------------------------------------------------------
    def _receive(self):
        data = self.stream.recv(65536)
        if not data:
            raise ConnectionError("the request ended early")
        self._buffered += data

    def _take(self, size):
        while len(self._buffered) < size:
            self._receive()
        taken, self._buffered = self._buffered[:size], self._buffered[size:]
        self.framed_body += taken
        return taken

    def _take_line(self):
        while b"\r\n" not in self._buffered:
            self._receive()
        return self._take(self._buffered.index(b"\r\n") + 2)

    def read_body(self, on_part=None):
        """Reads the rest of the request; `on_part` sees each unframed part as it comes."""
        if (self.header("transfer-encoding") or "").lower() == "chunked":
            return self._read_chunked(on_part)
        left = int(self.header("content-length") or 0)
        parts = []
        while left:
            if not self._buffered:
                self._receive()
            parts.append(self._take(min(left, len(self._buffered))))
            left -= len(parts[-1])
            if on_part:
                on_part(parts[-1])
        self.body = b"".join(parts)
        return self.body

    def _read_chunked(self, on_part):
        parts = []
        while True:
            size = int(self._take_line().split(b";")[0], 16)
            if size == 0:
                break
            parts.append(self._take(size))
            self._take(2)
            if on_part:
                on_part(parts[-1])
        while (line := self._take_line()) != b"\r\n":
            name, _, value = line.partition(b":")
            self.trailers.append((name.decode("latin-1"), value.strip().decode("latin-1")))
        self.body = b"".join(parts)
        return self.body

    # ---- answering ---------------------------------------------------------------------------------------------
    def send(self, data):
        self.stream.sendall(data)

    def respond(self, status=200, body=b"", headers=(), reason="OK"):
        """An ordinary answer with a length."""
        body = body.encode() if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (b"" if self.method == "HEAD" else body))

    def start_chunked(self, status=200, headers=()):
        lines = [f"HTTP/1.1 {status} OK", "Transfer-Encoding: chunked"]
        lines += [f"{name}: {value}" for name, value in headers]
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))

    def send_chunk(self, data):
        self.send(b"%x\r\n%s\r\n" % (len(data), data))

    def end_chunked(self, trailers=()):
        self.send(b"0\r\n" + b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in trailers) + b"\r\n")

    def give_up(self):
        """Ends the connection in the middle of whatever it was doing."""
        self.close = True
        self.stream.shutdown(socket.SHUT_RDWR)


def hold_port(port):
    """A socket that keeps a port of 127.0.0.1 from every other server and takes no connection: each is refused."""
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", port))
    return held


class RecordingUpstream:
    """Serves on 127.0.0.1, port of the kernel's choice, or `at`. Routes: path → function(exchange). Clients may show a
    certificate of `client_ca`."""

    def __init__(self, certificate, key, routes=None, at=("127.0.0.1", 0), client_ca=None):
        self.routes = dict(STANDARD_ROUTES, **(routes or {}))
        self.exchanges = []               # every request whose head arrived, in order
        self.connections = 0
        self.handshakes_failed = 0
        self._changed = threading.Condition()
        self._context = None
        if certificate:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.set_ciphers("DEFAULT:@SECLEVEL=0")  # weak certificates are for the other side to refuse
            self._context.load_cert_chain(certificate, key)
            self._context.set_alpn_protocols(["http/1.1"])
            if client_ca:
                self._context.verify_mode = ssl.CERT_OPTIONAL
                self._context.load_verify_locations(client_ca)
        self._listener = socket.create_server(at, backlog=512)
        self.port = self._listener.getsockname()[1]
        self.address = f"{at[0]}:{self.port}"
        self._open = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        with self._changed:
            streams = list(self._open)
        for stream in streams:
            try:
                stream.close()
            except OSError:
                pass

    def wait_for(self, count=1, path=None):
        """Waits until `count` requests (for `path`) arrived and returns them."""
        def seen():
            return [exchange for exchange in self.exchanges if path is None or exchange.path == path]
        with self._changed:
            if not self._changed.wait_for(lambda: len(seen()) >= count, WAIT_SECONDS):
                raise AssertionError(f"only {len(seen())} of {count} requests for {path} arrived")
            return seen()

    def wait_until_left(self):
        """Waits until every client has closed its connection: whatever they sent is then in `exchanges`."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._open, WAIT_SECONDS):
                raise AssertionError(f"{len(self._open)} connections are still open")

    @property
    def raw(self):
        """Every request byte that arrived, one request after another."""
        return b"".join(exchange.head + exchange.framed_body for exchange in self.exchanges)

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        self.connections += 1
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = connection
        try:
            if self._context:
                stream = self._context.wrap_socket(connection, server_side=True)
        except (OSError, ssl.SSLError):
            self.handshakes_failed += 1
            connection.close()
            return
        with self._changed:
            self._open.add(stream)
        try:
            self._serve_requests(stream)
        except (OSError, ssl.SSLError, ValueError):
            pass
        finally:
            with self._changed:
                self._open.discard(stream)
                self._changed.notify_all()
            stream.close()

    def _serve_requests(self, stream):
        buffered = b""
        while True:
            while b"\r\n\r\n" not in buffered:
                data = stream.recv(65536)
                if not data or len(buffered) > HEAD_BYTES_MAX:
                    return
                buffered += data
            end = buffered.index(b"\r\n\r\n") + 4
            exchange = Exchange(stream, buffered[:end], buffered[end:])
            with self._changed:
                self.exchanges.append(exchange)
                self._changed.notify_all()
            route = self.routes.get(exchange.path) or self._prefix_route(exchange.path)
            try:
                route(exchange)
            except ConnectionError as error:
                exchange.broken = str(error)
                return
            finally:
                with self._changed:
                    self._changed.notify_all()
            if exchange.close:
                return
            buffered = exchange._buffered

    def _prefix_route(self, path):
        for prefix, route in self.routes.items():
            if prefix.endswith("/*") and path.startswith(prefix[:-1]):
                return route
        return not_found


# ---- answers that many tests use --------------------------------------------------------------------------------

def not_found(exchange):
    exchange.read_body()
    exchange.respond(404, b"no such page here\n", reason="Not Found")


def hello(exchange):
    exchange.read_body()
    exchange.respond(200, b"hello from upstream\n", [("Content-Type", "text/plain")])


def describe(exchange):
    """What arrived, as JSON, without the credential: lets a client prove what it reached."""
    body = exchange.read_body()
    told = {"method": exchange.method, "target": exchange.target, "bytes": len(body),
            "has_authorization": exchange.header("authorization") is not None}
    exchange.respond(200, json.dumps(told), [("Content-Type", "application/json")])


def echo(exchange):
    """Head and body come back as they arrived: a server that gives the credential away."""
    exchange.read_body()
    exchange.respond(200, exchange.head + exchange.body, [("Content-Type", "application/octet-stream")])


def disclose(exchange):
    """The credential in every form and place in which a careless server might return it."""
    exchange.read_body()
    value = exchange.header("authorization").split(" ", 1)[1]
    if exchange.header("authorization").lower().startswith("basic "):
        value = base64.b64decode(value).decode().split(":", 1)[1]
    raw = value.encode()
    forms = [raw, base64.b64encode(raw), base64.b64encode(b"x" + raw), base64.b64encode(b"xy" + raw),
             base64.urlsafe_b64encode(raw), raw.hex().encode(), raw.hex().upper().encode(),
             urllib.parse.quote(value, safe="").encode(), "".join(f"%{byte:02x}" for byte in raw).encode(),
             json.dumps(value).encode(), "".join(f"\\u{byte:04x}" for byte in raw).encode()]
    headers = [("X-Echo", value), ("Set-Cookie", f"session={value}; Path=/"), ("WWW-Authenticate", f'Bearer "{value}"')]
    exchange.start_chunked(200, headers + [("Trailer", "X-Last")])
    for form in forms:
        for cut in {0, 1, len(form) // 2, len(form) - 1}:   # chunk borders inside the secret
            if form[:cut]:
                exchange.send_chunk(form[:cut])
            exchange.send_chunk(form[cut:])
        exchange.send_chunk(b"\n")
    exchange.end_chunked([("X-Last", value)])


def disclose_compressed(exchange):
    """The credential inside a gzip body, sent although nobody may have asked for one."""
    exchange.read_body()
    exchange.respond(200, gzip.compress(exchange.head * 3), [("Content-Encoding", "gzip")])


def large(exchange):
    """`/bytes/N`: N bytes of a known pattern."""
    exchange.read_body()
    size = int(exchange.path.rsplit("/", 1)[1])
    block = bytes(range(256)) * 256
    exchange.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
    if exchange.method == "HEAD":
        return
    while size:
        part = block[:size]
        exchange.send(part)
        size -= len(part)


STANDARD_ROUTES = {"/hello": hello, "/describe": describe, "/echo": echo, "/disclose": disclose,
                   "/disclose-compressed": disclose_compressed, "/bytes/*": large}
