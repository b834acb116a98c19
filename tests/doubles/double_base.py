# SPDX-License-Identifier: Apache-2.0
"""What the doubles in Python have in common: a TLS server, the log, the faults, and tokens that live and die.

auth0/faults.mjs has the same faults and the same form of log for the double in Node; README.md describes both.
"""

import email.utils
import gzip
import hashlib
import json
import secrets
import sys
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from upstream import WAIT_SECONDS, RecordingUpstream, hold_port  # noqa: E402

LOOK_SECONDS = 0.02   # between two looks at a log
SENT = {"lost": "none", "closed": "none", "half": "half", "body": "replaced"}  # what leaves of an answer


def sha256(text):
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def words(text):
    return (text or "").replace(",", " ").split()


def random_text(length):
    return secrets.token_urlsafe(length)[:length].replace("-", "x").replace("_", "y")


def read_log(path):
    """Its whole lines: the last one may be on its way."""
    text = Path(path).read_text() if Path(path).exists() else ""
    return [json.loads(line) for line in text.rpartition("\n")[0].splitlines()]


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status, body, headers=(), error=None):
        super().__init__(str(body))
        self.status, self.body, self.headers = status, body, list(headers)
        self.error = error or (body.get("error") or body.get("message") if isinstance(body, dict) else str(body))


@dataclass
class Token:
    """Something that was issued; `more` holds what it may do, in the provider's own words."""
    value: str
    kind: str
    expires_at: float = None
    parent: "Token" = None
    is_revoked: bool = False
    more: dict = field(default_factory=dict)

    @property
    def sha256(self):
        return sha256(self.value)

    @property
    def is_alive(self):
        return not self.is_revoked and (self.expires_at is None or self.expires_at > time.time())


@dataclass
class Request:
    """One request, and what happens because of it."""
    method: str
    path: str
    query: dict
    raw_query: str
    headers: list
    body: bytes
    fault: dict = None
    issued: list = field(default_factory=list)
    revoked: list = field(default_factory=list)
    certificate: dict = None                   # of the client, as ssl.getpeercert tells it
    note: dict = field(default_factory=dict)   # fields of the log's entry: asked, returned, client, user, …

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def bearer(self):
        kind, _, value = (self.header("authorization") or "").partition(" ")
        return value if kind.lower() in ("bearer", "token") else None

    def form(self):
        return dict(urllib.parse.parse_qsl(self.body.decode(), keep_blank_values=True))

    def json(self):
        try:
            told = json.loads(self.body or b"{}")
        except ValueError:
            told = None
        if not isinstance(told, dict):
            raise Refusal(400, {"message": "Problems parsing JSON"})
        return told

    def is_fault(self, name):
        return bool(self.fault) and self.fault["fault"] == name

    def changed(self, scopes):
        """Scopes as this request's fault widens them."""
        return sorted({*scopes, *self.fault["scopes"]}) if self.is_fault("wider") else list(scopes)


def rate_headers(fault):
    seconds = fault.get("seconds", 1)
    reset = int(time.time()) + seconds + 1
    return {
        "seconds": [("Retry-After", str(seconds))],
        "date": [("Retry-After", email.utils.formatdate(reset, usegmt=True))],
        "reset": [("X-RateLimit-Limit", "30"), ("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", str(reset))],
        "draft": [("RateLimit-Limit", "30"), ("RateLimit-Remaining", "0"), ("RateLimit-Reset", str(seconds))],
        "field": [("RateLimit", f'"default";r=0;t={seconds}'), ("RateLimit-Policy", '"default";q=30;w=60')],
        "garbage": [("Retry-After", "soon")],
        "none": [],
    }[fault.get("form", "seconds")]


class Faults:
    """Scripted faults; a request takes the first that fits."""

    def __init__(self):
        self._waiting, self._lock = [], threading.Lock()

    def add(self, fault):
        fault = {"times": 1, "skip": 0, **fault}
        if fault["fault"] == "together":
            fault["all"] = threading.Barrier(fault["times"])
        with self._lock:
            self._waiting.append(fault)

    def clear(self):
        with self._lock:
            self._waiting.clear()

    def take(self, request):
        with self._lock:
            for fault in self._waiting:
                if not request.path.startswith(fault.get("path", "")):
                    continue
                if fault.get("method", request.method) != request.method:
                    continue
                if fault["skip"]:
                    fault["skip"] -= 1
                    continue
                if fault["times"]:
                    fault["times"] -= 1
                    if not fault["times"]:
                        self._waiting.remove(fault)
                return fault
        return None


