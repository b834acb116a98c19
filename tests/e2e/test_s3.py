# SPDX-License-Identifier: Apache-2.0
"""AWS: sessions of STS limited to the mission, and requests that are signed anew. The client is botocore, unmodified,
with placeholders for keys; the provider is the double of tests/doubles, which verifies every signature and policy."""

import base64
import hashlib
import json
import sys
import textwrap
from pathlib import Path

import pytest

import identity as identities

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "doubles"))

from providers import INSTALLED, aws_double, is_installed  # noqa: E402

REGION = "eu-central-1"
STS, S3 = f"sts.{REGION}.amazonaws.com", f"s3.{REGION}.amazonaws.com"
BUCKET = f"data.{S3}"
PLACEHOLDER = "AKIAHELDBYSANCTUM000"
PYTHON = INSTALLED / "python"

PROFILE = """\
schema = 1

[mission]
name = "aws"
agent = "test"
purpose = "Show one claim"
ttl = "2m"

[sandbox]
workspace = "."
read = ["{python}"]

[sandbox.environment.set]
PYTHONPATH = "{python}"
AWS_DEFAULT_REGION = "{region}"
AWS_EC2_METADATA_DISABLED = "true"

[[service]]
name = "s3"
catalog = "aws-s3"
account = "data"
grant = ["s3:GetObject", "s3:PutObject", "s3:ListBucket"]
resources = {{ bucket = ["data"], key = ["in/**"] }}
present = {{ AWS_ACCESS_KEY_ID = true, AWS_SECRET_ACCESS_KEY = true }}
"""

# A program of an agent: `s3` is botocore's own client, `call` prints what came of one call.
CLIENT = """\
import hashlib, http.client, io, json, os, ssl, sys
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

session = botocore.session.get_session()

def client(style="virtual", **config):
    s3 = dict(addressing_style=style, **config.pop("s3", {}))
    return session.create_client("s3", config=Config(s3=s3, retries=dict(total_max_attempts=1), **config))

s3 = client()

def call(function, **arguments):
    try:
        answer = function(**arguments)
        body = answer["Body"].read().decode() if "Body" in answer else None
        print(json.dumps(dict(status=answer["ResponseMetadata"]["HTTPStatusCode"], body=body,
                              keys=[one["Key"] for one in answer.get("Contents", [])])))
    except ClientError as error:
        print(json.dumps(dict(status=error.response["ResponseMetadata"]["HTTPStatusCode"],
                              code=error.response["Error"]["Code"])))

def raw(method, host, target, body=b"", **headers):
    connection = http.client.HTTPSConnection(host, timeout=20)
    try:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, target, body=body, headers=fields)
        answer = connection.getresponse()
        text = answer.read().decode()
        print(json.dumps(dict(status=answer.status, body=text)))
    except (OSError, http.client.HTTPException) as error:
        print(json.dumps(dict(status=0, body=str(error))))
"""


@pytest.fixture
def aws(tmp_path, authority):
    identities.require(is_installed(), "the doubles are not installed (scripts/setup doubles)")
    with aws_double(tmp_path / "aws", authority) as double:
        yield double


class World:
    """An operator whose account `data` is a role that may do everything with two buckets."""

    def __init__(self, rig, aws, authority, extra=""):
        self.rig, self.aws = rig, aws
        key, secret = aws.user("ada")
        self.user_key, self.user_secret = key, secret
        statements = [("s3:*", f"arn:aws:s3:::{bucket}{rest}") for bucket in ("data", "other") for rest in ("", "/*")]
        role = aws.role("mission", statements)
        rig.host(STS, aws, authority.ca_file).host(S3, aws).host(BUCKET, aws)
        rig.account("data", f'catalog = "aws-s3"\nregion = "{REGION}"\nsource = "aws-sts"\nrole = "{role}"\n'
                    f'item = "ada"\nresources = {{ bucket = ["data"] }}\n{extra}', secret=f"{key} {secret}", item="ada")
        rig.configure()
        self.profile = rig.profile(PROFILE.format(python=PYTHON, region=REGION))

    def run(self, script, profile=None):
        """Runs a script of an agent; what it printed as JSON, and the outcome."""
        self.rig.write(self.rig.work / "agent.py", CLIENT + textwrap.dedent(script))
        outcome = self.rig.run("/usr/bin/python3", "agent.py", profile=profile or self.profile)
        return [json.loads(line) for line in outcome.text.splitlines() if line.startswith("{")], outcome

    def s3_log(self):
        return [entry for entry in self.aws.log() if entry.get("action")]


