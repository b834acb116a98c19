# SPDX-License-Identifier: Apache-2.0
"""The Google double, asked by hand and by google-auth."""

import json
import time
import urllib.parse

import jwts
import pytest
from clients import import_installed
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google_double import ACCESS_TYPE, EXCHANGE_GRANT, JWT_GRANT

KEY = rsa.generate_private_key(65537, 2048)
SCOPES = ["https://www.googleapis.com/auth/calendar", "https://www.googleapis.com/auth/drive.readonly"]
ROBOT = "robot@project.iam.gserviceaccount.com"
RULE = {"availableResource": "//storage.googleapis.com/projects/_/buckets/b",
        "availablePermissions": ["inRole:roles/storage.objectViewer"],
        "availabilityCondition": {"expression": "resource.name.startsWith('projects/_/buckets/b/objects/in/')"}}


@pytest.fixture
def token(google, web):
    def ask(**fields):
        return web.post(f"{google.url}token", data=fields)
    return ask


@pytest.fixture
def refresh(google, token):
    held = google.user_grant("ada", SCOPES)

    def ask(**changes):
        return token(**{"grant_type": "refresh_token", "client_id": google.client_id, "refresh_token": held,
                        "client_secret": google.client_secret, **changes})
    ask.held = held
    return ask


def test_a_refresh_may_narrow_and_never_widen(google, refresh):
    assert refresh().json()["scope"] == " ".join(SCOPES)
    assert refresh(scope=SCOPES[1]).json()["scope"] == SCOPES[1]
    assert refresh(scope="https://www.googleapis.com/auth/gmail.send").json()["error"] == "invalid_scope"
    assert [entry["asked"] for entry in google.log(path="/token")[:2]] == [None, [SCOPES[1]]]


def test_a_wrong_secret_or_token_gets_nothing(refresh):
    assert refresh(client_secret="guess").status_code == 401
    assert refresh(refresh_token="1//0guess").json()["error"] == "invalid_grant"


def test_revoking_one_access_token_ends_the_whole_grant_and_no_other(google, refresh, web):
    first, second = (refresh().json()["access_token"] for _ in range(2))
    other = google.user_grant("bob", SCOPES)
    assert web.post(f"{google.url}revoke", data={"token": first}).status_code == 200
    assert not google.is_alive(first) and not google.is_alive(second) and google.is_alive(other)
    assert refresh().json()["error"] == "invalid_grant"
    assert web.post(f"{google.url}revoke", data={"token": first}).json()["error"] == "invalid_token"


def test_tokeninfo_tells_of_live_tokens_only(google, refresh, web):
    held = refresh(scope=SCOPES[0]).json()["access_token"]
    assert web.get(f"{google.url}tokeninfo", params={"access_token": held}).json()["scope"] == SCOPES[0]
    assert web.get(f"{google.url}tokeninfo", params={"access_token": "ya29.x"}).status_code == 400


@pytest.mark.parametrize("change", [None, "key", "aud", "late", "long", "scope"])
def test_a_service_account_signs_for_itself(google, token, change):
    google.service_account(ROBOT, KEY.public_key())
    now = int(time.time())
    claims = {"iss": ROBOT, "scope": SCOPES[0], "aud": f"{google.url}token", "iat": now, "exp": now + 3600}
    claims.update({"aud": {"aud": "https://else.test"}, "late": {"iat": now - 8000, "exp": now - 4400},
                   "long": {"exp": now + 7200}, "scope": {"scope": ""}}.get(change, {}))
    key = rsa.generate_private_key(65537, 2048) if change == "key" else KEY
    answer = token(grant_type=JWT_GRANT, assertion=jwts.sign(claims, key))
    assert answer.status_code == (400 if change else 200)


@pytest.fixture
def boundary(google, web):
    def ask(parent, *rules, quoted=True, **changes):
        options = json.dumps({"accessBoundary": {"accessBoundaryRules": list(rules)}})
        return web.post(f"{google.url}v1/token", data={
            "grant_type": EXCHANGE_GRANT, "subject_token": parent, "subject_token_type": ACCESS_TYPE,
            "requested_token_type": ACCESS_TYPE, "options": urllib.parse.quote(options) if quoted else options,
            **changes})
    return ask