class Provider:
    """What every double has: `url`, `port`, `address`, `ca_file`, and the log."""

    _forgotten = 0  # entries that were there when the double was reset

    def log(self, **wanted):
        """The entries of the log, in order; those only whose fields are as `wanted`."""
        return [entry for entry in read_log(self.log_file)[self._forgotten:]
                if all(entry.get(name) == value for name, value in wanted.items())]

    def wait_for(self, count, **wanted):
        """The entries as `log` gives them, once there are `count` or more."""
        deadline = time.monotonic() + WAIT_SECONDS
        while len(entries := self.log(**wanted)) < count:
            assert time.monotonic() < deadline, f"{len(entries)} of {count} entries with {wanted}"
            threading.Event().wait(LOOK_SECONDS)
        return entries

    def issued(self, kind=None):
        """SHA-256 → the entry's token, of everything ever issued."""
        return {token["sha256"]: token for entry in self.log() for token in entry["issued"]
                if kind in (None, token["kind"])}

    def revoked(self):
        """SHA-256 of everything that was taken away."""
        return {token["sha256"] for entry in self.log() for token in entry["revoked"] if token["kind"] != "unknown"}

    def address_of(self, port):
        self.port, self.address = port, f"127.0.0.1:{port}"


class Double(Provider):
    """One provider: `handle(request)` returns (status, body[, headers]) or raises Refusal."""

    name = "double"
    hosts = ()   # the provider's own names, in the certificate beside localhost
    takes_certificates = False   # clients may show one of the test's authority

    def __init__(self, folder, authority, port=0):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log_file, self.ca_file = self.folder / f"{self.name}.jsonl", authority.ca_file
        self.faults, self.tokens = Faults(), {}
        self._authority, self._lock, self._count = authority, threading.RLock(), 0
        self._log = open(self.log_file, "ab")
        self._certificate = self._issue("now")
        self._server = self._held = None
        self.address_of(port)
        self.up()
        self.url = f"https://localhost:{self.port}/"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.down()
        self._held.close()
        self._log.close()

    def _issue(self, valid):
        return self._authority.issue("localhost", "127.0.0.1", *self.hosts, valid=valid, label=f"{self.name}-{valid}")

    # ---- what goes wrong -------------------------------------------------------------------------------------------
    def fail(self, fault, **details):
        self.faults.add({"fault": fault, **details})

    def mend(self):
        self.faults.clear()

    def down(self):
        """Out of reach: no new connection is taken, those that are open end, and nobody else gets the port."""
        if self._server:
            self._server.stop()
            self._held = hold_port(self.port)
        self._server = None

    def up(self):
        if not self._server:
            client_ca = self.ca_file if self.takes_certificates else None
            if self._held:
                self._held.close()
            self._server = RecordingUpstream(*self._certificate, at=("127.0.0.1", self.port), client_ca=client_ca)
            self._server.routes = {"/*": self._serve}
            self.address_of(self._server.port)

    def certificate(self, valid="now"):
        """From now on a certificate that is now | expired | future."""
        self.down()
        self._certificate = self._issue(valid)
        self.up()

    # ---- tokens ----------------------------------------------------------------------------------------------------
    def mint(self, request, kind, prefix="", length=40, value=None, ttl=None, parent=None, **more):
        """Issues a token for a request; a fault may give it another length."""
        if not value:
            length = (request.fault or {}).get("length", length) if request else length
            value = prefix + random_text(max(length - len(prefix), 8))
        token = Token(value, kind, time.time() + ttl if ttl else None, parent, more=more)
        self.tokens[value] = token
        if request:
            request.issued.append(token)
        return token

    def take_away(self, request, token):
        """Revokes a token and all that hang under it."""
        for each in [*self.tokens.values()]:
            if each is token or each.parent is token:
                if each is not token:
                    self.take_away(request, each)
                elif each.is_alive:
                    each.is_revoked = True
                    request.revoked.append(each)

    def live(self, value, *kinds):
        token = self.tokens.get(value)
        return token if token and token.is_alive and (not kinds or token.kind in kinds) else None

    def is_alive(self, value):
        return self.live(value) is not None

    # ---- serving ---------------------------------------------------------------------------------------------------
    def handle(self, request):
        raise NotImplementedError

    def _serve(self, exchange):
        body = exchange.read_body()
        query = dict(urllib.parse.parse_qsl(exchange.query, keep_blank_values=True))
        request = Request(exchange.method, exchange.path, query, exchange.query, exchange.headers, body)
        request.certificate = exchange.stream.getpeercert() if self.takes_certificates else None
        request.fault = fault = self.faults.take(request)
        if request.is_fault("slow"):
            _wait(fault)
        answer = self._instead(fault)
        error = None
        with self._lock:
            if answer is None and not request.is_fault("closed"):
                try:
                    answer = self.handle(request)
                except Refusal as refusal:
                    answer, error = (refusal.status, refusal.body, refusal.headers), refusal.error
                except (KeyError, TypeError, ValueError, AttributeError) as wrong:  # nothing that a double foresaw
                    answer, error = (500, {"message": "the double failed"}), f"double: {wrong!r}"
            self._write(request, answer, error)
        if request.is_fault("closed"):
            exchange.give_up()
            return
        self._send(exchange, fault, *answer)

    @staticmethod
    def _instead(fault):
        """Faults that come instead of an answer: nothing was minted."""
        if fault and fault["fault"] == "rate_limited":
            body = fault.get("body", {"error": "too_many_requests", "message": "API rate limit exceeded"})
            return fault.get("status", 429), body, rate_headers(fault)
        if fault and fault["fault"] == "status":
            headers = [*fault.get("headers", {}).items()]
            if "content_type" in fault:
                headers.append(("Content-Type", fault["content_type"]))
            return fault.get("status", 503), fault.get("body", {"error": "temporarily_unavailable"}), headers
        return None

    def _write(self, request, answer, error):
        """One line of the log, before the answer leaves."""
        fault = (request.fault or {}).get("fault")
        entry = {"seq": self._count, "time": time.time(), "provider": self.name, "method": request.method,
                 "path": request.path, "status": answer[0] if answer else None, "grant": None, "client": None,
                 "user": None, "asked": None, "returned": None,
                 "issued": [{"kind": token.kind, "sha256": token.sha256, "expires_at": token.expires_at}
                            for token in request.issued],
                 "revoked": [{"kind": token.kind, "sha256": token.sha256} for token in request.revoked],
                 "error": error, "fault": fault, "sent": SENT.get(fault, "whole"), **request.note}
        bearer = request.bearer()
        if bearer:
            entry["credential"] = sha256(bearer)
        self._count += 1
        self._log.write(json.dumps(entry).encode() + b"\n")
        self._log.flush()

    @staticmethod
    def _send(exchange, fault, status, body, headers=()):
        """The answer, as a fault changes it on its way."""
        fault = fault or {"fault": None}
        kind = fault["fault"]
        if kind == "fields" and isinstance(body, dict):
            body = {name: value for name, value in {**body, **fault["fields"]}.items() if value is not None}
        if kind == "large" and isinstance(body, dict):
            body = {**body, "padding": "x" * fault.get("bytes", 1 << 20)}
        headers = dict(headers)
        headers.setdefault("Date", email.utils.formatdate(usegmt=True))
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        content = body.encode() if isinstance(body, str) else body
        if kind == "body":
            status, content = fault.get("status", 200), fault["body"].encode()
            headers["Content-Type"] = fault.get("content_type", "application/json")
        if kind == "wrong_type":
            headers["Content-Type"] = fault.get("content_type", "text/html")
        if kind == "gzip":
            content, headers["Content-Encoding"] = gzip.compress(content), "gzip"
        if kind == "skew":
            headers["Date"] = email.utils.formatdate(time.time() + fault["seconds"], usegmt=True)
        if kind == "hang_up":
            headers["Connection"] = "close"
        pairs = [*headers.items()]
        if kind == "twice":
            pairs += [(fault["header"], fault.get("value", "a")), (fault["header"], fault.get("other", "b"))]
        _send_bytes(exchange, fault, status, content, pairs)


def _send_bytes(exchange, fault, status, content, headers):
    kind = fault["fault"]
    if kind == "slow_answer":
        _wait(fault)
    if kind == "together":
        fault["all"].wait(WAIT_SECONDS)
    if kind == "lost":
        exchange.give_up()
    elif kind in ("half", "trickle"):
        lines = [f"HTTP/1.1 {status} OK", f"Content-Length: {len(content)}"]
        lines += [f"{key}: {value}" for key, value in headers]
        exchange.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
        if kind == "half":
            exchange.send(content[:len(content) // 2])
            exchange.give_up()
        for number in range(len(content) if kind == "trickle" else 0):
            exchange.send(content[number:number + 1])
            _wait({"seconds": 0.05, **fault})
    else:
        exchange.respond(status, content if status != 204 else b"", headers)
        if kind == "hang_up":
            exchange.close = True


def _wait(fault):
    threading.Event().wait(fault.get("seconds", 1))
