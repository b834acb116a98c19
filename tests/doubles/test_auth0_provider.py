# SPDX-License-Identifier: Apache-2.0
"""The Auth0 double as an OpenID provider: how clients authenticate, the plain grants, revocation, Auth0's client."""

import concurrent.futures
import hashlib
import json
import os
import subprocess
import threading
import time
import urllib.parse
import uuid

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from jwts import sign, to_text
from providers import (CIBA_GRANT, DEVICE_GRANT, EXCHANGE_GRANT, FEDERATED_TOKEN, HERE, TOKEN_TYPE, VAULT_GRANT,
                       Auth0Double, node, public_jwk)

USER = "auth0|u1"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
KEY = rsa.generate_private_key(65537, 2048)
API = "https://api.mission.test/"


@pytest.fixture
def token(auth0, web):
    """Posts to the token endpoint."""
    return lambda **fields: web.post(f"{auth0.url}oauth/token", data=fields)


@pytest.fixture
def keyed(auth0, token):
    """Authenticates by a key of its own; keyword arguments change the assertion's claims."""
    auth0.client("keyed", method="private_key_jwt", grants=["client_credentials"],
                 jwks={"keys": [public_jwk(KEY, alg="RS256", use="sig", kid="k1")]})

    def ask(assertion=None, **changes):
        now = int(time.time())
        claims = {"iss": "keyed", "sub": "keyed", "aud": auth0.issuer, "jti": str(uuid.uuid4()), "exp": now + 60}
        claims = {name: claim for name, claim in {**claims, **changes}.items() if claim is not None}
        return token(grant_type="client_credentials", client_assertion_type=ASSERTION,
                     client_assertion=assertion or sign(claims, KEY, kid="k1"))
    return ask


# ---- client authentication ------------------------------------------------------------------------------------------

def test_a_signed_assertion_authenticates_and_is_good_once(keyed, auth0):
    assertion = sign({"iss": "keyed", "sub": "keyed", "aud": auth0.issuer, "jti": "j1", "exp": int(time.time()) + 60},
                     KEY, kid="k1")
    assert keyed(assertion).status_code == 200
    assert keyed(assertion).status_code == 401


@pytest.mark.parametrize("change", ["slash", "far", "future", "late", "no jti", "long", "other"])
def test_an_assertion_that_breaks_a_rule_is_refused(keyed, auth0, change):
    now = int(time.time())
    changes = {"slash": {"aud": auth0.issuer.rstrip("/")}, "far": {"exp": now + 420}, "future": {"iat": now + 30},
               "late": {"exp": now - 30}, "no jti": {"jti": None}, "long": {"note": "x" * 2048},
               "other": {"iss": "other", "sub": "other"}}[change]
    answer = keyed(**changes)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_ten_seconds_of_skew_are_forgiven(keyed):
    now = int(time.time())
    assert keyed(iat=now + 6, nbf=now + 6).status_code == 200
    assert keyed(exp=now - 4).status_code == 200


def test_a_client_certificate_authenticates_and_another_does_not(auth0, authority, web):
    auth0.client("mtls", method="tls_client_auth", grants=["client_credentials"],
                 tls_client_auth_san_dns="vault.mission.test", tls_client_certificate_bound_access_tokens=True)
    fields = {"grant_type": "client_credentials", "client_id": "mtls"}

    def ask(*names):
        pair = authority.issue(*names, usage=ExtendedKeyUsageOID.CLIENT_AUTH, label=f"client-{names[0]}")
        with requests.Session() as session:
            session.trust_env, session.verify = False, str(authority.ca_file)
            return session.post(f"{auth0.url}oauth/token", data=fields, cert=tuple(map(str, pair)))
    assert ask("vault.mission.test").status_code == 200
    assert ask("else.mission.test").status_code == 401
    assert web.post(f"{auth0.url}oauth/token", data=fields).status_code == 401


