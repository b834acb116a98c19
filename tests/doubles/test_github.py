# SPDX-License-Identifier: Apache-2.0
"""The GitHub double: what a token may do, what ends it, and that GitHub's own App client gets one from it."""

import hashlib
import json
import os
import subprocess
import time

import jwts
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from providers import DEVICE_GRANT, HERE, is_installed, node

import identity as identities

KEY, OTHER_KEY = (rsa.generate_private_key(65537, 2048) for _ in range(2))
NARROW = {"repositories": ["api"], "permissions": {"issues": "read"}}


class App:
    """An App installed at acme, for two repositories."""

    def __init__(self, double, web):
        self.double, self.web = double, web
        double.app(KEY.public_key())
        double.installation(77, "acme", ["api", "site"], {"issues": "write", "metadata": "read"})
        web.headers["User-Agent"] = "check"

    def jwt(self, key=KEY, alg="RS256", **changes):
        now = int(time.time())
        return jwts.sign({"iat": now - 60, "exp": now + 540, "iss": str(self.double.app_id), **changes}, key, alg)

    def mint(self, body=None, bearer=None):
        return self.web.post(f"{self.double.url}app/installations/77/access_tokens", json=body or {},
                             headers={"Authorization": f"Bearer {bearer or self.jwt()}"})

    def issues(self, token, repository="api", method="GET"):
        return self.web.request(method, f"{self.double.url}repos/acme/{repository}/issues", json={"title": "t"},
                                headers={"Authorization": f"Bearer {token}"})

    def application(self, method, path, auth=None, **body):
        return self.web.request(method, f"{self.double.url}applications/{self.double.client_id}/{path}", json=body,
                                auth=auth or (self.double.client_id, self.double.client_secret))


@pytest.fixture
def app(github, web):
    return App(github, web)


# ---- installation tokens --------------------------------------------------------------------------------------------

def test_an_installation_token_is_long_and_has_what_the_installation_has(app):
    told = app.mint()
    assert told.status_code == 201 and told.json()["repository_selection"] == "all"
    token = told.json()["token"]
    assert token.startswith("ghs_12345_") and len(token) == 520 and token.count(".") == 2
    assert app.issues(token, method="POST").status_code == 201


def test_a_narrowed_token_reads_one_repository_and_no_more(app):
    token = app.mint(NARROW).json()["token"]
    assert app.issues(token).status_code == 200
    assert app.issues(token, repository="site").status_code == 404
    refused = app.issues(token, method="POST")
    assert refused.status_code == 403 and refused.headers["X-Accepted-GitHub-Permissions"] == "issues=write"
    entry = app.double.log(path="/app/installations/77/access_tokens")[0]
    assert entry["asked"] == ["issues:read", "repo=api"] and entry["returned"] == ["issues:read", "repo=api"]


@pytest.mark.parametrize("body", [{"permissions": {"issues": "admin"}}, {"permissions": {"contents": "read"}},
                                  {"repositories": ["secret"]}, {"repository_ids": [1]}])
def test_more_than_the_installation_has_is_refused(app, body):
    assert app.mint(body).status_code == 422


@pytest.mark.parametrize("change", ["key", "alg", "late", "early", "long", "issuer"])
def test_an_app_token_that_breaks_a_rule_is_refused(app, change):
    now = int(time.time())
    changes = {"key": {"key": OTHER_KEY}, "alg": {"alg": "RS384"},
               "late": {"exp": now - 1}, "early": {"iat": now + 120}, "long": {"exp": now + 720},
               "issuer": {"iss": "99"}}[change]
    assert app.mint(bearer=app.jwt(**changes)).status_code == 401


def test_a_deleted_installation_token_is_dead_and_its_sibling_is_not(app):
    first, second = (app.mint().json()["token"] for _ in range(2))
    url, headers = f"{app.double.url}installation/token", {"Authorization": f"token {first}"}
    assert app.web.delete(url, headers=headers).status_code == 204
    assert app.issues(first).status_code == 401 and app.issues(second).status_code == 200
    assert app.web.delete(url, headers=headers).status_code == 401
    assert app.double.revoked() == {hashlib.sha256(first.encode()).hexdigest()}


def test_a_request_without_user_agent_is_refused(app):
    app.web.headers["User-Agent"] = ""
    assert app.mint().status_code == 403


# ---- tokens of users ------------------------------------------------------------------------------------------------

