# SPDX-License-Identifier: Apache-2.0
"""Kubernetes: tokens of service accounts that are bound to a Secret and die with it, and the review that tells."""

import functools
import json
import re
import time
import uuid

from cryptography.hazmat.primitives.asymmetric import rsa

import jwts
from double_base import Double, Refusal, random_text

MINIMUM_SECONDS = 600
AUDIENCE = "https://kubernetes.default.svc"


def status(code, reason, message):
    return Refusal(code, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": reason,
                          "message": message, "code": code}, error=reason)


@functools.cache
def cluster_key():
    """One for all doubles of a process: making one takes longer than most tests."""
    return rsa.generate_private_key(65537, 2048)


class KubernetesDouble(Double):
    """`caller` is the token of whoever may ask for tokens; `maximum` shortens what is asked for. Tokens of service
    accounts are taken for what `role` lets these do, client certificates for what the caller may."""

    name = "kubernetes"
    takes_certificates = True
    hosts = ("kubernetes.default.svc", "kube.test")

    def __init__(self, folder, authority, port=0, maximum=None):
        self.accounts, self.secrets, self.maximum = {}, {}, maximum
        self.roles, self.forbidden, self.binds = {}, set(), True
        self.key = cluster_key()
        self.caller = f"caller.{random_text(40)}"
        super().__init__(folder, authority, port)

    def service_account(self, namespace, name):
        self.accounts[namespace, name] = str(uuid.uuid4())

    def role(self, namespace, name, *allowed):
        """What tokens of a service account may do, as "DELETE secrets"; `forbid` takes the same from the caller."""
        self.roles[f"system:serviceaccount:{namespace}:{name}"] = set(allowed)

    def forbid(self, *actions):
        self.forbidden = set(actions)

    # ---- serving ---------------------------------------------------------------------------------------------------
    def handle(self, request):
        for method, pattern, kind, answer in ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                self._authorize(request, f"{method} {kind}")
                return answer(self, request, *found.groups())
        raise status(404, "NotFound", "the server could not find the requested resource")

    def _authorize(self, request, action):
        """401 for whom nobody knows, 403 for who may not."""
        token = self.live(request.bearer(), "service_account_token")
        if token and AUDIENCE in token.more["audiences"]:
            user = token.more["claims"]["sub"]
            is_allowed = action in self.roles.get(user, ())
        elif request.bearer() == self.caller or request.certificate:
            names = dict(pair[0] for pair in (request.certificate or {}).get("subject", ()))
            user = names.get("commonName", "caller")
            is_allowed = action not in self.forbidden
        else:
            raise status(401, "Unauthorized", "Unauthorized")
        request.note["user"] = user
        if not is_allowed:
            raise status(403, "Forbidden", f'{action} is forbidden: User "{user}" cannot do that')

    def request_token(self, request, namespace, name):
        if (namespace, name) not in self.accounts:
            raise status(404, "NotFound", f'serviceaccounts "{name}" not found')
        asked = request.json()
        if asked.get("kind") != "TokenRequest" or asked.get("apiVersion") != "authentication.k8s.io/v1":
            raise status(400, "BadRequest", "the object provided is unrecognized")
        spec = asked.get("spec", {})
        seconds = spec.get("expirationSeconds", 3600)
        if seconds < MINIMUM_SECONDS:
            raise status(422, "Invalid", "spec.expirationSeconds: Invalid value: may not specify a duration less than "
                                         "10 minutes")
        bound = spec.get("boundObjectRef")
        secret = self._bound_secret(namespace, bound) if bound and self.binds else None
        seconds = min(seconds, self.maximum or seconds)
        audiences = request.changed(spec.get("audiences") or [AUDIENCE])
        request.note.update(asked=spec.get("audiences"), returned=audiences, client=f"{namespace}/{name}")
        token = self._make(request, namespace, name, audiences, seconds, secret)
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(token.expires_at))
        return 201, {**asked, "metadata": {"name": name, "namespace": namespace},
                     "status": {"token": token.value, "expirationTimestamp": stamp}}

    def _bound_secret(self, namespace, bound):
        secret = self.secrets.get((namespace, bound.get("name")))
        if bound.get("kind") != "Secret" or bound.get("apiVersion") != "v1":
            raise status(400, "BadRequest", "cannot bind token for serviceaccount to this type of object")
        if not secret:
            raise status(404, "NotFound", f'secrets "{bound.get("name")}" not found')
        if bound.get("uid") not in (None, secret["metadata"]["uid"]):
            raise status(409, "Conflict", "the UID in the bound object reference does not match the UID in record")
        return secret

    def _make(self, request, namespace, name, audiences, seconds, secret):
        now = int(time.time())
        inner = {"namespace": namespace, "serviceaccount": {"name": name, "uid": self.accounts[namespace, name]}}
        if secret:
            inner["secret"] = {"name": secret["metadata"]["name"], "uid": secret["metadata"]["uid"]}
        claims = {"aud": audiences, "exp": now + seconds, "iat": now, "nbf": now, "jti": str(uuid.uuid4()),
                  "iss": AUDIENCE, "sub": f"system:serviceaccount:{namespace}:{name}", "kubernetes.io": inner}
        length = (request.fault or {}).get("length")
        if length:
            claims["padding"] = "x" * length
        return self.mint(request, "service_account_token", value=jwts.sign(claims, self.key, kid="double"), ttl=seconds,
                         audiences=audiences, claims=claims, secret=secret["metadata"]["uid"] if secret else None)

    # ---- secrets ---------------------------------------------------------------------------------------------------
    def create_secret(self, request, namespace):
        asked = request.json()
        name = asked.get("metadata", {}).get("name")
        if not name:
            raise status(422, "Invalid", "metadata.name: Required value")
        if (namespace, name) in self.secrets:
            raise status(409, "AlreadyExists", f'secrets "{name}" already exists')
        made = {**asked, "kind": "Secret", "apiVersion": "v1", "metadata": {
            **asked["metadata"], "namespace": namespace, "uid": str(uuid.uuid4()), "resourceVersion": "1"}}
        self.secrets[namespace, name] = made
        request.note["client"] = f"{namespace}/{name}"
        return 201, made

    def read_secret(self, _, namespace, name):
        if (namespace, name) not in self.secrets:
            raise status(404, "NotFound", f'secrets "{name}" not found')
        return 200, self.secrets[namespace, name]

    def delete_secret(self, request, namespace, name):
        secret = self.secrets.get((namespace, name))
        if not secret:
            raise status(404, "NotFound", f'secrets "{name}" not found')
        expected = request.json().get("preconditions", {}).get("uid") if request.body else None
        if expected not in (None, secret["metadata"]["uid"]):
            raise status(409, "Conflict", "the UID in the precondition does not match the UID in record")
        del self.secrets[namespace, name]
        for token in self.tokens.values():
            if token.more.get("secret") == secret["metadata"]["uid"]:
                self.take_away(request, token)
        return 200, {"kind": "Status", "apiVersion": "v1", "status": "Success", "details": {"name": name}}

    # ---- the review ------------------------------------------------------------------------------------------------
    def review(self, request):
        asked = request.json()
        spec = asked.get("spec", {})
        token = self.live(spec.get("token"), "service_account_token")
        wanted = set(spec.get("audiences") or [AUDIENCE])
        if not token or not wanted & set(token.more["audiences"]):
            told = {"user": {}, "error": "[invalid bearer token, token is expired, bound to a deleted object, or for "
                                         "another audience]"}
        else:
            told = {"authenticated": True, "audiences": sorted(wanted & set(token.more["audiences"])),
                    "user": {"username": token.more["claims"]["sub"], "groups": ["system:serviceaccounts"]}}
        return 201, {**asked, "status": told}


def claims_of(token):
    """What a server that only verifies the JWT would believe."""
    return json.loads(jwts.to_bytes(token.split(".")[1]))


ROUTES = [
    ("POST", r"/api/v1/namespaces/([^/]+)/serviceaccounts/([^/]+)/token", "tokens", KubernetesDouble.request_token),
    ("POST", r"/api/v1/namespaces/([^/]+)/secrets", "secrets", KubernetesDouble.create_secret),
    ("GET", r"/api/v1/namespaces/([^/]+)/secrets/([^/]+)", "secrets", KubernetesDouble.read_secret),
    ("DELETE", r"/api/v1/namespaces/([^/]+)/secrets/([^/]+)", "secrets", KubernetesDouble.delete_secret),
    ("POST", r"/apis/authentication.k8s.io/v1/tokenreviews", "reviews", KubernetesDouble.review),
]