def test_a_registered_self_signed_certificate_authenticates_and_binds_the_token(auth0, authority):
    pairs = [authority.issue(name, issuer="self", usage=ExtendedKeyUsageOID.CLIENT_AUTH, label=name)
             for name in ("known", "unknown")]
    encoded = "".join(pairs[0][0].read_text().split("-----")[2].split())
    key = serialization.load_pem_private_key(pairs[0][1].read_bytes(), None)
    auth0.client("mtls", method="self_signed_tls_client_auth", grants=["client_credentials"],
                 tls_client_certificate_bound_access_tokens=True,
                 jwks={"keys": [public_jwk(key, use="sig", x5c=[encoded])]})

    def post(path, pair, **fields):
        with requests.Session() as session:
            session.trust_env, session.verify = False, str(authority.ca_file)
            return session.post(auth0.url + path, data={"client_id": "mtls", **fields}, cert=tuple(map(str, pair)))
    held = post("oauth/token", pairs[0], grant_type="client_credentials").json()["access_token"]
    told = post("oauth/introspect", pairs[0], token=held).json()
    assert told["active"] and told["cnf"]["x5t#S256"]
    assert post("oauth/token", pairs[1], grant_type="client_credentials").status_code == 401


# ---- the plain grants -----------------------------------------------------------------------------------------------

def test_discovery_names_every_endpoint_and_the_issuer_exactly(auth0, web):
    for name in ("openid-configuration", "oauth-authorization-server"):
        told = web.get(f"{auth0.url}.well-known/{name}").json()
        assert told["issuer"] == auth0.issuer and told["token_endpoint"] == f"{auth0.url}oauth/token"
        assert {"revocation_endpoint", "introspection_endpoint", "device_authorization_endpoint",
                "pushed_authorization_request_endpoint"} <= set(told)
        assert "RS256" in told["token_endpoint_auth_signing_alg_values_supported"]


def test_a_refresh_token_that_does_not_rotate_stays_and_scope_can_shrink_only(auth0, token):
    auth0.client("app", secret="s", grants=["refresh_token"])
    held = auth0.refresh_token("app", USER, scope="openid offline_access email")
    asked = {"grant_type": "refresh_token", "client_id": "app", "client_secret": "s", "refresh_token": held}
    told = token(**asked, scope="openid").json()
    assert told["scope"] == "openid" and "refresh_token" not in told
    assert token(**asked).status_code == 200
    assert token(**asked, scope="openid profile").json()["error"] == "invalid_scope"


def test_a_rotating_refresh_token_is_good_once_and_a_replay_ends_the_grant(auth0, token):
    auth0.client("app", secret="s", grants=["refresh_token"], refresh_token={"rotation_type": "rotating"})
    held = auth0.refresh_token("app", USER, scope="openid offline_access")
    asked = {"grant_type": "refresh_token", "client_id": "app", "client_secret": "s"}
    new = token(**asked, refresh_token=held).json()["refresh_token"]
    assert new != held
    newer = token(**asked, refresh_token=new).json()["refresh_token"]
    replayed = token(**asked, refresh_token=held)
    assert (replayed.status_code, replayed.json()["error"]) == (403, "invalid_grant")
    assert token(**asked, refresh_token=newer).status_code == 403


def test_client_credentials_get_a_token_for_a_known_api_only(auth0, token):
    auth0.tenant(apis={API: {"scopes": ["go", "stop"]}})
    auth0.client("machine", secret="s", grants=["client_credentials"])
    asked = {"grant_type": "client_credentials", "client_id": "machine", "client_secret": "s"}
    told = token(**asked, audience=API, scope="go").json()
    assert told["scope"] == "go" and told["access_token"].count(".") == 2
    assert token(**asked, audience="https://else.test/").json()["error"] == "invalid_target"


def test_details_of_an_authorization_come_back_if_their_type_is_known(auth0, token):
    auth0.tenant(apis={API: {"scopes": ["go"]}})
    auth0.client("machine", secret="s", grants=["client_credentials"], authorization_details_types=["mission"])

    def ask(*details):
        return token(grant_type="client_credentials", client_id="machine", client_secret="s", audience=API,
                     authorization_details=json.dumps(details)).json()
    assert ask({"type": "mission", "identifier": "m1"})["authorization_details"][0]["identifier"] == "m1"
    assert ask({"type": "other"})["error"] == "invalid_authorization_details"