def test_a_boundary_admits_its_part_of_one_bucket_only(google, web, refresh, boundary):
    child = boundary(refresh().json()["access_token"], RULE).json()["access_token"]

    def get(method, bucket, name):
        return web.request(method, f"{google.url}storage/v1/b/{bucket}/o/{urllib.parse.quote(name, safe='')}",
                           headers={"Authorization": f"Bearer {child}"}).status_code
    assert get("GET", "b", "in/x") == 200
    assert get("GET", "b", "out/x") == 403 and get("GET", "c", "in/x") == 403 and get("DELETE", "b", "in/x") == 403


def test_a_boundary_bounds_a_listing_by_its_prefix_where_its_condition_says_so(google, web, refresh, boundary):
    listing = "api.getAttribute('storage.googleapis.com/objectListPrefix', '').startsWith('in/')"
    condition = f"{RULE['availabilityCondition']['expression']} || {listing}"
    parent = refresh().json()["access_token"]

    def status(rule, path):
        child = boundary(parent, rule).json()["access_token"]
        return web.get(f"{google.url}{path}", headers={"Authorization": f"Bearer {child}"}).status_code
    both = {**RULE, "availabilityCondition": {"expression": condition}}
    assert status(both, "storage/v1/b/b/o?prefix=in/2026") == 200 and status(both, "b/in/x") == 200
    assert status(both, "storage/v1/b/b/o") == 403 and status(both, "storage/v1/b/b/o?prefix=out/") == 403
    assert status(RULE, "storage/v1/b/b/o?prefix=in/") == 403 and status(both, "b/out/x") == 403


def test_a_malformed_boundary_gives_no_token(refresh, boundary):
    parent = refresh().json()["access_token"]
    assert boundary(parent, RULE, quoted=False).status_code == 400
    assert boundary(parent, *[RULE] * 11).status_code == 400
    assert boundary(parent, {**RULE, "availableResource": "//drive.googleapis.com/x"}).status_code == 400
    assert boundary("ya29.x", RULE).status_code == 400
    assert boundary(parent, *[RULE] * 10).status_code == 200


def test_a_boundary_may_keep_its_expiry_to_itself(google, refresh, boundary):
    parent = refresh().json()["access_token"]
    assert 0 < boundary(parent, RULE).json()["expires_in"] <= 3599
    google.has_expiry = False
    assert "expires_in" not in boundary(parent, RULE).json()


# ---- Google's own client --------------------------------------------------------------------------------------------

@pytest.fixture
def transport(web):
    return import_installed("google.auth.transport.requests").Request(session=web)


def test_googles_own_client_refreshes_narrower_and_reports_a_dead_token(google, transport):
    credentials, errors = import_installed("google.oauth2.credentials"), import_installed("google.auth.exceptions")

    def client(refresh_token):
        return credentials.Credentials(None, refresh_token=refresh_token, token_uri=f"{google.url}token",
                                       scopes=SCOPES[:1], client_id=google.client_id,
                                       client_secret=google.client_secret)
    good = client(google.user_grant("ada", SCOPES))
    good.refresh(transport)
    assert google.live(good.token).more["scopes"] == SCOPES[:1]
    with pytest.raises(errors.RefreshError):
        client("1//0dead").refresh(transport)


def test_googles_own_client_signs_as_a_service_account(google, transport):
    module, errors = import_installed("google.oauth2.service_account"), import_installed("google.auth.exceptions")
    pem = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                            serialization.NoEncryption()).decode()
    info = {"client_email": ROBOT, "private_key": pem, "token_uri": f"{google.url}token"}
    robot = module.Credentials.from_service_account_info(info, scopes=SCOPES[:1])
    with pytest.raises(errors.RefreshError):
        robot.refresh(transport)
    google.service_account(ROBOT, KEY.public_key())
    robot.refresh(transport)
    assert google.is_alive(robot.token)


def test_googles_own_client_draws_a_boundary(google, transport, refresh):
    module = import_installed("google.auth.downscoped")
    credentials = import_installed("google.oauth2.credentials")
    rule = module.AccessBoundaryRule(
        RULE["availableResource"], RULE["availablePermissions"],
        module.AvailabilityCondition(RULE["availabilityCondition"]["expression"]))
    source = credentials.Credentials(None, refresh_token=refresh.held, token_uri=f"{google.url}token",
                                     client_id=google.client_id, client_secret=google.client_secret)
    child = module.Credentials(source, module.CredentialAccessBoundary([rule]))
    sts = import_installed("google.oauth2.sts")
    child._sts_client = sts.Client(f"{google.url}v1/token")
    child.refresh(transport)
    assert google.live(child.token, "boundary_token").more["rules"] == [RULE]
