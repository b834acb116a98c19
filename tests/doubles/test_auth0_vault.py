# SPDX-License-Identifier: Apache-2.0
"""Token Vault at the Auth0 double: what an exchange gives, and what each refusal says."""

import hashlib
import time
import uuid

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwts import sign
from providers import FEDERATED_TOKEN, TOKEN_TYPE, VAULT_GRANT, WORKER_TOKEN

USER = "auth0|u1"
API = "https://api.mission.test/"
SCOPES = ["calendar.events", "calendar.readonly"]
KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.public_key().public_bytes(serialization.Encoding.PEM,
                                    serialization.PublicFormat.SubjectPublicKeyInfo).decode()


class Tenant:
    """A tenant with one app, one user and one connected account."""

    def __init__(self, double, web):
        self.double, self.web = double, web
        double.client("app", secret="s3cret", grants=[VAULT_GRANT, "refresh_token"])
        double.connection("google-oauth2", prefix="ya29.")
        self.account = double.connect(USER, "google-oauth2", SCOPES, login="u1@mail.test")
        self.subject = double.refresh_token("app", USER)

    def exchange(self, **changes):
        fields = {"grant_type": VAULT_GRANT, "client_id": "app", "client_secret": "s3cret",
                  "subject_token_type": f"{TOKEN_TYPE}refresh_token", "subject_token": self.subject,
                  "requested_token_type": FEDERATED_TOKEN, "connection": "google-oauth2", **changes}
        sent = {name: value for name, value in fields.items() if value is not None}
        return self.web.post(f"{self.double.url}oauth/token", data=sent)


@pytest.fixture
def tenant(auth0, web):
    return Tenant(auth0, web)


def worker_access(**changes):
    return {"credentials": [{"credential_type": "public_key", "pem": PEM, "alg": "RS256"}],
            "ip_allowlist": ["127.0.0.0/8"], "grants": [{"connection": "google-oauth2", "scopes": SCOPES}], **changes}


def worker_token(double, client="worker", key=KEY, typ="token-vault-req+jwt", alg="RS256", **changes):
    claims = {"iss": client, "aud": double.issuer, "sub": USER, "iat": int(time.time()), "jti": str(uuid.uuid4()),
              "audit_context": "mission m1", **changes}
    return sign({name: claim for name, claim in claims.items() if claim is not None}, key, typ=typ, alg=alg)


@pytest.fixture
def worker(tenant):
    """Exchanges as a privileged worker; keyword arguments change the subject token's claims."""
    tenant.double.client("worker", secret="w", grants=[VAULT_GRANT], token_vault_privileged_access=worker_access())

    def exchange(token=None, connection="google-oauth2", scope=None, **changes):
        return tenant.exchange(client_id="worker", client_secret="w", subject_token_type=f"{TOKEN_TYPE}jwt",
                               subject_token=token or worker_token(tenant.double, **changes), connection=connection,
                               requested_token_type=WORKER_TOKEN, scope=scope)
    return exchange


def assert_refused(answer, status, error, description=None):
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    if description:
        assert answer.json()["error_description"] == description
    assert "access_token" not in answer.json()


# ---- the three variants ---------------------------------------------------------------------------------------------

def test_a_refresh_token_is_exchanged_for_the_providers_token(tenant):
    told = tenant.exchange().json()
    assert told["access_token"].startswith("ya29.") and told["scope"] == " ".join(SCOPES)
    assert told["token_type"] == "Bearer" and told["issued_token_type"] == FEDERATED_TOKEN
    assert 3590 <= told["expires_in"] <= 3600
    assert not {"id_token", "refresh_token"} & set(told)


def test_a_dead_refresh_token_is_not_exchanged(tenant):
    assert_refused(tenant.exchange(subject_token="never-issued"), 403, "invalid_grant",
                   "Unknown or invalid refresh token.")


def test_another_apps_refresh_token_is_not_exchanged(tenant):
    tenant.double.client("other", secret="o", grants=[VAULT_GRANT])
    assert_refused(tenant.exchange(client_id="other", client_secret="o"), 403, "invalid_grant")


def test_an_app_that_rotates_refresh_tokens_is_refused(tenant):
    tenant.double.client("app", secret="s3cret", grants=[VAULT_GRANT], refresh_token={"rotation_type": "rotating"})
    assert_refused(tenant.exchange(), 403, "access_denied")