def test_a_resource_says_which_issuer_is_its_own(auth0, web):
    told = web.get(f"{auth0.url}.well-known/oauth-protected-resource/api").json()
    assert told["resource"] == f"{auth0.url}api" and told["authorization_servers"] == [auth0.issuer]
    assert web.get(f"{auth0.url}.well-known/other").status_code == 404


def test_the_device_flow_waits_for_the_user_who_may_deny(auth0, web, token):
    auth0.client("cli", grants=[DEVICE_GRANT, "refresh_token"])
    auth0.tenant(device_interval=0)

    def start():
        return web.post(f"{auth0.url}oauth/device/code",
                        data={"client_id": "cli", "scope": "openid offline_access"}).json()

    def poll(started):
        return token(grant_type=DEVICE_GRANT, client_id="cli", device_code=started["device_code"])
    started = start()
    assert poll(started).json()["error"] == "authorization_pending"
    auth0.approve_device(started["user_code"])
    assert poll(started).json()["refresh_token"]
    denied = start()
    auth0.deny_device(denied["user_code"])
    assert poll(denied).json()["error"] == "access_denied"


def test_a_device_may_ask_for_an_audience(auth0, web, token):
    auth0.client("cli", grants=[DEVICE_GRANT, "refresh_token"])
    audience = f"{auth0.issuer}me/"
    started = web.post(f"{auth0.url}oauth/device/code", data={
        "client_id": "cli", "scope": "offline_access create:me:connected_accounts", "audience": audience}).json()
    auth0.approve_device(started["user_code"])
    told = token(grant_type=DEVICE_GRANT, client_id="cli", device_code=started["device_code"]).json()
    again = token(grant_type="refresh_token", client_id="cli", refresh_token=told["refresh_token"], audience=audience,
                  scope="create:me:connected_accounts").json()
    for each in (told, again):
        listed = web.post(f"{auth0.url}me/v1/connected-accounts/connect", json={"connection": "none"},
                          headers={"authorization": f"Bearer {each['access_token']}"})
        assert listed.status_code == 404, "the token is for this API; there is no such connection"


def test_polling_too_fast_is_slowed_down(auth0, web, token):
    auth0.client("cli", grants=[DEVICE_GRANT])
    auth0.tenant(device_interval=600)
    started = web.post(f"{auth0.url}oauth/device/code", data={"client_id": "cli", "scope": "openid"}).json()
    answers = [token(grant_type=DEVICE_GRANT, client_id="cli", device_code=started["device_code"]) for _ in range(2)]
    assert [answer.json()["error"] for answer in answers] == ["authorization_pending", "slow_down"]


def browse(web, url):
    """Follows redirects as a browser does until one leaves the provider; returns its query."""
    for _ in range(10):
        url = urllib.parse.urljoin(url, web.get(url, allow_redirects=False).headers["location"])
        if url.startswith("http://127.0.0.1:1/"):
            return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
    raise AssertionError(url)


@pytest.mark.parametrize("is_pushed", [False, True])
def test_a_browser_login_needs_the_verifier_of_its_challenge(auth0, web, token, is_pushed):
    auth0.client("cli", secret="s", grants=["authorization_code", "refresh_token"],
                 redirect_uris=["http://127.0.0.1:1/callback"])
    verifier = to_text(os.urandom(32))
    fields = {"client_id": "cli", "response_type": "code", "redirect_uri": "http://127.0.0.1:1/callback",
              "scope": "openid offline_access", "code_challenge_method": "S256", "state": "st",
              "code_challenge": to_text(hashlib.sha256(verifier.encode()).digest())}
    if is_pushed:
        pushed = web.post(f"{auth0.url}oauth/par", data={**fields, "client_secret": "s"})
        assert pushed.status_code == 201
        fields = {"client_id": "cli", "request_uri": pushed.json()["request_uri"]}
    back = browse(web, f"{auth0.url}authorize?{urllib.parse.urlencode(fields)}")
    assert back["state"] == "st" and back["iss"] == auth0.issuer
    asked = {"grant_type": "authorization_code", "client_id": "cli", "client_secret": "s", "code": back["code"],
             "redirect_uri": "http://127.0.0.1:1/callback"}
    assert token(**asked, code_verifier="x" * 43).json()["error"] == "invalid_grant"
    assert token(**asked, code_verifier=verifier).json()["refresh_token"]


