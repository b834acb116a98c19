# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes double: a token lives as long as the Secret it is bound to."""

import calendar
import hashlib
import time

import jwts
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

TOKENS = "api/v1/namespaces/ci/serviceaccounts/mission/token"


class Cluster:
    def __init__(self, double, web):
        self.double, self.web = double, web
        double.service_account("ci", "mission")

    def ask(self, method, path, bearer=None, **body):
        return self.web.request(method, self.double.url + path, json=body or None,
                                headers={"Authorization": f"Bearer {bearer or self.double.caller}"})

    def secret(self, name):
        return self.ask("POST", "api/v1/namespaces/ci/secrets", metadata={"name": name}).json()["metadata"]

    def token(self, bearer=None, **spec):
        return self.ask("POST", TOKENS, bearer, apiVersion="authentication.k8s.io/v1", kind="TokenRequest",
                        spec={"expirationSeconds": 600, "audiences": ["api"], **spec})

    def bound(self, secret):
        return self.token(boundObjectRef={"kind": "Secret", "apiVersion": "v1", "name": secret["name"],
                                          "uid": secret["uid"]}).json()["status"]["token"]

    def is_authenticated(self, token, *audiences):
        told = self.ask("POST", "apis/authentication.k8s.io/v1/tokenreviews", kind="TokenReview",
                        apiVersion="authentication.k8s.io/v1", spec={"token": token, "audiences": list(audiences)})
        return told.json()["status"].get("authenticated", False)


@pytest.fixture
def cluster(kubernetes, web):
    return Cluster(kubernetes, web)


def test_a_token_dies_with_its_secret_and_its_neighbour_lives(cluster):
    first, second = cluster.secret("m1"), cluster.secret("m2")
    token, neighbour = cluster.bound(first), cluster.bound(second)
    assert cluster.is_authenticated(token, "api") and cluster.is_authenticated(neighbour, "api")
    assert cluster.ask("DELETE", "api/v1/namespaces/ci/secrets/m1").status_code == 200
    assert not cluster.is_authenticated(token, "api") and cluster.is_authenticated(neighbour, "api")
    assert cluster.double.revoked() == {hashlib.sha256(token.encode()).hexdigest()}
    # Who only verifies the signature does not notice.
    assert jwts.verify(token, cluster.double.key.public_key())["sub"] == "system:serviceaccount:ci:mission"
    assert cluster.ask("DELETE", "api/v1/namespaces/ci/secrets/m1").status_code == 404


def test_a_token_is_for_its_audience_only(cluster):
    token = cluster.token().json()["status"]["token"]
    assert cluster.is_authenticated(token, "api") and not cluster.is_authenticated(token, "else")


def test_less_than_ten_minutes_is_refused_and_the_server_may_shorten(cluster):
    refused = cluster.token(expirationSeconds=599)
    assert refused.status_code == 422 and "less than 10 minutes" in refused.json()["message"]
    cluster.double.maximum = 1200
    stamp = cluster.token(expirationSeconds=7200).json()["status"]["expirationTimestamp"]
    left = calendar.timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")) - time.time()
    assert 1100 < left <= 1200


def test_a_token_is_not_bound_to_another_or_a_missing_secret(cluster):
    secret = cluster.secret("m1")
    bound = {"kind": "Secret", "apiVersion": "v1", "name": "m1"}
    assert cluster.token(boundObjectRef={**bound, "uid": "other"}).status_code == 409
    assert cluster.token(boundObjectRef={**bound, "name": "none"}).status_code == 404
    assert cluster.token(boundObjectRef={**bound, "kind": "Node"}).status_code == 400
    assert cluster.token(boundObjectRef={**bound, "uid": secret["uid"]}).status_code == 201


def test_a_secret_is_deleted_only_if_it_is_the_one_that_is_meant(cluster):
    secret = cluster.secret("m1")
    path = "api/v1/namespaces/ci/secrets/m1"
    assert cluster.ask("DELETE", path, preconditions={"uid": "other"}).status_code == 409
    assert cluster.ask("DELETE", path, preconditions={"uid": secret["uid"]}).status_code == 200


def test_nobody_else_gets_a_token(cluster):
    assert cluster.token(bearer="guess").status_code == 401
    assert cluster.ask("POST", TOKENS.replace("mission", "other"), kind="TokenRequest",
                       apiVersion="authentication.k8s.io/v1", spec={}).status_code == 404


def test_a_token_may_do_what_its_role_says_and_dies_with_its_secret(cluster):
    cluster.double.service_account("ci", "retire")
    cluster.double.role("ci", "retire", "DELETE secrets")
    secret = cluster.secret("m1")
    deleter = cluster.ask("POST", TOKENS.replace("mission", "retire"), kind="TokenRequest",
                          apiVersion="authentication.k8s.io/v1",
                          spec={"expirationSeconds": 600, "boundObjectRef": {
                              "kind": "Secret", "apiVersion": "v1", "name": "m1", "uid": secret["uid"]}})
    deleter = deleter.json()["status"]["token"]
    path = "api/v1/namespaces/ci/secrets/m1"
    assert cluster.ask("GET", path, deleter).status_code == 403
    assert cluster.ask("DELETE", path, deleter).status_code == 200
    assert cluster.ask("DELETE", path, deleter).status_code == 401, "it was bound to that Secret itself"


def test_a_client_certificate_is_a_caller_and_what_is_forbidden_is(cluster, authority):
    pair = authority.issue("operator", usage=ExtendedKeyUsageOID.CLIENT_AUTH, label="client")
    made = cluster.web.post(f"{cluster.double.url}api/v1/namespaces/ci/secrets", json={"metadata": {"name": "m1"}},
                            cert=tuple(map(str, pair)))
    assert made.status_code == 201 and cluster.double.log()[-1]["user"] == "operator"
    cluster.double.forbid("DELETE secrets")
    assert cluster.ask("DELETE", "api/v1/namespaces/ci/secrets/m1").status_code == 403
    cluster.double.forbid()
    assert cluster.ask("DELETE", "api/v1/namespaces/ci/secrets/m1").status_code == 200