@pytest.fixture
def world(rig, aws, authority):
    return World(rig, aws, authority)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


# ---- what a mission may do ------------------------------------------------------------------------------------------

def test_an_unmodified_client_puts_gets_and_lists_and_holds_no_key(world):
    told, outcome = world.run("""
        call(s3.put_object, Bucket="data", Key="in/a b+c/ä.txt", Body=b"text",
             Metadata={"who": "me"}, ContentType="text/plain")
        call(s3.get_object, Bucket="data", Key="in/a b+c/ä.txt")
        call(s3.list_objects_v2, Bucket="data", Prefix="in/")
        call(client("path").get_object, Bucket="data", Key="in/a b+c/ä.txt", Range="bytes=0-1")
        print(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    """)

    assert outcome.code == 0, outcome
    assert [one["status"] for one in told] == [200, 200, 200, 200], outcome
    assert told[1]["body"] == "text" and told[2]["keys"] == ["in/a b+c/ä.txt"]
    assert f"{PLACEHOLDER} {PLACEHOLDER}" in outcome.text
    # What AWS saw: sessions of the role with the mission's policy, one for each scope, and their signatures alone.
    births = world.aws.log(path="/", method="POST")
    assert all(birth["user"] == outcome.folder.name for birth in births), "the session is called after the mission"
    assert [birth["asked"] for birth in births] == [
        ["Allow ['s3:PutObject'] ['arn:aws:s3:::data/in/*']"], ["Allow ['s3:GetObject'] ['arn:aws:s3:::data/in/*']"],
        ["Allow ['s3:ListBucket'] ['arn:aws:s3:::data']"]]
    sessions = set(world.aws.issued("session"))
    assert {sha256(entry["client"].encode()) for entry in world.s3_log()} == sessions
    assert [entry["action"] for entry in world.s3_log()] == ["s3:PutObject", "s3:GetObject", "s3:ListBucket",
                                                             "s3:GetObject"]


def test_a_large_object_is_written_in_parts_and_one_that_is_given_up_leaves_nothing(world):
    told, outcome = world.run("""
        where = dict(Bucket="data", Key="in/large")
        upload = s3.create_multipart_upload(**where)["UploadId"]
        parts = [dict(PartNumber=number, ETag=s3.upload_part(**where, UploadId=upload, PartNumber=number,
                                                             Body=letter * 6_000_000)["ETag"])
                 for number, letter in ((1, b"a"), (2, b"b"))]
        call(s3.complete_multipart_upload, **where, UploadId=upload, MultipartUpload=dict(Parts=parts))
        given_up = s3.create_multipart_upload(**where)["UploadId"]
        call(s3.abort_multipart_upload, **where, UploadId=given_up)
        call(s3.delete_object, **where)
    """)

    assert [one["status"] for one in told] == [200, 204, 403], outcome
    assert world.aws.objects["data", "in/large"] == b"a" * 6_000_000 + b"b" * 6_000_000
    assert world.aws.uploads == {}
    assert [refused[0] for refused in outcome.refused] == ["scope_missing"]


def test_the_receipt_says_that_a_session_ends_by_itself(world):
    _, outcome = world.run('call(s3.get_object, Bucket="data", Key="in/a")')

    receipt = json.loads(base64.b64decode(outcome.receipt["payload"]))
    leases = [record for record in outcome.of_type("lease.changed") if record["state"] == "parked"]
    assert len(leases) == 1 and leases[0]["retire"] == "expires" and leases[0]["narrowed_by"] == "both"
    assert "no call that ends a session" in leases[0]["detail"]
    assert [(lease["state"], lease["uses"]) for lease in receipt["leases"]] == [("parked", 1)]
    session = next(iter(world.aws.issued("session").values()))
    assert session["expires_at"] - outcome_time(outcome) <= 900 + 5, "as short as AWS makes them"


def outcome_time(outcome):
    from datetime import datetime
    return datetime.fromisoformat(outcome.records[-1]["t"].replace("Z", "+00:00")).timestamp()