def test_a_user_who_refuses_gives_no_code(auth0, web):
    auth0.client("cli", secret="s", grants=["authorization_code"], redirect_uris=["http://127.0.0.1:1/callback"])
    auth0.tenant(deny=True)
    fields = {"client_id": "cli", "response_type": "code", "redirect_uri": "http://127.0.0.1:1/callback",
              "scope": "openid"}
    back = browse(web, f"{auth0.url}authorize?{urllib.parse.urlencode(fields)}")
    assert back["error"] == "access_denied" and "code" not in back


MISSION = "urn:acme:mission"


def test_a_tenants_own_exchange_makes_a_refresh_token_that_ends_alone(auth0, authority, token, web):
    """Custom Token Exchange, as Auth0's own client asks for it: each answer has a refresh token of its own."""
    auth0.client("app", secret="s3cret", grants=[VAULT_GRANT, EXCHANGE_GRANT, "refresh_token"])
    auth0.connection("google-oauth2")
    auth0.connect(USER, "google-oauth2", ["a"])
    held = auth0.refresh_token("app", USER)
    who = {"client_id": "app", "client_secret": "s3cret"}
    id_token = token(grant_type="refresh_token", refresh_token=held, scope="openid", **who).json()["id_token"]
    asked = {"subjectToken": id_token, "subjectTokenType": MISSION, "scope": "openid offline_access"}

    assert sdk(auth0, authority, "exchangeToken", asked, clientSecret="s3cret")["status"] != 200, "nobody set it up"
    auth0.tenant(token_exchange_types=[MISSION])
    first, second = (sdk(auth0, authority, "exchangeToken", asked, clientSecret="s3cret")["refreshToken"]
                     for _ in range(2))
    assert len({held, first, second}) == 3
    assert web.post(f"{auth0.url}oauth/revoke", data={"token": first, **who}).status_code == 200

    assert [auth0.is_alive(each) for each in (held, first, second)] == [True, False, True]
    vended = [token(grant_type=VAULT_GRANT, connection="google-oauth2", subject_token=each, **who,
                    subject_token_type=f"{TOKEN_TYPE}refresh_token", requested_token_type=FEDERATED_TOKEN).status_code
              for each in (first, second)]
    assert vended == [403, 200]


@pytest.mark.parametrize("subject", ["nothing", "another client's"])
def test_a_tenants_own_exchange_takes_only_an_id_token_of_who_asks(auth0, token, subject):
    auth0.tenant(token_exchange_types=[MISSION])
    for client in ("cli", "other"):
        auth0.client(client, secret="s", grants=[EXCHANGE_GRANT, "refresh_token"])
    foreign = token(grant_type="refresh_token", refresh_token=auth0.refresh_token("other", USER), scope="openid",
                    client_id="other", client_secret="s").json()["id_token"]
    answer = token(grant_type=EXCHANGE_GRANT, client_id="cli", client_secret="s", scope="openid offline_access",
                   subject_token_type=MISSION, subject_token="x" if subject == "nothing" else foreign)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_token_is_exchanged_for_a_narrower_one_never_a_wider(auth0, token):
    auth0.client("broker", secret="s", grants=[EXCHANGE_GRANT])
    held = auth0.access_token("broker", USER, scope="openid email")
    asked = {"grant_type": EXCHANGE_GRANT, "client_id": "broker", "client_secret": "s", "subject_token": held,
             "subject_token_type": f"{TOKEN_TYPE}access_token"}
    told = token(**asked, scope="email").json()
    assert told["scope"] == "email" and told["issued_token_type"] == f"{TOKEN_TYPE}access_token"
    assert token(**asked, scope="email profile").json()["error"] == "invalid_scope"
    assert token(**{**asked, "subject_token": "x"}).json()["error"] == "invalid_grant"


