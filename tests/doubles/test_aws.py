# SPDX-License-Identifier: Apache-2.0
"""The AWS double: signatures in every form, session policies, and AWS's own signer as its client."""

import hashlib
import json
import re
import time

import pytest
import sigv4
from clients import import_installed
from double_base import Request

REGION = "eu-central-1"
READ = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/in/*"}]}


class Account:
    """A user who may assume a role for one bucket, and requests signed by botocore."""

    def __init__(self, double, web):
        self.double, self.web = double, web
        self.auth = import_installed("botocore.auth")
        self.credentials = import_installed("botocore.credentials").Credentials
        self.request = import_installed("botocore.awsrequest").AWSRequest
        self.user = self.credentials(*double.user("ada"))
        self.role = double.role("mission", [("s3:*", "arn:aws:s3:::data/*"), ("s3:*", "arn:aws:s3:::data")])
        web.headers.clear()

    def send(self, request, body=None):
        prepared = request.prepare()
        return self.web.request(prepared.method, prepared.url, headers=dict(prepared.headers),
                                data=prepared.body if body is None else body)

    def sts(self, who=None, tamper=None, **fields):
        made = self.request("POST", self.double.url, data={"Version": "2011-06-15", **fields})
        made.headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.auth.SigV4Auth(who or self.user, "sts", REGION).add_auth(made)
        return self.send(made, tamper)

    def assume(self, **changes):
        return self.sts(Action="AssumeRole", RoleArn=self.role, RoleSessionName="m1", **changes)

    def session(self, policy=None, **changes):
        told = self.assume(**({"Policy": json.dumps(policy)} if policy else {}), **changes).text
        return self.credentials(*(re.search(f"<{name}>(.*?)</{name}>", told).group(1) for name in
                                  ("AccessKeyId", "SecretAccessKey", "SessionToken")))

    def s3(self, method, path, who=None, data=b"", tamper=None, signer="S3SigV4Auth"):
        made = self.request(method, f"{self.double.url}{path}", data=data)
        getattr(self.auth, signer)(who or self.user, "s3", REGION).add_auth(made)
        return self.send(made, tamper)


@pytest.fixture
def account(aws, web):
    return Account(aws, web)


# ---- AssumeRole -----------------------------------------------------------------------------------------------------

def test_a_session_without_policy_may_what_the_role_may(account):
    session = account.session()
    assert account.s3("PUT", "data/in/a", session, b"text").status_code == 200
    assert account.s3("GET", "data/in/a", session).content == b"text"
    assert account.s3("GET", "other/a", session).status_code == 403


def test_a_session_policy_narrows_and_never_widens(account):
    account.s3("PUT", "data/in/a", data=b"text")
    session = account.session(READ)
    assert account.s3("GET", "data/in/a", session).content == b"text"
    assert account.s3("PUT", "data/in/a", session, b"x").status_code == 403
    assert account.s3("GET", "data/out/a", session).status_code == 403
    wide = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    assert account.s3("GET", "other/a", account.session(wide)).status_code == 403
    asked = account.double.log(client=account.user.access_key)[1]["asked"]
    assert asked == ["Allow s3:GetObject arn:aws:s3:::data/in/*"]


@pytest.mark.parametrize("changes, code", [
    ({"DurationSeconds": "899"}, "ValidationError"), ({"DurationSeconds": "3601"}, "ValidationError"),
    ({"Policy": "{" + " " * 2048}, "ValidationError"), ({"Policy": "{}"}, "MalformedPolicyDocument")])
def test_what_a_session_may_not_be_is_said(account, changes, code):
    refused = account.assume(**changes)
    assert refused.status_code == 400 and f"<Code>{code}</Code>" in refused.text


def test_another_role_is_not_assumed(account):
    refused = account.sts(Action="AssumeRole", RoleArn=account.role + "x", RoleSessionName="m1")
    assert refused.status_code == 403 and "<Code>AccessDenied</Code>" in refused.text


def test_a_session_signs_for_itself_and_only_with_its_token(account):
    session = account.session()
    assert "assumed-role/mission/m1" in account.sts(session, Action="GetCallerIdentity").text
    without = account.credentials(session.access_key, session.secret_key)
    assert account.sts(without, Action="GetCallerIdentity").status_code == 403


def test_a_wrong_secret_an_unknown_key_or_a_changed_body_is_refused(account):
    def code(answer):
        return re.search("<Code>(.*?)</Code>", answer.text).group(1)
    wrong = account.credentials(account.user.access_key, "x")
    assert code(account.sts(wrong, Action="GetCallerIdentity")) == "SignatureDoesNotMatch"
    assert code(account.sts(account.credentials("AKIAX", "x"), Action="GetCallerIdentity")) == "InvalidClientTokenId"
    assert code(account.sts(tamper=b"Action=AssumeRole", Action="GetCallerIdentity")) == "SignatureDoesNotMatch"
    assert account.sts(Action="GetCallerIdentity").status_code == 200


def test_an_object_is_put_together_from_its_parts(account):
    begun = account.s3("POST", "data/large?uploads=").text
    upload = re.search("<UploadId>(.*)</UploadId>", begun).group(1)
    for number, text in ((1, b"one"), (2, b"two")):
        assert account.s3("PUT", f"data/large?partNumber={number}&uploadId={upload}", data=text).status_code == 200
    parts = "".join(f"<Part><PartNumber>{number}</PartNumber></Part>" for number in (1, 2)).encode()
    assert account.s3("POST", f"data/other?uploadId={upload}", data=parts).status_code == 404
    assert account.s3("POST", f"data/large?uploadId={upload}", data=parts).status_code == 200
    assert account.s3("GET", "data/large").content == b"onetwo"
    assert account.s3("DELETE", f"data/large?uploadId={upload}").status_code == 404


# ---- payload modes --------------------------------------------------------------------------------------------------

def test_a_body_must_be_the_one_that_was_signed(account):
    assert account.s3("PUT", "data/a", data=b"text").status_code == 200
    changed = account.s3("PUT", "data/a", data=b"text", tamper=b"evil")
    assert changed.status_code == 403 and "XAmzContentSHA256Mismatch" in changed.text
    assert account.s3("GET", "data/a").content == b"text"


def test_a_presigned_query_is_good_for_its_object_and_method(account):
    account.s3("PUT", "data/a", data=b"text")
    made = account.request("GET", f"{account.double.url}data/a")
    account.auth.S3SigV4QueryAuth(account.user, "s3", REGION, expires=60).add_auth(made)
    url = made.prepare().url
    assert account.web.get(url).content == b"text"
    assert account.web.get(url.replace("data/a", "data/b")).status_code == 403
    assert account.web.put(url, data=b"x").status_code == 403


def streamed(account, mode, chunks, change=None):
    """A PUT in aws-chunked form, put together after AWS's description of it."""
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    host = f"localhost:{account.double.port}"
    headers = {"host": host, "x-amz-content-sha256": mode, "x-amz-date": now, "content-encoding": "aws-chunked",
               "x-amz-decoded-content-length": str(sum(map(len, chunks)))}
    trailer = "x-amz-checksum-sha256:abc=" if mode.endswith("TRAILER") else None
    if trailer:
        headers["x-amz-trailer"] = "x-amz-checksum-sha256"
    names = sorted(headers)
    scope = f"{now[:8]}/{REGION}/s3/aws4_request"
    key = sigv4.signing_key(account.user.secret_key, now[:8], REGION, "s3")

    def chain(algorithm, *parts):
        return sigv4.digest(key, "\n".join([algorithm, now, scope, *parts])).hex()
    canonical = sigv4.canonical_request("PUT", "/data/s", "", [*headers.items()], names, mode, "s3")
    previous = seed = chain("AWS4-HMAC-SHA256", hashlib.sha256(canonical.encode()).hexdigest())
    body = b""
    for number, chunk in enumerate([*chunks, b""]):
        previous = chain("AWS4-HMAC-SHA256-PAYLOAD", previous, sigv4.EMPTY, hashlib.sha256(chunk).hexdigest())
        signature = f";chunk-signature={previous}" if "UNSIGNED" not in mode else ""
        sent = b"X" * len(chunk) if change == number else chunk
        body += f"{len(chunk):x}{signature}\r\n".encode() + sent + (b"\r\n" if chunk else b"")
    if trailer:
        body += f"{trailer}\r\n".encode()
        if "UNSIGNED" not in mode:
            told = chain("AWS4-HMAC-SHA256-TRAILER", previous, hashlib.sha256(f"{trailer}\n".encode()).hexdigest())
            body += f"x-amz-trailer-signature:{told if change != 'trailer' else '0' * 64}\r\n".encode()
    body += b"\r\n"
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={account.user.access_key}/{scope}, "
                                f"SignedHeaders={';'.join(names)}, Signature={seed}")
    return account.web.put(f"{account.double.url}data/s", data=body, headers=headers)


@pytest.mark.parametrize("mode", [sigv4.STREAMING, sigv4.STREAMING_TRAILER, sigv4.STREAMING_UNSIGNED_TRAILER])
def test_a_streamed_body_is_unframed_and_kept(account, mode):
    assert streamed(account, mode, [b"a" * 8192, b"b" * 100]).status_code == 200
    assert account.double.objects["data", "s"] == b"a" * 8192 + b"b" * 100


@pytest.mark.parametrize("mode, change", [(sigv4.STREAMING, 0), (sigv4.STREAMING, 1), (sigv4.STREAMING_TRAILER, 1),
                                          (sigv4.STREAMING_TRAILER, "trailer")])
def test_a_changed_chunk_or_trailer_is_refused(account, mode, change):
    assert streamed(account, mode, [b"a" * 8192, b"b" * 100], change).status_code == 403
    assert ("data", "s") not in account.double.objects


def test_the_published_vector_of_the_signing_key():
    key = sigv4.signing_key("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam")
    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


def test_an_old_signature_and_an_unsigned_header_are_refused():
    moment = "20150830T123600Z"
    headers = [("host", "h"), ("x-amz-date", moment), ("x-amz-meta-evil", "1"), (
        "authorization", "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/iam/aws4_request, "
                         f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}")]
    request = Request("GET", "/", {}, "", headers, b"")
    with pytest.raises(sigv4.Invalid, match="too large"):
        sigv4.verify(request, lambda _: "secret")
    with pytest.raises(sigv4.Invalid, match="not signed"):
        sigv4.verify(request, lambda _: "secret", now=1440938160)
