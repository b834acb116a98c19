# SPDX-License-Identifier: Apache-2.0
"""AWS Signature Version 4 from the side that verifies: headers, pre-signed queries, bodies signed chunk by chunk."""

import calendar
import hashlib
import hmac
import re
import time
import urllib.parse
from dataclasses import dataclass

EMPTY = hashlib.sha256(b"").hexdigest()
SKEW_SECONDS = 900
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
UNSIGNED = "UNSIGNED-PAYLOAD"


class Invalid(Exception):
    """`code` is AWS's own name for what is wrong."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


@dataclass
class Signed:
    """What a request says about its signature."""
    access_key: str
    date: str
    region: str
    service: str
    moment: str          # 20150830T123600Z
    names: list          # of the signed headers
    signature: str
    is_query: bool = False

    @property
    def scope(self):
        return f"{self.date}/{self.region}/{self.service}/aws4_request"


def digest(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signing_key(secret, date, region, service):
    key = ("AWS4" + secret).encode()
    for part in (date, region, service, "aws4_request"):
        key = digest(key, part)
    return key


def quote(text):
    return urllib.parse.quote(text, safe="-_.~")


def parse(headers, query):
    """From the Authorization header, or from a pre-signed query."""
    get = {name.lower(): value for name, value in headers}.get
    if "X-Amz-Signature" in query:
        credential, is_query = query.get("X-Amz-Credential", ""), True
        names, signature = query.get("X-Amz-SignedHeaders", ""), query["X-Amz-Signature"]
        algorithm, moment = query.get("X-Amz-Algorithm"), query.get("X-Amz-Date", "")
    else:
        found = re.fullmatch(r"(AWS4-HMAC-SHA256) Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*"
                             r"Signature=([0-9a-f]{64})", get("authorization") or "")
        if not found:
            raise Invalid("MissingAuthenticationToken", "Missing Authentication Token")
        algorithm, credential, names, signature = found.groups()
        moment, is_query = get("x-amz-date") or "", False
    parts = credential.split("/")
    if algorithm != "AWS4-HMAC-SHA256" or len(parts) != 5 or parts[4] != "aws4_request" \
            or not re.fullmatch(r"\d{8}T\d{6}Z", moment):
        raise Invalid("IncompleteSignature", "The credential or the date of the signature is malformed")
    return Signed(parts[0], parts[1], parts[2], parts[3], moment, names.split(";"), signature, is_query)


def canonical_request(method, path, raw_query, headers, names, payload, service):
    """S3 takes the path as it is; elsewhere it is quoted once more."""
    uri = "/".join(quote(urllib.parse.unquote(part)) for part in path.split("/")) if service == "s3" \
        else "/".join(quote(part) for part in path.split("/"))
    pairs = [pair.partition("=")[::2] for pair in raw_query.split("&") if pair]
    pairs = sorted((quote(urllib.parse.unquote_plus(name)), quote(urllib.parse.unquote_plus(value)))
                   for name, value in pairs if name != "X-Amz-Signature")
    values = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(" ".join(value.split()))
    lines = [f"{name}:{','.join(values.get(name, ['']))}\n" for name in names]
    query = "&".join(f"{name}={value}" for name, value in pairs)
    return "\n".join([method, uri, query, "".join(lines), ";".join(names), payload])


def string_to_sign(signed, text, algorithm="AWS4-HMAC-SHA256"):
    return "\n".join([algorithm, signed.moment, signed.scope, text])


def verify(request, secret_of, now=None):
    """Checks a request; `secret_of(access key)` gives its secret. Returns (Signed, body as it was meant)."""
    signed = parse(request.headers, request.query)
    now = time.time() if now is None else now
    signed_at = calendar.timegm(time.strptime(signed.moment, "%Y%m%dT%H%M%SZ"))
    lasts = int(request.query.get("X-Amz-Expires", 0)) if signed.is_query else SKEW_SECONDS
    if not signed.moment.startswith(signed.date) or signed_at > now + SKEW_SECONDS or signed_at + lasts < now:
        raise Invalid("RequestTimeTooSkewed" if not signed.is_query else "AccessDenied",
                      "The difference between the request time and the current time is too large.")
    secret = secret_of(signed.access_key)
    if secret is None:
        raise Invalid("InvalidAccessKeyId" if signed.service == "s3" else "InvalidClientTokenId",
                      "The security token included in the request is invalid.")
    check_names(request, signed)
    payload = request.header("x-amz-content-sha256") or (UNSIGNED if signed.is_query
                                                         else hashlib.sha256(request.body).hexdigest())
    key = signing_key(secret, signed.date, signed.region, signed.service)
    canonical = canonical_request(request.method, request.path, request.raw_query, request.headers, signed.names,
                                  payload, signed.service)
    told = string_to_sign(signed, hashlib.sha256(canonical.encode()).hexdigest())
    if not hmac.compare_digest(digest(key, told).hex(), signed.signature):
        raise Invalid("SignatureDoesNotMatch", "The request signature we calculated does not match the signature you "
                                               "provided. Check your key and signing method.")
    return signed, body_of(request, signed, key, payload)


def check_names(request, signed):
    """host and every x-amz- header must be signed."""
    sent = {name.lower() for name, _ in request.headers}
    needed = {"host"} | {name for name in sent if name.startswith("x-amz-")}
    if not needed <= set(signed.names):
        raise Invalid("AccessDenied", "There were headers present in the request which were not signed")


def body_of(request, signed, key, payload):
    if payload == UNSIGNED:
        return request.body
    if payload.startswith("STREAMING-"):
        return Chunks(request, signed, key, payload).read()
    if hashlib.sha256(request.body).hexdigest() != payload:
        raise Invalid("XAmzContentSHA256Mismatch", "x-amz-content-sha256 is not the digest of the body")
    return request.body


class Chunks:
    """A body in aws-chunked form; each chunk's signature hangs on the one before it."""

    def __init__(self, request, signed, key, payload):
        self.request, self.signed, self.key, self.payload = request, signed, key, payload
        self.rest, self.previous = request.body, signed.signature
        self.is_signed = payload != STREAMING_UNSIGNED_TRAILER
        if payload not in (STREAMING, STREAMING_TRAILER, STREAMING_UNSIGNED_TRAILER):
            raise Invalid("InvalidRequest", f"unknown payload mode {payload}")

    def line(self):
        line, found, self.rest = self.rest.partition(b"\r\n")
        if not found:
            raise Invalid("IncompleteBody", "The body ends inside a chunk")
        return line.decode("latin-1")

    def check(self, algorithm, told, *parts):
        lines = [algorithm, self.signed.moment, self.signed.scope, self.previous, *parts]
        expected = digest(self.key, "\n".join(lines))
        if not hmac.compare_digest(expected.hex(), told or ""):
            raise Invalid("SignatureDoesNotMatch", "The signature of a chunk does not match")
        self.previous = told

    def read(self):
        parts = []
        while True:
            size, _, extension = self.line().partition(";")
            size = int(size, 16)
            chunk, self.rest = self.rest[:size], self.rest[size:]
            if len(chunk) != size:
                raise Invalid("IncompleteBody", "The body ends inside a chunk")
            if self.is_signed:
                told = extension.partition("chunk-signature=")[2]
                self.check("AWS4-HMAC-SHA256-PAYLOAD", told, EMPTY, hashlib.sha256(chunk).hexdigest())
            if size == 0:
                break
            if self.line():
                raise Invalid("IncompleteBody", "A chunk does not end where it says")
            parts.append(chunk)
        body = b"".join(parts)
        if self.payload != STREAMING:
            self.read_trailer()
        decoded = self.request.header("x-amz-decoded-content-length")
        if decoded is None or int(decoded) != len(body):
            raise Invalid("IncompleteBody", "x-amz-decoded-content-length is not the length of the body")
        return body

    def read_trailer(self):
        fields, told = [], None
        while line := self.line():
            name, _, value = line.partition(":")
            if name.lower() == "x-amz-trailer-signature":
                told = value.strip()
            else:
                fields.append((name.lower(), value.strip()))
        if sorted(name for name, _ in fields) != sorted(_names(self.request.header("x-amz-trailer"))):
            raise Invalid("MalformedTrailerError", "The trailer is not the one that was announced")
        if self.payload == STREAMING_TRAILER:
            text = "".join(f"{name}:{value}\n" for name, value in sorted(fields))
            self.check("AWS4-HMAC-SHA256-TRAILER", told, hashlib.sha256(text.encode()).hexdigest())


def _names(text):
    return [name.strip().lower() for name in (text or "").split(",") if name.strip()]