def test_a_revoked_access_token_is_inactive_and_its_sibling_is_not(auth0, web, token):
    auth0.client("broker", secret="s", grants=["client_credentials"])
    asked = {"client_id": "broker", "client_secret": "s"}
    held, sibling = (token(**asked, grant_type="client_credentials").json()["access_token"] for _ in range(2))

    def is_active(value):
        return web.post(f"{auth0.url}oauth/introspect", data={**asked, "token": value}).json()["active"]
    assert is_active(held) and is_active(sibling)
    assert web.post(f"{auth0.url}oauth/revoke", data={**asked, "token": held}).status_code == 200
    assert not is_active(held) and is_active(sibling)
    assert hashlib.sha256(held.encode()).hexdigest() in auth0.revoked()
    assert web.post(f"{auth0.url}oauth/revoke", data={**asked, "token": "never-issued"}).status_code == 200
    assert auth0.log(path="/oauth/revoke")[-1]["revoked"][0]["kind"] == "unknown"


def test_a_dpop_proof_binds_a_token_and_a_nonce_can_be_demanded(auth0, web):
    auth0.client("broker", secret="s", grants=["client_credentials"])
    key = ec.generate_private_key(ec.SECP256R1())

    def ask(**more):
        claims = {"jti": str(uuid.uuid4()), "htm": "POST", "htu": f"{auth0.url}oauth/token", "iat": int(time.time())}
        proof = sign({**claims, **more}, key, "ES256", typ="dpop+jwt", jwk=public_jwk(key))
        return web.post(f"{auth0.url}oauth/token", headers={"DPoP": proof}, data={
            "grant_type": "client_credentials", "client_id": "broker", "client_secret": "s"})
    assert ask().json().get("token_type") == "DPoP", ask().text
    auth0.tenant(dpop_nonce=True)
    challenged = ask()
    assert challenged.json()["error"] == "use_dpop_nonce"
    assert ask(nonce=challenged.headers["DPoP-Nonce"]).status_code == 200


def test_clients_may_know_the_double_by_a_name_and_port_of_their_own(tmp_path, authority):
    with Auth0Double(tmp_path, authority, name="acme.auth0.test", issuer="https://acme.auth0.test/") as double:
        done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert", authority.ca_file, "--connect-to",
                               f"acme.auth0.test:443:{double.address}",
                               "https://acme.auth0.test/.well-known/openid-configuration"],
                              capture_output=True, check=True)
        told = json.loads(done.stdout)
        assert told["issuer"] == "https://acme.auth0.test/"
        assert told["token_endpoint"] == "https://acme.auth0.test/oauth/token"


def test_with_a_generic_profile_errors_are_those_of_the_standard(auth0, token):
    auth0.client("app", secret="s", grants=["refresh_token"])
    asked = {"grant_type": "refresh_token", "client_id": "app", "client_secret": "s", "refresh_token": "dead"}
    assert token(**asked).status_code == 403
    auth0.tenant(profile="generic")
    assert (token(**asked).status_code, token(**asked).json()["error"]) == (400, "invalid_grant")


def test_concurrent_revocations_are_each_in_their_own_line(auth0, authority):
    auth0.client("app", secret="s", grants=["refresh_token"])
    held = [auth0.refresh_token("app", USER) for _ in range(24)]

    def revoke(value):
        with requests.Session() as session:
            session.trust_env, session.verify = False, str(authority.ca_file)
            session.post(f"{auth0.url}oauth/revoke", data={"client_id": "app", "client_secret": "s", "token": value})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(revoke, held))
    lines = [[token["sha256"] for token in entry["revoked"]] for entry in auth0.log(path="/oauth/revoke")]
    assert sorted(lines) == sorted([hashlib.sha256(value.encode()).hexdigest()] for value in held)


def test_tokens_are_revoked_in_bulk_by_user_or_by_id(auth0, web, token):
    auth0.client("app", secret="s", grants=["refresh_token", "client_credentials"])
    first, second = auth0.refresh_token("app", USER), auth0.refresh_token("app", USER)
    other = auth0.refresh_token("app", "auth0|u2")
    manager = token(grant_type="client_credentials", client_id="app", client_secret="s", audience=f"{auth0.url}api/v2/",
                    scope="delete:refresh_tokens").json()["access_token"]

    def revoke(bearer, **body):
        return web.post(f"{auth0.url}api/v2/refresh-tokens/revoke", json=body,
                        headers={"Authorization": f"Bearer {bearer}"}).status_code
    assert revoke("guess", user_id=USER) == 401 and auth0.is_alive(first)
    assert revoke(manager, ids=[first]) == 202
    assert not auth0.is_alive(first) and auth0.is_alive(second)
    assert revoke(manager, user_id=USER, client_id="app") == 202
    assert not auth0.is_alive(second) and auth0.is_alive(other)