def test_the_apis_own_client_exchanges_an_access_token_and_another_client_does_not(tenant):
    tenant.double.tenant(apis={API: {"scopes": ["go"]}})
    tenant.double.client("api", secret="a", grants=[VAULT_GRANT], app_type="resource_server",
                         resource_server_identifier=API)
    token = tenant.double.access_token("app", USER, audience=API, scope="go")
    asked = {"subject_token": token, "subject_token_type": f"{TOKEN_TYPE}access_token"}
    assert tenant.exchange(client_id="api", client_secret="a", **asked).status_code == 200
    assert_refused(tenant.exchange(**asked), 403, "unauthorized_client")


def test_an_access_token_for_another_api_is_not_exchanged(tenant):
    tenant.double.tenant(apis={API: {"scopes": ["go"]}, "https://else.test/": {"scopes": ["go"]}})
    tenant.double.client("api", secret="a", grants=[VAULT_GRANT], app_type="resource_server",
                         resource_server_identifier=API)
    token = tenant.double.access_token("app", USER, audience="https://else.test/", scope="go")
    answer = tenant.exchange(client_id="api", client_secret="a", subject_token=token,
                             subject_token_type=f"{TOKEN_TYPE}access_token")
    assert answer.status_code == 401


def test_a_privileged_worker_names_the_user_by_a_token_of_its_own(worker, tenant):
    told = worker(audit_context="mission 01J").json()
    assert told["issued_token_type"] == WORKER_TOKEN
    logged = tenant.double.log(path="/oauth/token")[-1]["tenant_log"]["details"]
    assert logged["audit_context"] == "mission 01J" and logged["is_privileged_worker"] is True
    assert logged["token_thumbprint"] == hashlib.sha256(told["access_token"].encode()).hexdigest()


@pytest.mark.parametrize("changes", [
    {"typ": "JWT"}, {"alg": "RS384"}, {"iat": int(time.time()) - 3600, "exp": int(time.time()) + 3600}, {"iat": None},
    {"jti": None}, {"sub": None}, {"audit_context": ""}, {"audit_context": "x" * 257}, {"audit_context": None},
    {"aud": "https://else.test/"}, {"iss": "app"}, {"exp": int(time.time()) - 60}], ids=lambda changes: str(changes)[:40])
def test_a_workers_token_that_breaks_a_rule_is_refused(worker, changes):
    answer = worker(**changes)
    assert answer.status_code == 401 and "access_token" not in answer.json()


def test_a_worker_of_another_key_is_refused(worker):
    assert worker(key=rsa.generate_private_key(65537, 2048)).status_code == 401


def test_a_workers_token_is_good_once(worker, tenant):
    token = worker_token(tenant.double)
    assert worker(token).status_code == 200
    assert worker(token).status_code == 401


def test_the_longest_audit_context_is_taken(worker):
    assert worker(audit_context="x" * 256).status_code == 200


def test_a_worker_gets_pinned_scopes_and_connections_only(worker, tenant):
    pinned = worker_access(grants=[{"connection": "google-oauth2", "scopes": SCOPES[1:]}])
    tenant.double.client("worker", secret="w", grants=[VAULT_GRANT], token_vault_privileged_access=pinned)
    tenant.double.connection("github")
    tenant.double.connect(USER, "github", [])
    assert worker().json()["scope"] == SCOPES[1]
    assert_refused(worker(connection="github"), 403, "access_denied")


def test_a_worker_elsewhere_is_refused(worker, tenant):
    tenant.double.client("worker", secret="w", grants=[VAULT_GRANT],
                         token_vault_privileged_access=worker_access(ip_allowlist=["192.0.2.0/24"]))
    assert_refused(worker(), 403, "access_denied")


def test_a_worker_without_allow_list_or_grants_is_refused(worker, tenant):
    for missing in ("ip_allowlist", "grants"):
        tenant.double.client("worker", secret="w", grants=[VAULT_GRANT],
                             token_vault_privileged_access=worker_access(**{missing: []}))
        assert_refused(worker(), 403, "unauthorized_client")


def test_at_most_twenty_scopes_can_be_pinned(tenant):
    def pin(count):
        grants = [{"connection": "google-oauth2", "scopes": [f"s{number}" for number in range(count)]}]
        tenant.double.client("w", secret="w", token_vault_privileged_access=worker_access(grants=grants))
    pin(20)
    with pytest.raises(ValueError, match="20 scopes"):
        pin(21)