# ---- what it may not ------------------------------------------------------------------------------------------------

REFUSED = {
    "delete": ('call(s3.delete_object, Bucket="data", Key="in/a")', "scope_missing"),
    "another bucket": ('call(client("path").get_object, Bucket="other", Key="in/a")', "resource_outside"),
    "another bucket's host": (f'raw("GET", "other.{S3}", "/in/a")', "host_unknown"),
    "another key": ('call(s3.get_object, Bucket="data", Key="out/a")', "resource_outside"),
    "an ACL": ('call(s3.get_object_acl, Bucket="data", Key="in/a")', "operation_unknown"),
    "a public object": ('call(s3.put_object, Bucket="data", Key="in/a", Body=b"x", ACL="public-read")',
                        "operation_unknown"),
    "a copy": ('call(s3.copy_object, Bucket="data", Key="in/b", CopySource="other/in/a")', "operation_unknown"),
    "a bucket's policy": ('call(s3.get_bucket_policy, Bucket="data")', "operation_unknown"),
    "a new bucket": ('call(client("path").create_bucket, Bucket="data")', "operation_unknown"),
    "many deletions": ('call(s3.delete_objects, Bucket="data", Delete={"Objects": [{"Key": "in/a"}]})',
                       "operation_unknown"),
    "all buckets": ('call(client("path").list_buckets)', "operation_unknown"),
    "another signature": (f'raw("GET", "{BUCKET}", "/in/a?AWSAccessKeyId=a&Signature=b&Expires=1")',
                          "operation_unknown"),
    "SigV4A": (f'raw("PUT", "{BUCKET}", "/in/a", b"x", '
               'x_amz_content_sha256="STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")', "request_invalid"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_mission_may_not_is_refused_and_aws_hears_nothing(world, name):
    script, reason = REFUSED[name]
    told, outcome = world.run(script)

    assert told[0]["status"] in (0, 400, 403), outcome
    assert [refused[0] for refused in outcome.refused] == [reason], outcome
    assert world.aws.log() == []


def test_a_rule_that_lets_an_unknown_operation_pass_still_meets_the_session_policy(world):
    """The interceptor is told to let the deletion of a version pass; the session was not given that."""
    world.aws.objects["data", "in/a"] = b"text"
    rule = '[[rule]]\nservice = "s3"\nverdict = "allow"\nrisk = "low"\nmatch = ["DELETE /data/in/**"]\n'
    profile = world.rig.profile(PROFILE.format(python=PYTHON, region=REGION) + rule, "wider")
    told, outcome = world.run('call(s3.delete_object, Bucket="data", Key="in/a", VersionId="v1")', profile)

    assert outcome.refused == [], "it was let pass"
    assert (told[0]["status"], told[0]["code"]) == (403, "AccessDenied"), outcome
    assert [entry["action"] for entry in world.s3_log()] == ["s3:DeleteObject"]
    assert ("data", "in/a") in world.aws.objects


def test_deleting_is_of_high_risk_also_where_it_is_granted(world):
    profile = world.rig.profile(PROFILE.format(python=PYTHON, region=REGION).replace(
        '"s3:ListBucket"]', '"s3:ListBucket", "s3:DeleteObject"]'), "deleting")
    told, outcome = world.run('call(s3.delete_object, Bucket="data", Key="in/a")', profile)
    assert [refused[0] for refused in outcome.refused] == ["approval_unavailable"], outcome
    assert told[0]["status"] == 403 and world.aws.log() == []


# ---- signatures -----------------------------------------------------------------------------------------------------

def test_the_agents_own_signature_never_reaches_aws_and_the_new_one_never_the_agent(world, aws):
    seen = []
    verify = aws.handle

    def spying(request):
        seen.append([*request.headers, ("query", request.raw_query)])
        status, body, *rest = verify(request)
        if request.method == "GET" and "in/echo" in request.path:
            body = "\n".join(f"{name}: {value}" for name, value in request.headers)
            token = request.header("x-amz-security-token")
            body += "\n" + " ".join(f"{byte:02x}" for byte in token.encode())
            body += "\n" + base64.b64encode(token.encode()).decode()
        return status, body, *rest

    aws.handle = spying
    aws.objects["data", "in/echo"] = b"text"
    told, outcome = world.run(f"""
        call(s3.get_object, Bucket="data", Key="in/echo")
        url = s3.generate_presigned_url("get_object", Params=dict(Bucket="data", Key="in/echo"), ExpiresIn=60)
        raw("GET", "{BUCKET}", url.partition(".com")[2])
        raw("GET", "{BUCKET}", "/in/echo", X_Amz_Security_Token="agents-own", X_Amz_Date="20200101T000000Z",
            Authorization="AWS4-HMAC-SHA256 Credential=agents-own/x, SignedHeaders=host, Signature=00")
    """)

    assert [one["status"] for one in told] == [200, 200, 200], outcome
    for name, value in [field for headers in seen for field in headers]:
        for agents in (PLACEHOLDER, "agents-own", "X-Amz-Signature"):
            assert agents not in value, (name, value)
    for headers in seen[-3:]:
        fields = dict(headers)
        token, signature = fields["x-amz-security-token"], fields["authorization"].rpartition("Signature=")[2]
        for hidden in (token, signature, " ".join(f"{byte:02x}" for byte in token.encode()),
                       base64.b64encode(token.encode()).decode()[:-4]):
            assert hidden not in outcome.text
    assert "x-amz-security-token: ***" in told[0]["body"] and "Signature=***" in told[0]["body"]


# ---- bodies ---------------------------------------------------------------------------------------------------------

def test_each_way_to_sign_a_body_arrives_and_verifies(world):
    chunk, last = b"a" * 65536, b"b" * 1000
    told, outcome = world.run(f"""
        zero = "0" * 64
        def chunked(*parts, trailer="", signed=True):
            out = b""
            for part in (*parts, b""):
                signature = b";chunk-signature=" + zero.encode() if signed else b""
                out += f"{{len(part):x}}".encode() + signature + b"\\r\\n"
                out += part + (b"\\r\\n" if part else b"")
            return out + trailer.encode() + b"\\r\\n"

        parts = b"a" * 65536, b"b" * 1000
        about = dict(content_encoding="aws-chunked", x_amz_decoded_content_length=str(sum(map(len, parts))))
        def put(key, body, mode, **more):
            raw("PUT", "{BUCKET}", "/in/" + key, body, x_amz_content_sha256=mode, **more)
        put("hash", parts[0], hashlib.sha256(parts[0]).hexdigest())
        put("unsigned", parts[0], "UNSIGNED-PAYLOAD")
        raw("PUT", "{BUCKET}", "/in/nothing-said", parts[0])
        put("chunks", chunked(*parts), "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", **about)
        about["x_amz_trailer"] = "x-amz-checksum-crc32"
        trailer = "x-amz-checksum-crc32:AAAAAA==\\r\\n"
        put("trailer", chunked(*parts, trailer=trailer + "x-amz-trailer-signature:" + zero + "\\r\\n"),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", **about)
        put("unsigned-trailer", chunked(*parts, trailer=trailer, signed=False),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER", **about)
        class Stream(io.RawIOBase):
            def __init__(self): self.left = 20
            def readable(self): return True
            def readinto(self, into):
                if not self.left: return 0
                self.left -= 1
                into[:1000] = b"c" * 1000
                return 1000
        call(client(s3=dict(payload_signing_enabled=False)).put_object, Bucket="data", Key="in/botocore",
             Body=io.BufferedReader(Stream()), ContentLength=20000)
    """)

    assert [one["status"] for one in told] == [200] * 7, outcome
    objects = {key: body for (_, key), body in world.aws.objects.items()}
    assert objects["in/hash"] == objects["in/unsigned"] == objects["in/nothing-said"] == chunk
    assert objects["in/chunks"] == objects["in/trailer"] == objects["in/unsigned-trailer"] == chunk + last
    assert objects["in/botocore"] == b"c" * 20000
    payloads = [entry["payload"] for entry in world.s3_log()]
    assert payloads[:6] == [sha256(chunk), "UNSIGNED-PAYLOAD", "UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
                            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"]


CHUNK = f"4;chunk-signature={'0' * 64}"
# the body as Python writes it, and the payload's word
OTHER_BODIES = {
    "another body": ('b"evil"', sha256(b"good")),
    "a large other body": ('b"evil" * 100000', sha256(b"good" * 100000)),
    "nothing": ('b""', sha256(b"good")),
    "chunks that are none": ('b"evil"', "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
    "half of the chunks": (f'b"{CHUNK}\\r\\nevil\\r\\n"', "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
    "a chunk too large": (f'b"ffffff{CHUNK}\\r\\nevil\\r\\n"', "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
}


@pytest.mark.parametrize("name", OTHER_BODIES)
def test_a_body_that_is_not_the_one_that_was_signed_ends_the_request(world, name):
    body, mode = OTHER_BODIES[name]
    script = f'raw("PUT", "{BUCKET}", "/in/a", {body}, x_amz_content_sha256="{mode}", x_amz_decoded_content_length="4")'
    told, outcome = world.run(script)

    assert told[0]["status"] in (0, 400), outcome
    assert world.aws.objects == {}, "nothing was written"
    assert [record["outcome"] for record in outcome.of_type("exchange.outcome")] == ["request_invalid"], outcome


# ---- what goes wrong ------------------------------------------------------------------------------------------------

def break_aws(world, name):
    aws = world.aws
    if name == "not allowed":
        aws.roles.clear()
    elif name == "deleted key":
        aws.users.clear()
    elif name == "wrong secret":
        aws.users[world.user_key]["secret"] = "another"
    elif name == "no policy":
        aws.fail("wider", path="/", times=0)
    elif name == "down":
        aws.down()
    elif name == "throttled":
        aws.fail("status", status=400, content_type="text/xml", times=0, body="<ErrorResponse><Error>"
                 "<Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>")
    elif name == "no XML":
        aws.fail("status", status=400, body="sorry", content_type="text/plain", times=0)


FAULTS = {
    "not allowed": ("misconfigured", "sts:AssumeRole"),
    "deleted key": ("misconfigured", "access key"),
    "wrong secret": ("misconfigured", "secret key"),
    "no policy": ("scope_too_wide", "PackedPolicySize"),
    "down": ("unavailable", ""),
    "throttled": ("rate_limited", "too often"),
    "no XML": ("protocol", "not XML"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_session_that_is_not_given_is_a_refusal_with_its_own_reason(world, name, request):
    break_aws(world, name)
    if name == "down":
        request.addfinalizer(world.aws.up)
    told, outcome = world.run(f'raw("GET", "{BUCKET}", "/in/a")')

    reason, remedy = FAULTS[name]
    told = json.loads(told[0]["body"])
    assert (told["status"], told["reason_code"], told["rule"]) == (503, "credential_unavailable", reason), outcome
    assert "arn:aws" not in told["detail"] and "ada" not in told["detail"], "the agent learns of no role"
    detail = outcome.of_type("exchange.refused")[0]["detail"]
    assert detail.startswith(f"{reason}: ") and "account data" in detail and remedy in detail, detail
    assert world.s3_log() == []


def test_keys_from_the_store_sign_without_a_session(rig, aws, authority):
    key, secret = aws.user("bob")
    aws.objects["data", "in/a"] = b"text"
    rig.host(BUCKET, aws, authority.ca_file)
    rig.account("data", f'catalog = "aws-s3"\nregion = "{REGION}"\nsource = "local"\nitem = "bob"\n'
                'resources = { bucket = ["data"] }', secret=f"{key} {secret}", item="bob")
    profile = rig.configure().profile(PROFILE.format(python=PYTHON, region=REGION))
    rig.write(rig.work / "agent.py", CLIENT + 'call(s3.get_object, Bucket="data", Key="in/a")\n')
    outcome = rig.run("/usr/bin/python3", "agent.py", profile=profile)

    assert json.loads(outcome.text)["body"] == "text", outcome
    assert aws.log()[0]["client"] == key


def test_keys_that_are_none_are_said_before_the_mission_starts(rig, aws, authority):
    world = World(rig, aws, authority)
    rig.secrets["bad"] = "just-one-word"
    config = rig.configuration / "config.toml"
    rig.configure()
    rig.write(config, config.read_text().replace('item = "ada"', 'item = "bad"'), 0o600)
    outcome = rig.run("true", profile=world.profile)

    assert outcome.code == 125, outcome
    assert "store item `bad`" in outcome.errors and "ACCESS_KEY SECRET_KEY" in outcome.errors, outcome
    assert "just-one-word" not in outcome.errors