# ---- My Account -----------------------------------------------------------------------------------------------------

class Mine:
    """The My Account API with a token that a mission's refresh token gave."""

    def __init__(self, auth0, web, token):
        self.auth0, self.web = auth0, web
        auth0.client("app", secret="s", grants=["refresh_token", "client_credentials", VAULT_GRANT])
        auth0.connection("google-oauth2")
        self.base = f"{auth0.url}me/v1/connected-accounts/"
        asked = {"client_id": "app", "client_secret": "s", "audience": f"{auth0.url}me/"}
        scope = " ".join(f"{verb}:me:connected_accounts" for verb in ("create", "read", "delete"))
        self.token = token(**asked, grant_type="refresh_token", scope=scope,
                           refresh_token=auth0.refresh_token("app", USER)).json()["access_token"]
        self.machine = token(**asked, grant_type="client_credentials", scope=scope).json()["access_token"]

    def ask(self, method, path, token=None, **more):
        return self.web.request(method, self.base + path, headers={"Authorization": f"Bearer {token or self.token}"},
                                **more)


@pytest.fixture
def mine(auth0, web, token):
    return Mine(auth0, web, token)


def test_accounts_are_listed_in_pages(mine):
    made = [mine.auth0.connect(USER, "google-oauth2", ["a"], login=str(number)) for number in range(3)]
    first = mine.ask("GET", "accounts?take=2").json()
    rest = mine.ask("GET", f"accounts?take=2&from={first['next']}").json()
    assert [account["id"] for account in first["accounts"] + rest["accounts"]] == made and "next" not in rest
    wrong = mine.ask("GET", "accounts?take=21")
    assert wrong.status_code == 400 and wrong.json()["validation_errors"] and wrong.json()["status"] == 400


def test_a_user_connects_an_account_in_the_browser(mine):
    verifier = "v" * 43
    asked = {"connection": "google-oauth2", "redirect_uri": "http://127.0.0.1:1/done", "scopes": ["a", "b"],
             "state": "st", "code_challenge_method": "S256",
             "code_challenge": to_text(hashlib.sha256(verifier.encode()).digest())}
    started = mine.ask("POST", "connect", json=asked)
    assert started.status_code == 201
    opened = mine.web.get(started.json()["connect_uri"], params=started.json()["connect_params"], allow_redirects=False)
    code = urllib.parse.parse_qs(urllib.parse.urlsplit(opened.headers["location"]).fragment)["connect_code"][0]
    end = {"auth_session": started.json()["auth_session"], "connect_code": code, "redirect_uri": asked["redirect_uri"]}
    assert mine.ask("POST", "complete", json={**end, "code_verifier": "wrong"}).status_code == 400
    done = mine.ask("POST", "complete", json={**end, "code_verifier": verifier})
    assert done.status_code == 201 and done.json()["scopes"] == ["a", "b"] and done.json()["id"].startswith("cac_")


def test_a_removed_account_is_not_exchanged_and_what_was_vended_lives_on(mine, token):
    account = mine.auth0.connect(USER, "google-oauth2", ["a"])
    asked = {"grant_type": VAULT_GRANT, "client_id": "app", "client_secret": "s", "connection": "google-oauth2",
             "subject_token": mine.auth0.refresh_token("app", USER), "subject_token_type": f"{TOKEN_TYPE}refresh_token",
             "requested_token_type": "http://auth0.com/oauth/token-type/federated-connection-access-token"}
    vended = token(**asked).json()["access_token"]
    assert mine.ask("DELETE", f"accounts/{account}").status_code == 204
    assert token(**asked).json()["error"] == "federated_connection_refresh_token_not_found"
    assert mine.auth0.is_alive(vended)
    assert mine.ask("DELETE", f"accounts/{account}").status_code == 204