# ---- what an exchange needs -----------------------------------------------------------------------------------------

def test_the_other_requested_token_type_is_refused(tenant):
    for wrong in (WORKER_TOKEN, FEDERATED_TOKEN.replace("http:", "https:"), None):
        assert_refused(tenant.exchange(requested_token_type=wrong), 400, "invalid_request")


def test_a_missing_parameter_is_named(tenant):
    for name in ("connection", "subject_token", "subject_token_type"):
        answer = tenant.exchange(**{name: None})
        assert answer.status_code == 400 and answer.json()["error"] == "invalid_request"


def test_audience_is_not_supported(tenant):
    assert_refused(tenant.exchange(audience=API), 400, "invalid_request")


def test_an_unknown_client_or_a_wrong_secret_is_refused(tenant):
    assert_refused(tenant.exchange(client_id="nobody"), 401, "invalid_client")
    assert_refused(tenant.exchange(client_secret="guess"), 401, "invalid_client")


def test_a_client_without_the_grant_type_is_refused(tenant):
    tenant.double.client("app", secret="s3cret", grants=["refresh_token"])
    assert_refused(tenant.exchange(), 403, "unauthorized_client",
                   f"Grant type '{VAULT_GRANT}' not allowed for the client.")


def test_a_client_that_is_not_conformant_or_first_party_is_refused(tenant):
    for off in ("is_first_party", "oidc_conformant"):
        tenant.double.client("app", secret="s3cret", grants=[VAULT_GRANT], **{off: False})
        assert_refused(tenant.exchange(), 403, "unauthorized_client")


def test_a_connection_not_enabled_for_the_client_is_refused(tenant):
    tenant.double.connection("google-oauth2", clients=["other"])
    assert_refused(tenant.exchange(), 403, "access_denied")
    tenant.double.connection("google-oauth2", clients=["app"])
    assert tenant.exchange().status_code == 200


def test_a_user_who_never_connected_is_told_apart(tenant):
    tenant.double.connection("github")
    assert_refused(tenant.exchange(connection="github"), 401, "federated_connection_refresh_token_not_found",
                   "Federated connection Refresh Token not found.")


def test_login_hint_picks_the_account_and_one_that_fits_none_is_refused(tenant):
    tenant.double.connect(USER, "google-oauth2", ["second"], login="u1@work.test")
    assert tenant.exchange(login_hint="u1@work.test").json()["scope"] == "second"
    assert_refused(tenant.exchange(login_hint="x@y.test"), 401, "federated_connection_refresh_token_not_found")


def test_a_provider_that_refuses_to_refresh_is_told_apart(tenant):
    tenant.double.account(tenant.account, refreshable=False)
    assert_refused(tenant.exchange(), 401, "federated_connection_refresh_token_flow_failed",
                   "Refresh Token flow for the Federated Connection failed")


def test_a_tenant_that_always_asks_for_a_second_factor_cannot_exchange(tenant):
    tenant.double.tenant(mfa_policy="always")
    answer = tenant.exchange()
    assert_refused(answer, 403, "mfa_required")
    assert answer.json()["mfa_token"]


def test_json_and_basic_authentication_are_taken_too(tenant):
    fields = {"grant_type": VAULT_GRANT, "subject_token": tenant.subject, "connection": "google-oauth2",
              "subject_token_type": f"{TOKEN_TYPE}refresh_token", "requested_token_type": FEDERATED_TOKEN}
    url = f"{tenant.double.url}oauth/token"
    assert tenant.web.post(url, json=fields, auth=("app", "s3cret")).status_code == 200
    assert tenant.web.post(url, json=fields, auth=("app", "guess")).status_code == 401


# ---- cache, scope and form ------------------------------------------------------------------------------------------

def test_the_cached_token_is_given_until_it_expires(tenant):
    first = tenant.exchange().json()
    assert tenant.exchange().json()["access_token"] == first["access_token"]
    tenant.double.forget(tenant.account)
    assert tenant.exchange().json()["access_token"] != first["access_token"]


def test_expires_in_is_what_is_left(tenant):
    tenant.double.connection("google-oauth2", ttl=100)
    first = tenant.exchange().json()["expires_in"]
    deadline = time.monotonic() + 10
    while (last := tenant.exchange().json()["expires_in"]) == first:
        assert time.monotonic() < deadline
    assert last < first <= 100


