# SPDX-License-Identifier: Apache-2.0
"""AWS STS (AssumeRole with a session policy) and something like S3 that verifies every signature and every policy."""

import hashlib
import json
import re
import time
import urllib.parse
from xml.sax.saxutils import escape

import sigv4
from double_base import Double, Refusal, random_text

DURATION_SECONDS = (900, 12 * 3600)
POLICY_CHARACTERS_MAX = 2048
STS = 'xmlns="https://sts.amazonaws.com/doc/2011-06-15/"'
ACCOUNT_ARN = "arn:aws:iam::123456789012"
XML = [("Content-Type", "text/xml")]
ACTIONS = {"GET": "s3:GetObject", "HEAD": "s3:GetObject", "PUT": "s3:PutObject", "POST": "s3:PutObject",
           "DELETE": "s3:DeleteObject"}


def sts_refusal(status, code, message):
    kind = "Sender" if status < 500 else "Receiver"
    return Refusal(status, f"<ErrorResponse {STS}><Error><Type>{kind}</Type><Code>{code}</Code><Message>"
                           f"{escape(message)}</Message></Error><RequestId>{random_text(36)}</RequestId>"
                           f"</ErrorResponse>", XML, error=code)


def sts_answer(action, result):
    return 200, f"<{action}Response {STS}><{action}Result>{result}</{action}Result><ResponseMetadata><RequestId>" \
                f"{random_text(36)}</RequestId></ResponseMetadata></{action}Response>", XML


def s3_refusal(status, code, message):
    return Refusal(status, f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>'
                           f"{escape(message)}</Message><RequestId>{random_text(16)}</RequestId></Error>",
                   [("Content-Type", "application/xml")], error=code)