def test_a_machines_token_is_not_a_users(mine):
    assert mine.ask("GET", "accounts").status_code == 200
    refused = mine.ask("GET", "accounts", token=mine.machine)
    assert refused.status_code == 403 and refused.json()["title"] == "Forbidden"
    assert mine.ask("GET", "accounts", token="x").status_code == 401


# ---- approvals (CIBA) ------------------------------------------------------------------------------------------------

@pytest.fixture
def approver(auth0, web):
    """A client that may ask; returns a function that starts a request, keyword arguments change or remove a field."""
    auth0.client("app", secret="s3cret", grants=[CIBA_GRANT], authorization_details_types=["mission"])

    def start(**changes):
        hint = json.dumps({"format": "iss_sub", "iss": auth0.issuer, "sub": USER})
        fields = {"client_id": "app", "client_secret": "s3cret", "scope": "openid", "login_hint": hint,
                  "binding_message": "Send 3 mails #42", **changes}
        sent = {name: each for name, each in fields.items() if each is not None}
        return web.post(f"{auth0.url}bc-authorize", data=sent)
    return start


def redeem(token, auth_req_id):
    return token(grant_type=CIBA_GRANT, client_id="app", client_secret="s3cret", auth_req_id=auth_req_id)


def test_an_approval_gives_tokens_once_and_names_what_was_approved(auth0, token, approver):
    audience = "https://broker.test/"
    auth0.tenant(ciba_interval=0, apis={audience: {"scopes": ["approve"]}})
    details = [{"type": "mission", "digest": "ab"}]
    started = approver(audience=audience, scope="openid approve",
                       authorization_details=json.dumps(details)).json()
    assert (started.get("expires_in"), started.get("interval")) == (300, 0), started
    waiting = redeem(token, started["auth_req_id"])
    assert (waiting.status_code, waiting.json()["error"]) == (400, "authorization_pending")
    auth0.approve(started["auth_req_id"])
    told = redeem(token, started["auth_req_id"]).json()
    assert told["access_token"] and told["id_token"] and "refresh_token" not in told
    assert told["authorization_details"] == details
    again = redeem(token, started["auth_req_id"])
    assert again.json()["error"] == "invalid_grant"
    asked, = auth0.log(path="/bc-authorize")
    assert (asked["user"], asked["message"]) == (USER, "Send 3 mails #42")
    assert json.loads(asked["authorization_details"]) == details


@pytest.mark.parametrize("changes, error", [
    ({"binding_message": None}, "invalid_binding_message"), ({"binding_message": "x" * 65}, "invalid_binding_message"),
    ({"binding_message": "50 % off!"}, "invalid_binding_message"), ({"login_hint": USER}, "invalid_request"),
    ({"login_hint": json.dumps({"format": "iss_sub", "iss": "https://other.test/", "sub": USER})}, "invalid_request"),
    ({"login_hint": None}, "invalid_request"), ({"requested_expiry": "259201"}, "invalid_request"),
    ({"requested_expiry": "0"}, "invalid_request"), ({"scope": "profile"}, "invalid_request")])
def test_a_request_for_approval_that_breaks_a_rule_is_refused(auth0, approver, changes, error):
    answer = approver(**changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error), answer.text


def test_a_user_without_a_device_cannot_be_asked_nor_may_a_client_without_the_grant(auth0, approver):
    auth0.tenant(not_enrolled=[USER])
    assert "No eligible notification channels" in approver().json()["error_description"]
    auth0.tenant(not_enrolled=[])
    auth0.client("app", secret="s3cret", grants=["refresh_token"])
    assert approver().status_code in (400, 403)


def test_a_denied_and_an_expired_request_are_both_denied(auth0, token, approver):
    denied = approver().json()["auth_req_id"]
    auth0.deny(denied)
    expired = approver(requested_expiry="1").json()
    assert expired["expires_in"] == 1
    for request in (denied, expired["auth_req_id"]):
        told = wait_until_decided(token, request)
        assert (told.status_code, told.json()["error"]) == (400, "access_denied")


def wait_until_decided(token, request):
    for _ in range(600):
        told = redeem(token, request)
        if told.json()["error"] not in ("authorization_pending", "slow_down"):
            return told
        threading.Event().wait(0.05)
    raise AssertionError(told.text)