def test_a_subset_of_the_scopes_is_honoured_and_more_is_refused(tenant):
    assert tenant.exchange(scope=SCOPES[1]).json()["scope"] == SCOPES[1]
    assert_refused(tenant.exchange(scope="drive"), 400, "invalid_scope")


def test_before_early_access_the_scope_is_ignored(tenant):
    tenant.double.tenant(scope_parameter=False)
    assert tenant.exchange(scope=SCOPES[1]).json()["scope"] == " ".join(SCOPES)


def test_a_provider_that_cannot_narrow_fails_or_gives_everything(tenant):
    tenant.double.connection("google-oauth2", narrowing="strict")
    assert_refused(tenant.exchange(scope=SCOPES[1]), 400, "invalid_scope")
    tenant.double.connection("google-oauth2", narrowing="lenient")
    assert tenant.exchange(scope=SCOPES[1]).json()["scope"] == " ".join(SCOPES)


def test_a_worker_never_gets_more_than_it_asked_for(worker, tenant):
    tenant.double.connection("google-oauth2", narrowing="lenient")
    assert_refused(worker(scope=SCOPES[1]), 400, "invalid_scope")
    assert worker().status_code == 200


def test_the_known_other_forms_of_an_answer(tenant):
    tenant.double.connection("google-oauth2", answer={"scope": "commas", "expires_in": "string"})
    told = tenant.exchange().json()
    assert told["scope"] == ",".join(SCOPES) and told["expires_in"].isdigit()
    tenant.double.connection("google-oauth2", answer={"scope": "absent"}, token_length=5000)
    tenant.double.forget(tenant.account)
    told = tenant.exchange().json()
    assert "scope" not in told and len(told["access_token"]) == 5000


def test_a_connection_can_have_a_real_provider_behind_it(tenant, google):
    tenant.double.connection("google-oauth2", upstream={
        "token_url": f"{google.url}token", "client_id": google.client_id, "client_secret": google.client_secret,
        "ca_file": str(google.ca_file)})
    grant = google.user_grant("ada", SCOPES)
    tenant.double.account(tenant.account, upstream_refresh_token=grant)
    vended = tenant.exchange(scope=SCOPES[1]).json()["access_token"]
    assert google.live(vended).more["scopes"] == [SCOPES[1]]
    assert tenant.double.issued("provider_token").keys() == google.issued("access_token").keys()
    tenant.web.post(f"{google.url}revoke", data={"token": vended})
    tenant.double.forget(tenant.account)
    assert_refused(tenant.exchange(), 401, "federated_connection_refresh_token_flow_failed")


# ---- taking back ----------------------------------------------------------------------------------------------------

def test_a_revoked_refresh_token_ends_the_exchange_and_the_providers_token_lives_on(tenant):
    vended = tenant.exchange().json()["access_token"]
    other = tenant.double.refresh_token("app", USER)
    answer = tenant.web.post(f"{tenant.double.url}oauth/revoke",
                             data={"client_id": "app", "client_secret": "s3cret", "token": tenant.subject})
    assert answer.status_code == 200
    assert_refused(tenant.exchange(), 403, "invalid_grant", "Unknown or invalid refresh token.")
    assert tenant.double.is_alive(vended)
    assert tenant.exchange(subject_token=other).status_code == 200
    assert hashlib.sha256(tenant.subject.encode()).hexdigest() in tenant.double.revoked()


def test_a_vault_does_not_hear_that_the_provider_killed_its_token(tenant):
    vended = tenant.exchange().json()["access_token"]
    tenant.double.kill(token=vended)
    assert not tenant.double.is_alive(vended)
    assert tenant.exchange().json()["access_token"] == vended


def test_a_killed_grant_ends_every_token_and_the_next_refresh(tenant):
    broad, narrow = (tenant.exchange(scope=scope).json()["access_token"] for scope in (None, SCOPES[0]))
    tenant.double.kill(account=tenant.account, grant=True)
    assert not tenant.double.is_alive(broad) and not tenant.double.is_alive(narrow)
    tenant.double.forget(tenant.account)
    assert_refused(tenant.exchange(), 401, "federated_connection_refresh_token_flow_failed")