def test_a_users_token_has_a_narrower_child_that_dies_alone(app):
    parent, _ = app.double.user_token()
    child = app.application("POST", "token/scoped", access_token=parent, target="acme", **NARROW).json()["token"]
    assert app.issues(child).status_code == 200 and app.issues(child, method="POST").status_code == 403
    assert app.application("DELETE", "token", access_token=child).status_code == 204
    assert app.issues(child).status_code == 401 and app.issues(parent).status_code == 200
    assert app.application("DELETE", "token", access_token=child).status_code == 404


def test_a_token_without_a_refresh_token_does_not_run_out_nor_does_its_child(app):
    for has_refresh in (True, False):
        parent, _ = app.double.user_token(has_refresh=has_refresh)
        for path, asked in (("token/scoped", {"target": "acme"}), ("token", {})):
            told = app.application("POST", path, access_token=parent, **asked)
            assert told.status_code == 200 and bool(told.json()["expires_at"]) == has_refresh
        app.double.end_user_tokens()
        assert app.application("POST", "token", access_token=parent).status_code == 404


def test_narrowing_needs_the_secret_a_live_token_and_a_target(app):
    parent, _ = app.double.user_token()
    asked = {"access_token": parent, "target": "acme"}
    assert app.application("POST", "token/scoped", auth=("x", "y"), **asked).status_code == 401
    assert app.application("POST", "token/scoped", access_token=parent).status_code == 422
    assert app.application("POST", "token/scoped", access_token="ghu_x", target="acme").status_code == 404
    assert app.application("POST", "token/scoped", **asked, permissions={"contents": "read"}).status_code == 422
    assert app.application("POST", "token/scoped", **asked).status_code == 200


def test_deleting_the_grant_takes_every_token_of_it(app):
    parent, refresh = app.double.user_token()
    other, _ = app.double.user_token("hubot")
    assert app.application("DELETE", "grant", access_token=parent).status_code == 204
    assert not app.double.is_alive(parent) and not app.double.is_alive(refresh) and app.double.is_alive(other)


def test_leaked_credentials_are_revoked_without_authentication_only(app):
    token, _ = app.double.user_token()
    url = f"{app.double.url}credentials/revoke"
    assert app.web.post(url, json={"credentials": [token]}, headers={"Authorization": "token x"}).status_code == 403
    assert app.double.is_alive(token)
    assert app.web.post(url, json={"credentials": [token, "ghu_unknown"]}).status_code == 202
    assert not app.double.is_alive(token)


def login(app, **fields):
    answer = app.web.post(f"{app.double.url}login/oauth/access_token", headers={"Accept": "application/json"},
                          data={"client_id": app.double.client_id, **fields})
    assert answer.status_code == 200  # also when it is an error
    return answer.json()


def test_a_refresh_ends_both_old_tokens(app):
    old, refresh = app.double.user_token()
    asked = {"grant_type": "refresh_token", "client_secret": app.double.client_secret, "refresh_token": refresh}
    new = login(app, **asked)
    assert app.double.is_alive(new["access_token"]) and not app.double.is_alive(old)
    assert login(app, **asked)["error"] == "bad_refresh_token"


def test_the_device_flow_waits_for_the_user_who_may_deny(app):
    def start():
        return app.web.post(f"{app.double.url}login/device/code", data={"client_id": app.double.client_id}).json()

    def poll(started):
        return login(app, grant_type=DEVICE_GRANT, device_code=started["device_code"])
    started = start()
    assert poll(started)["error"] == "authorization_pending"
    app.double.approve_device(started["user_code"])
    assert poll(started)["access_token"].startswith("ghu_")
    denied = start()
    app.double.deny_device(denied["user_code"])
    assert poll(denied)["error"] == "access_denied"


# ---- GitHub's own client --------------------------------------------------------------------------------------------

def test_githubs_own_app_client_gets_a_narrowed_token_and_another_key_none(app, authority, tmp_path):
    identities.require(is_installed(), "the doubles are not installed (scripts/setup doubles)")

    def ask(key):
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption()).decode()
        asked = {"baseUrl": app.double.url.rstrip("/"), "appId": app.double.app_id, "privateKey": pem,
                 "options": {"type": "installation", "installationId": 77, "repositoryNames": ["api"],
                             "permissions": {"issues": "read"}}}
        done = subprocess.run([node(), "--import", HERE / "resolve.mjs", HERE / "github_check.mjs"], check=True,
                              input=json.dumps(asked), capture_output=True, text=True, env={
                                  "PATH": os.environ["PATH"], "NODE_EXTRA_CA_CERTS": str(authority.ca_file)})
        return json.loads(done.stdout)
    token = ask(KEY)["token"]
    assert app.issues(token).status_code == 200 and app.issues(token, method="POST").status_code == 403
    assert ask(OTHER_KEY) == {"status": 401}