def test_a_client_that_asks_too_often_is_slowed_down_by_body_and_header(auth0, token, approver):
    auth0.tenant(ciba_interval=600)
    request = approver().json()["auth_req_id"]
    first, second = (redeem(token, request) for _ in range(2))
    assert first.json()["error"] == "authorization_pending"
    assert (second.status_code, second.json()["error"], second.json()["interval"]) == (400, "slow_down", 10)
    assert second.headers["retry-after"] == "10"


# ---- Auth0's own client ---------------------------------------------------------------------------------------------

def sdk(double, authority, call, options, **credentials):
    asked = {"domain": double.issuer.removeprefix("https://").rstrip("/"), "clientId": "app", "call": call,
             "options": options, **credentials}
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run([node(), "--import", HERE / "resolve.mjs", HERE / "auth0" / "sdk_check.mjs",
                           json.dumps(asked)], capture_output=True, text=True, check=True,
                          env={**environment, "NODE_EXTRA_CA_CERTS": str(authority.ca_file)})
    return json.loads(done.stdout)


def test_auth0s_own_client_exchanges_and_understands_each_refusal(auth0, authority, tmp_path):
    auth0.client("app", secret="s3cret", grants=[VAULT_GRANT])
    auth0.connection("google-oauth2")
    auth0.connect(USER, "google-oauth2", ["a", "b"])
    held = auth0.refresh_token("app", USER)

    def ask(call="getTokenForConnection", **more):
        return sdk(auth0, authority, call, {"connection": "google-oauth2", **more}, clientSecret="s3cret")
    got = ask(refreshToken=held)
    assert hashlib.sha256(got["accessToken"].encode()).hexdigest() in auth0.issued("provider_token")
    assert got["scope"] == "a b" and got["expiresAt"] > time.time()
    narrowed = ask("exchangeToken", subjectToken=held, subjectTokenType=f"{TOKEN_TYPE}refresh_token", scope="a")
    assert narrowed["scope"] == "a"
    refused = ask(refreshToken=held, connection="github")
    assert refused["cause"] == "access_denied"
    auth0.connection("github")
    assert ask(refreshToken=held, connection="github")["cause"] == "federated_connection_refresh_token_not_found"
    assert ask(refreshToken="dead")["cause"] == "invalid_grant"


def test_auth0s_own_client_asks_for_an_approval_and_redeems_it(auth0, authority, approver):
    asked = {"bindingMessage": "Send 3 mails", "loginHint": {"sub": USER}, "requestedExpiry": 120}
    started = sdk(auth0, authority, "initiateBackchannelAuthentication", asked, clientSecret="s3cret")
    assert (started["expiresIn"], started["interval"]) == (120, 5), started
    redeemed = {"authReqId": started["authReqId"]}
    assert sdk(auth0, authority, "backchannelAuthenticationGrant", redeemed,
               clientSecret="s3cret")["cause"] == "authorization_pending"
    auth0.approve(started["authReqId"])
    assert sdk(auth0, authority, "backchannelAuthenticationGrant", redeemed, clientSecret="s3cret")["accessToken"]
    assert sdk(auth0, authority, "backchannelAuthenticationGrant", redeemed,
               clientSecret="s3cret")["cause"] == "invalid_grant"


def test_auth0s_own_client_signs_assertions_that_the_double_takes(auth0, authority, tmp_path):
    key_file = tmp_path / "key.pem"
    key_file.write_bytes(KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                           serialization.NoEncryption()))
    auth0.connection("google-oauth2")
    auth0.connect(USER, "google-oauth2", ["a"])

    def ask(key):
        auth0.client("app", method="private_key_jwt", grants=[VAULT_GRANT],
                     jwks={"keys": [public_jwk(key, alg="RS256", use="sig")]})
        return sdk(auth0, authority, "getTokenForConnection", {
            "connection": "google-oauth2", "refreshToken": auth0.refresh_token("app", USER)}, keyFile=str(key_file))
    assert ask(KEY)["accessToken"]
    assert ask(rsa.generate_private_key(65537, 2048))["cause"] == "invalid_client"