class AwsDouble(Double):
    """Requests for the services `sts` and `s3` are told apart by the scope of their signature."""

    name = "aws"
    hosts = ("sts.amazonaws.com", "sts.eu-central-1.amazonaws.com", "s3.amazonaws.com",
             "s3.eu-central-1.amazonaws.com", "*.s3.eu-central-1.amazonaws.com")

    def __init__(self, folder, authority, port=0):
        self.users, self.roles, self.objects, self.uploads = {}, {}, {}, {}
        super().__init__(folder, authority, port)

    # ---- what there is ---------------------------------------------------------------------------------------------
    def user(self, name):
        """A long-lived key pair: (access key, secret)."""
        key, secret = f"AKIA{random_text(16).upper()}", random_text(40)
        self.users[key] = {"name": name, "secret": secret}
        return key, secret

    def role(self, name, statements, maximum=3600):
        """statements: [(action pattern, resource pattern), …], all of them allowed."""
        arn = f"{ACCOUNT_ARN}:role/{name}"
        self.roles[arn] = {"name": name, "maximum": maximum, "policy": [
            {"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in statements]}
        return arn

    # ---- serving ---------------------------------------------------------------------------------------------------
    def handle(self, request):
        found = re.search(r"Credential=[^/]+/\d+/[^/]+/([a-z0-9]+)/", request.header("authorization") or "")
        is_sts = (found.group(1) if found else "s3") == "sts"
        refuse = sts_refusal if is_sts else s3_refusal
        try:
            signed, body = sigv4.verify(request, self._secret)
        except sigv4.Invalid as invalid:
            raise refuse(403, invalid.code, str(invalid)) from None
        request.note["client"] = signed.access_key
        session = self.live(signed.access_key, "session")
        given = request.header("x-amz-security-token") or request.query.get("X-Amz-Security-Token")
        if (session.more["token"] if session else None) != given:
            raise refuse(403, "InvalidClientTokenId" if is_sts else "InvalidToken",
                         "The security token included in the request is invalid")
        return self.sts(request, signed) if is_sts else self.s3(request, session, signed, body)

    def _secret(self, access_key):
        session = self.live(access_key, "session")
        return session.more["secret"] if session else self.users.get(access_key, {}).get("secret")

    # ---- STS -------------------------------------------------------------------------------------------------------
    def sts(self, request, signed):
        asked = request.form()
        if asked.get("Action") == "GetCallerIdentity":
            session = self.live(signed.access_key, "session")
            arn = session.more["arn"] if session else f"{ACCOUNT_ARN}:user/{self.users[signed.access_key]['name']}"
            return sts_answer("GetCallerIdentity", f"<Arn>{arn}</Arn><Account>123456789012</Account>")
        if asked.get("Action") != "AssumeRole" or asked.get("Version") != "2011-06-15":
            raise sts_refusal(400, "InvalidAction", f"Could not find operation {asked.get('Action')}")
        return self.assume_role(request, asked)

    def assume_role(self, request, asked):
        role = self.roles.get(asked.get("RoleArn"))
        if not role:
            raise sts_refusal(403, "AccessDenied", "User is not authorized to perform: sts:AssumeRole")
        if not re.fullmatch(r"[\w+=,.@-]{2,64}", asked.get("RoleSessionName", "")):
            raise sts_refusal(400, "ValidationError", "Value at 'roleSessionName' failed to satisfy constraint")
        seconds = int(asked.get("DurationSeconds", 3600))
        if not DURATION_SECONDS[0] <= seconds <= min(role["maximum"], DURATION_SECONDS[1]):
            raise sts_refusal(400, "ValidationError", "DurationSeconds is not within the bounds of this role.")
        policy = self._session_policy(asked.get("Policy"))
        request.note.update(user=asked["RoleSessionName"], asked=_described(policy), returned=_described(policy))
        if request.is_fault("wider"):
            policy, request.note["returned"] = None, None
        arn = f"arn:aws:sts::123456789012:assumed-role/{role['name']}/{asked['RoleSessionName']}"
        length = (request.fault or {}).get("length", 400)
        session = self.mint(request, "session", value=f"ASIA{random_text(16).upper()}", ttl=seconds, arn=arn,
                            secret=random_text(40), token=random_text(length), role=role["policy"], policy=policy)
        request.note["session_token"] = hashlib.sha256(session.more["token"].encode()).hexdigest()
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(session.expires_at))
        packed = f"<PackedPolicySize>{len(asked.get('Policy', '')) * 100 // 4096}</PackedPolicySize>" if policy else ""
        who = f"<Arn>{arn}</Arn><AssumedRoleId>AROA:{asked['RoleSessionName']}</AssumedRoleId>"
        keys = f"<AccessKeyId>{session.value}</AccessKeyId>" \
               f"<SecretAccessKey>{session.more['secret']}</SecretAccessKey>" \
               f"<SessionToken>{session.more['token']}</SessionToken><Expiration>{stamp}</Expiration>"
        return sts_answer("AssumeRole", f"<AssumedRoleUser>{who}</AssumedRoleUser>"
                                        f"<Credentials>{keys}</Credentials>{packed}")

    @staticmethod
    def _session_policy(text):
        if text is None:
            return None
        if len(text) > POLICY_CHARACTERS_MAX:
            raise sts_refusal(400, "ValidationError", "Value at 'policy' must have length less than or equal to 2048")
        try:
            statements = json.loads(text)["Statement"]
            statements = statements if isinstance(statements, list) else [statements]
            if not all({"Effect", "Action", "Resource"} <= set(each) for each in statements):
                raise ValueError
        except (ValueError, KeyError, TypeError):
            raise sts_refusal(400, "MalformedPolicyDocument", "Syntax errors in policy.") from None
        return statements

    # ---- S3 --------------------------------------------------------------------------------------------------------
    def s3(self, request, session, signed, body):
        bucket, _, key = urllib.parse.unquote(request.path).lstrip("/").partition("/")
        host = (request.header("host") or "").split(":")[0]
        if host.count(".s3."):
            bucket, key = host.split(".s3.")[0], urllib.parse.unquote(request.path).lstrip("/")
        action = ACTIONS.get(request.method) if key else "s3:ListBucket"
        if request.method == "DELETE" and "uploadId" in request.query:
            action = "s3:AbortMultipartUpload"
        resource = f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"
        request.note.update(action=action, resource=resource,
                            payload=request.header("x-amz-content-sha256"), is_query=signed.is_query)
        if session and not all(permits(policy, action, resource) for policy in
                               (session.more["role"], session.more["policy"]) if policy is not None):
            raise s3_refusal(403, "AccessDenied", "Access Denied")
        if "uploads" in request.query or "uploadId" in request.query:
            return self.multipart(request, bucket, key, body)
        if request.method == "PUT":
            self.objects[bucket, key] = body
            return 200, "", [("ETag", f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"')]
        if request.method == "DELETE":
            self.objects.pop((bucket, key), None)
            return 204, ""
        if not key:
            names = sorted(name for held, name in self.objects if held == bucket)
            listed = "".join(f"<Contents><Key>{escape(name)}</Key></Contents>" for name in names)
            return 200, f"<ListBucketResult><Name>{bucket}</Name>{listed}</ListBucketResult>", XML
        if (bucket, key) not in self.objects:
            raise s3_refusal(404, "NoSuchKey", "The specified key does not exist.")
        return 200, self.objects[bucket, key], [("Content-Type", "binary/octet-stream")]


    def multipart(self, request, bucket, key, body):
        """Create, part, complete and abort; https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html"""
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        if request.method == "POST" and "uploads" in request.query:
            upload = random_text(24)
            self.uploads[upload] = (bucket, key, {})
            return 200, f"<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{escape(key)}</Key>" \
                        f"<UploadId>{upload}</UploadId></InitiateMultipartUploadResult>", XML
        begun = self.uploads.get(request.query.get("uploadId"))
        if not begun or begun[:2] != (bucket, key):
            raise s3_refusal(404, "NoSuchUpload", "The specified multipart upload does not exist.")
        parts = begun[2]
        if request.method == "PUT":
            parts[int(request.query["partNumber"])] = (etag, body)
            return 200, "", [("ETag", etag)]
        self.uploads.pop(request.query["uploadId"])
        if request.method == "DELETE":
            return 204, ""
        named = re.findall(r"<PartNumber>(\d+)</PartNumber>", body.decode())
        self.objects[bucket, key] = b"".join(parts[int(number)][1] for number in named)
        return 200, f"<CompleteMultipartUploadResult><Key>{escape(key)}</Key></CompleteMultipartUploadResult>", XML


def permits(statements, action, resource):
    """An Allow that fits and no Deny that does."""
    effects = [each["Effect"] for each in statements
               if _fits(each["Action"], action) and _fits(each["Resource"], resource)]
    return "Allow" in effects and "Deny" not in effects


def _fits(patterns, text):
    for pattern in patterns if isinstance(patterns, list) else [patterns]:
        parts = re.split(r"([*?])", pattern)
        if re.fullmatch("".join({"*": ".*", "?": "."}.get(part, re.escape(part)) for part in parts), text):
            return True
    return False


def _described(statements):
    if statements is None:
        return None
    return [f"{each['Effect']} {each['Action']} {each['Resource']}" for each in statements]
