# SPDX-License-Identifier: Apache-2.0
"""Credentials per call from identity providers: what a mission asks of them, what it gives back, and what they, the
upstream and the record say about it. The providers are the doubles of tests/doubles."""

import base64
import contextlib
import datetime
import hashlib
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

import identity as identities
import processes
from rig import API, mission_head
from test_connect import Connecting

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "doubles"))

from github_double import LFS_DOWNLOADS  # noqa: E402
from providers import (EXCHANGE_GRANT, FEDERATED_TOKEN, TOKEN_TYPE, VAULT_GRANT, auth0_double,  # noqa: E402
                       github_double, is_installed)

TENANT = "acme.auth0.test"
ALIAS = f"mtls.{TENANT}"
USER = "auth0|u1"
PERMISSIONS = {"issues": "write", "metadata": "read", "contents": "write"}

PROFILE = mission_head("vaults") + f"""\
[[service]]
name = "calendar"
catalog = "http-bearer"
account = "calendar"
grant = ["read", "write"]

[[service]]
name = "github"
catalog = "github"
account = "bot"
grant = ["issues:write"]
resources = {{ repo = ["acme/api"] }}
"""

CALENDAR = f"""catalog = "http-bearer"
hosts = ["{API}"]
source = "auth0"
tenant = "acme"
connection = "google-oauth2"
item = "alice"
scope_names = {{ read = "calendar.readonly", write = "calendar.events" }}
"""


def sha256(token):
    return hashlib.sha256(token.encode()).hexdigest()


@pytest.fixture(scope="session")
def auth0_process(tmp_path_factory, authority):
    identities.require(is_installed(), "the doubles are not installed (scripts/setup doubles)")
    folder = tmp_path_factory.mktemp("auth0")
    with auth0_double(folder, authority, name=TENANT, issuer=f"https://{TENANT}/", tenant={"mtls_name": ALIAS}) as double:
        yield double


@pytest.fixture
def auth0(auth0_process):
    auth0_process.reset()
    auth0_process.certificate("now")
    auth0_process.client("sanctum", secret="client-canary-3f1a77", grants=[VAULT_GRANT, "refresh_token"])
    auth0_process.connection("google-oauth2", prefix="ya29.", narrowing="honoured")
    auth0_process.connect(USER, "google-oauth2", ["calendar.readonly", "calendar.events"])
    return auth0_process


@pytest.fixture(scope="session")
def app_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def github(tmp_path, authority, app_key):
    with github_double(tmp_path / "github", authority) as double:
        double.app(app_key.public_key())
        double.installation(77, "acme", ["api", "site"], PERMISSIONS)
        yield double


def github_app_account(rig, app_key):
    """The account `bot`: a GitHub App, whose key is in the store."""
    pem = app_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                serialization.NoEncryption()).decode()
    rig.account("bot", 'catalog = "github"\nsource = "github-app"\napp_id = "12345"\ninstallation = "77"\n'
                'item = "bot-key"', secret=pem, item="bot-key")


@pytest.fixture
def operator(rig, upstream, authority, auth0, github, app_key):
    """An operator whose accounts are a calendar behind Auth0 and a GitHub App; returns the profile."""
    rig.host(API, upstream, authority.ca_file).host(TENANT, auth0).host("api.github.com", github)
    rig.account("calendar", CALENDAR, secret=auth0.refresh_token("sanctum", USER), item="alice")
    github_app_account(rig, app_key)
    rig.secrets["acme-client"] = "client-canary-3f1a77"
    rig.extra(f'[tenant.acme]\ndomain = "{TENANT}"\nclient_id = "sanctum"\n'
              'client_secret = { item = "acme-client" }')
    rig.configure()
    return rig.profile(PROFILE)


def lease_ends(outcome):
    """The last record of each lease."""
    return list({record["lease"]: record for record in outcome.of_type("lease.changed")}.values())


FIRST_ISSUE = "curl -sS --fail https://api.github.com/repos/acme/api/issues"
CALLS = f"""
set -e
curl -sS --fail https://{API}/describe >/dev/null
curl -sS --fail https://{API}/describe >/dev/null
curl -sS --fail -d event=1 https://{API}/describe >/dev/null
curl -sS --fail https://api.github.com/repos/acme/api/issues >/dev/null
curl -sS --fail -d '{{"title":"t"}}' https://api.github.com/repos/acme/api/issues >/dev/null
"""


def test_provider_upstream_and_receipt_tell_the_same_story_of_five_calls(rig, operator, upstream, auth0, github):
    outcome = rig.run("sh", "-c", CALLS, profile=operator)

    assert outcome.code == 0, outcome
    # The provider: asked for exactly the scopes of the calls, each once.
    exchanges = auth0.log(path="/oauth/token")
    assert [(entry["asked"], entry["returned"]) for entry in exchanges] == \
        [(["calendar.readonly"], ["calendar.readonly"]), (["calendar.events"], ["calendar.events"])]
    births = github.log(path="/app/installations/77/access_tokens")
    assert [entry["asked"] for entry in births] == [["issues:read", "repo=api"], ["issues:write", "repo=api"]]
    # The upstream: saw the tokens of the provider's log, the read token on both reads.
    seen = [sha256(exchange.header("authorization").removeprefix("Bearer ")) for exchange in upstream.exchanges]
    issued = [entry["issued"][0]["sha256"] for entry in exchanges]
    assert seen == [issued[0], issued[0], issued[1]]
    # The record: one lease for each token, and its end is what the provider knows.
    leases = {record["thumbprint"]: record for record in lease_ends(outcome)}
    minted = set(github.issued())
    assert set(leases) == set(issued) | minted
    for thumbprint in issued:
        assert leases[thumbprint]["narrowed_by"] == "both" and leases[thumbprint]["retire"] == "expires"
        assert leases[thumbprint]["state"] == "parked"
        assert "ends at its own time" in leases[thumbprint]["detail"]
    assert set(github.revoked()) == minted, "each token of the app was revoked"
    for thumbprint in minted:
        assert leases[thumbprint]["state"] == "gone" and leases[thumbprint]["retire"] == "self"
        assert "revoked at GitHub" in leases[thumbprint]["detail"]
    # The receipt says the same, and each use within what provider and upstream saw of it.
    receipt = json.loads(base64.b64decode(outcome.receipt["payload"]))
    told = {lease["thumbprint"]: lease for lease in receipt["leases"]}
    same = ("state", "uses", "first_used", "last_used", "detail")
    assert {thumbprint: [lease[name] for name in same] for thumbprint, lease in told.items()} == \
        {thumbprint: [record[name] for name in same] for thumbprint, record in leases.items()}
    assert {thumbprint for thumbprint, lease in told.items() if lease["confirmed"]} == set(github.revoked())
    calls = [(sha256(call.header("authorization").removeprefix("Bearer ")), call.time) for call in upstream.exchanges]
    calls += [(entry["credential"], entry["time"]) for entry in github.log(path="/repos/acme/api/issues")]
    for thumbprint, lease in told.items():
        check_uses(lease, [time for used, time in calls if used == thumbprint])


def milliseconds(rfc3339):
    return round(datetime.datetime.fromisoformat(rfc3339.replace("Z", "+00:00")).timestamp() * 1000)


def check_uses(lease, times):
    """A use is counted when its answer came: after the server saw the request, and before the lease's end."""
    assert lease["uses"] == len(times), lease
    first, last = milliseconds(lease["first_used"]), milliseconds(lease["last_used"])
    assert int(times[0] * 1000) <= first <= last <= milliseconds(lease["ended"]), lease
    assert int(times[-1] * 1000) <= last and (first < last or len(times) == 1), lease


def test_an_agent_never_sees_a_token_of_a_provider(rig, operator, upstream, auth0):
    outcome = rig.run("sh", "-c", f"env; curl -sS https://{API}/disclose; curl -sS -o /dev/null -w '%{{http_code}}' "
                                  f"https://{TENANT}/oauth/token", profile=operator)

    token = upstream.exchanges[0].header("authorization").removeprefix("Bearer ")
    assert auth0.is_alive(token)
    assert token not in outcome.text and "client-canary" not in outcome.text
    assert outcome.refused == [("host_unknown", TENANT, "/oauth/token")], "the provider itself is out of reach"


# fault, details → the reason that the agent reads and a word of the operator's remedy
FAULTS = {
    "never connected": ("consent_required", "never connected"),
    "consent lost": ("consent_lost", "connect the account again"),
    "owner's token dead": ("subject_expired", "log in again"),
    "wider than asked": ("scope_too_wide", "nobody asked for"),
    "rate limited": ("rate_limited", "asked too often"),
    "down": ("unavailable", "refused"),
    "half an answer": ("protocol", ""),
    "no JSON": ("protocol", "not JSON"),
    "wrong secret": ("misconfigured", "secret"),
    "expired certificate": ("unavailable", "certificate"),
}


def break_provider(auth0, name):
    path = {"path": "/oauth/token", "times": 0}
    if name == "never connected":
        auth0.fail("status", status=401, body=json.dumps({"error": "federated_connection_refresh_token_not_found"}),
                   content_type="application/json", **path)
    elif name == "consent lost":
        for account in auth0.accounts(USER):
            auth0.account(account["id"], refreshable=False)
            auth0.forget(account["id"])
    elif name == "owner's token dead":
        auth0.fail("status", status=403, body=json.dumps({"error": "invalid_grant"}),
                   content_type="application/json", **path)
    elif name == "wider than asked":
        auth0.fail("wider", scopes=["calendar.readonly", "calendar.events", "mail"], **path)
    elif name == "rate limited":
        auth0.fail("rate_limited", form="seconds", seconds=30, **path)
    elif name == "down":
        auth0.down()
    elif name == "half an answer":
        auth0.fail("half", **path)
    elif name == "no JSON":
        auth0.fail("wrong_type", content_type="text/html", **path)
    elif name == "wrong secret":
        auth0.client("sanctum", secret="another", grants=[VAULT_GRANT, "refresh_token"])
    elif name == "expired certificate":
        auth0.certificate("expired")


@pytest.mark.parametrize("name", FAULTS)
def test_a_provider_that_fails_is_a_refusal_with_its_own_reason(rig, operator, upstream, auth0, name, request):
    break_provider(auth0, name)
    if name == "down":
        request.addfinalizer(auth0.up)
    outcome = rig.run("curl", "-sS", f"https://{API}/describe", profile=operator)

    reason, remedy = FAULTS[name]
    told = json.loads(outcome.stdout)
    assert (told["status"], told["reason_code"], told["rule"]) == (503, "credential_unavailable", reason), outcome
    assert "acme" not in told["detail"] and "calendar" not in told["detail"], "the agent learns of no account"
    detail = outcome.of_type("exchange.refused")[0]["detail"]
    assert detail.startswith(f"{reason}: ") and "account calendar" in detail and remedy in detail, detail
    assert upstream.exchanges == []
    assert [state for state in map(lambda lease: lease["state"], lease_ends(outcome)) if state != "failed"] == []


@pytest.mark.parametrize("seconds", [1, 60])
def test_no_request_is_begun_with_a_credential_that_ends_under_it(rig, operator, github, seconds):
    ends = time.time() + seconds
    github.fail("fields", path="/app/installations/77/access_tokens",
                fields={"expires_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends))})
    outcome = rig.run("curl", "-sS", "https://api.github.com/repos/acme/api/issues", profile=operator)

    [lease] = lease_ends(outcome)
    assert (lease["state"] in ("gone", "expired"), lease["uses"]) == (True, 0 if seconds == 1 else 1), lease
    assert len(github.log(path="/repos/acme/api/issues")) == lease["uses"]
    assert set(github.revoked()) == set(github.issued()), "it is given back, used or not"
    if seconds == 1:
        told = json.loads(outcome.stdout)
        assert (told["reason_code"], told["rule"]) == ("credential_unavailable", "expires_too_soon"), told
        detail = outcome.of_type("exchange.refused")[0]["detail"]
        assert "account bot" in detail and "have its provider issue it for longer" in detail, detail


def test_a_failing_provider_is_not_asked_by_every_call_of_an_agent_in_a_loop(rig, operator, auth0):
    break_provider(auth0, "wrong secret")
    rig.run("sh", "-c", f"for i in 1 2 3 4 5; do curl -sS https://{API}/describe; done", profile=operator)
    assert len(auth0.log(path="/oauth/token")) == 1


def test_concurrent_calls_make_one_exchange(rig, operator, upstream, auth0):
    auth0.fail("slow", seconds=0.3, path="/oauth/token")
    outcome = rig.run("sh", "-c", f"for i in 1 2 3 4 5 6; do curl -sS --fail https://{API}/describe & done; wait",
                      profile=operator)
    assert outcome.code == 0 and len(upstream.exchanges) == 6, outcome
    assert len(auth0.log(path="/oauth/token")) == 1


def test_with_a_provider_50_ms_away_the_first_call_waits_for_one_exchange_and_no_later_one_waits(rig, operator,
                                                                                                 upstream, auth0):
    auth0.fail("slow", seconds=0.05, path="/oauth/token", times=0)
    outcome = rig.run("sh", "-c", f"for i in 1 2 3 4 5 6; do curl -sS --fail https://{API}/describe; done",
                      profile=operator)
    assert outcome.code == 0, outcome
    exchange, = auth0.log(path="/oauth/token")
    first, *later = [call.time for call in upstream.exchanges]
    assert exchange["time"] < first < min(later) and len(later) == 5


@pytest.mark.parametrize("is_warm", [True, False])
def test_a_warm_service_has_its_credential_before_the_first_call(rig, operator, upstream, auth0, github, is_warm):
    """For what is of low risk. Without the word nothing is asked for before it is needed."""
    text = operator.read_text()
    if is_warm:
        for account in ("calendar", "bot"):
            text = text.replace(f'account = "{account}"', f'account = "{account}"\nwarm = true')
    running = rig.start("sh", "-c", f"read go; curl -sS --fail https://{API}/describe; {FIRST_ISSUE}",
                        profile=rig.profile(text, "warm")).wait_until_started()
    if is_warm:
        auth0.wait_for(1, path="/oauth/token")
        github.wait_for(1, path="/app/installations/77/access_tokens")
    else:
        processes.wait_for_end(running.pid, 0.2)  # long enough for a mistake to show
    went = time.time()
    running.send("go\n")

    outcome = running.finish()

    assert outcome.code == 0, outcome
    asked = [entry["time"] for entry in (*auth0.log(path="/oauth/token"), *github.log()) if entry["issued"]]
    assert max(asked) < went if is_warm else min(asked) > went - 0.001, "the log's clock counts in milliseconds"
    assert (len(auth0.log(path="/oauth/token")), len(github.issued())) == (1, 1), "and it is the one that is used"
    assert sorted(lease["uses"] for lease in lease_ends(outcome)) == [1, 1], lease_ends(outcome)


def test_on_exit_revoke_ends_the_owners_token_of_the_mission(rig, upstream, authority, auth0):
    subject = auth0.refresh_token("sanctum", USER)
    rig.host(API, upstream, authority.ca_file).host(TENANT, auth0)
    rig.account("calendar", CALENDAR + 'on_exit = "revoke"', secret=subject, item="alice")
    rig.secrets["acme-client"] = "client-canary-3f1a77"
    rig.extra(f'[tenant.acme]\ndomain = "{TENANT}"\nclient_id = "sanctum"\nclient_secret = {{ item = "acme-client" }}')
    profile = rig.configure().profile(PROFILE.split('[[service]]\nname = "github"')[0])

    outcome = rig.run("curl", "-sS", "--fail", f"https://{API}/describe", profile=profile)

    assert outcome.code == 0, outcome
    assert "refresh token of this mission is revoked" in lease_ends(outcome)[0]["detail"]
    assert not auth0.is_alive(subject)
    again = rig.run("curl", "-sS", f"https://{API}/describe", profile=profile)
    assert json.loads(again.stdout)["rule"] == "subject_expired", again


@pytest.mark.parametrize("lacks", [None, "aliases", "edge"])
def test_a_tenants_client_shows_its_certificate_where_the_tenant_asks_for_it_and_else_asks_for_nothing(
        rig, upstream, authority, auth0, lacks):
    """The tenant's own name asks nobody for a certificate; its metadata says where it does (RFC 8705 5)."""
    certificate, key = authority.issue("desk.mission.test", usage=ExtendedKeyUsageOID.CLIENT_AUTH, label="desk")
    auth0.client("sanctum", method="tls_client_auth", grants=[VAULT_GRANT, "refresh_token"],
                 tls_client_auth_san_dns="desk.mission.test")
    if lacks == "aliases":
        for name in ("oauth-authorization-server", "openid-configuration"):
            auth0.fail("fields", fields={"mtls_endpoint_aliases": None}, path=f"/.well-known/{name}", times=0)
    rig.host(API, upstream, authority.ca_file).host(TENANT, auth0.unasking)
    rig.host(ALIAS, auth0.unasking if lacks == "edge" else auth0)
    rig.account("calendar", CALENDAR, secret=auth0.refresh_token("sanctum", USER), item="alice")
    rig.secrets["acme-key"] = key.read_text()
    rig.write(rig.configuration / "desk.pem", certificate.read_text())
    rig.extra(f'[tenant.acme]\ndomain = "{TENANT}"\nclient_id = "sanctum"\nclient_authentication = "tls_client_auth"\n'
              'certificate = "desk.pem"\nprivate_key = { item = "acme-key" }')
    profile = rig.configure().profile(PROFILE.split('[[service]]\nname = "github"')[0])

    outcome = rig.run("curl", "-sS", f"https://{API}/describe", profile=profile)

    asked = [entry["host"] for entry in auth0.log(path="/oauth/token")]
    if lacks is None:
        assert asked == [ALIAS] and len(upstream.exchanges) == 1, outcome
        return
    assert asked == [] and upstream.exchanges == [], outcome
    assert json.loads(outcome.stdout)["rule"] == "misconfigured"
    [refused] = outcome.of_type("exchange.refused")
    assert "asks for no client certificate" in refused["detail"], refused
    assert "`enable_endpoint_aliases`" in refused["detail"] and "client_authentication" in refused["detail"], refused


MISSION_TYPE = "urn:acme:sanctum-mission"
HOLD = f"curl -sS --fail https://{API}/describe >/dev/null; echo held; exec cat"


@pytest.fixture
def mission_tokens(rig, upstream, authority, auth0):
    """An operator whose tenant gives each mission a refresh token of its own; returns a function that writes the
    configuration and gives the profile, with the user's token beside it."""
    auth0.client("sanctum", secret="client-canary-3f1a77", grants=[VAULT_GRANT, EXCHANGE_GRANT, "refresh_token"])
    auth0.tenant(token_exchange_types=[MISSION_TYPE])
    user = auth0.refresh_token("sanctum", USER)
    rig.host(API, upstream, authority.ca_file).host(TENANT, auth0)
    rig.account("calendar", f'{CALENDAR}mission_token_type = "{MISSION_TYPE}"', secret=user, item="alice")
    rig.secrets["acme-client"] = "client-canary-3f1a77"

    def configure(reaps=False):
        rig.extra(f'[tenant.acme]\ndomain = "{TENANT}"\nclient_id = "sanctum"\n'
                  f'client_secret = {{ item = "acme-client" }}\nreap_with_secret = {str(reaps).lower()}')
        return rig.configure().profile(PROFILE.split('[[service]]\nname = "github"')[0]), user
    return configure


def vend(auth0, token):
    """The status of Token Vault's answer to who has this refresh token."""
    form = urllib.parse.urlencode({
        "grant_type": VAULT_GRANT, "client_id": "sanctum", "client_secret": "client-canary-3f1a77",
        "subject_token": token, "subject_token_type": f"{TOKEN_TYPE}refresh_token",
        "requested_token_type": FEDERATED_TOKEN, "connection": "google-oauth2"})
    trusted = ssl.create_default_context(cafile=auth0.ca_file)
    connection = http.client.HTTPSConnection("127.0.0.1", auth0.port, context=trusted, timeout=20)
    connection.request("POST", "/oauth/token", form, {"Content-Type": "application/x-www-form-urlencoded"})
    with contextlib.closing(connection):
        return connection.getresponse().status


def taken_away(auth0):
    """SHA-256 of each refresh token that was revoked, as often as it was."""
    return [token["sha256"] for entry in auth0.log() for token in entry["revoked"] if token["kind"] == "refresh_token"]


def token_of_mission(auth0, count=1):
    """SHA-256 of the refresh tokens that the tenant's own exchange made, oldest first."""
    made = [entry for entry in auth0.log(path="/oauth/token") if entry["grant"] == EXCHANGE_GRANT]
    tokens = [token["sha256"] for entry in made for token in entry["issued"] if token["kind"] == "refresh_token"]
    assert len(tokens) == count, made
    return tokens


def test_each_mission_has_a_refresh_token_of_its_own_that_ends_with_it(rig, mission_tokens, auth0):
    """Two missions at one time: the end of the one stops what it could still be given, and nobody else."""
    profile, user = mission_tokens()
    first, second = (rig.start("sh", "-c", f"{HOLD}; ", profile=profile).wait_until_started() for _ in range(2))
    assert first.read_line() == "held" and second.read_line() == "held"
    tokens = token_of_mission(auth0, 2)
    exchanges = [entry for entry in auth0.log(path="/oauth/token") if entry["grant"] == VAULT_GRANT]
    assert sorted(entry["subject"] for entry in exchanges) == sorted(tokens), "never the user's own"

    ended = first.finish()

    [own] = [lease for lease in lease_ends(ended) if lease["asked"] == ["offline_access"]]
    assert (own["state"], own["retire"]) == ("gone", "self") and "revoked at tenant acme" in own["detail"], own
    assert taken_away(auth0) == [own["thumbprint"]] and own["uses"] == 0
    assert auth0.is_alive(user), "and the other mission's lives on"
    second.finish()
    assert sorted(taken_away(auth0)) == sorted(tokens), "each once, and nothing else"
    assert auth0.is_alive(user)


def test_a_missions_token_that_was_taken_away_gives_nothing_more(rig, mission_tokens, auth0):
    """What revoking is worth: with the user's token still good, the tenant refuses the mission's."""
    profile, user = mission_tokens()
    running = rig.start("sh", "-c", ASKED, profile=profile).wait_until_started()
    assert ask(running, f"https://{API}/describe")[-1] == "200"
    [token] = set(auth0.refresh_tokens(USER)) - {user}
    assert sha256(token) == token_of_mission(auth0)[0]
    assert vend(auth0, token) == 200, "as long as the mission lasts"

    rig.expect_ok(rig.sanctum("revoke", running.mission))
    running.finish()

    assert vend(auth0, token) == 403
    assert vend(auth0, user) == 200


def test_a_mission_whose_token_the_tenant_took_away_is_refused_and_told_so(rig, mission_tokens, auth0):
    profile, user = mission_tokens()
    auth0.fail("fields", path="/oauth/token", grant="token-exchange", fields={"refresh_token": "taken-away"})
    outcome = rig.run("curl", "-sS", f"https://{API}/describe", profile=profile)

    assert json.loads(outcome.stdout)["rule"] == "subject_expired", outcome
    assert "this mission's own token" in outcome.of_type("exchange.refused")[0]["detail"]
    assert auth0.is_alive(user)


@pytest.mark.parametrize("is_allowed", [True, False])
def test_a_killed_vaults_mission_token_is_revoked_by_the_reaper_that_may_have_the_secret(rig, mission_tokens, auth0,
                                                                                         is_allowed):
    profile, user = mission_tokens(reaps=is_allowed)
    running = rig.start("sh", "-c", HOLD, profile=profile).wait_until_started()
    assert running.read_line() == "held"
    os.kill(running.roles()["vault"], signal.SIGKILL)

    [own] = [lease for lease in lease_ends(running.finish()) if lease["asked"] == ["offline_access"]]

    assert taken_away(auth0) == (token_of_mission(auth0) if is_allowed else []), own
    assert own["state"] == ("gone" if is_allowed else "parked")
    assert ("by the reaper" if is_allowed else "reap_with_secret = true") in own["detail"], own
    assert auth0.is_alive(user)
    if is_allowed:
        return
    # How long it lives nobody has said: it is on record until somebody knows that it is over.
    assert own["expires"] is None, own
    assert "may be alive, end not known" in rig.sanctum("show", running.mission).stdout.decode()
    name = f"{running.mission}/{own['lease']}"
    [line] = [line for line in rig.sanctum("leases").stdout.decode().splitlines() if "offline_access" in line]
    assert "parked, end not known, 0 uses" in line, line
    assert rig.sanctum("reap", "--forget", f"{running.mission}/l99").returncode == 1
    forgotten = rig.expect_ok(rig.sanctum("reap", "--forget", name)).stdout.decode()
    assert "expired, forgotten by the operator, who says that it is over" in forgotten, forgotten
    assert "offline_access" not in rig.sanctum("leases").stdout.decode()
    rig.expect_ok(rig.sanctum("audit", "verify"))


@pytest.mark.parametrize("is_killed", [False, True])
def test_every_token_that_a_tenant_issued_for_a_mission_is_revoked_or_on_record_with_its_end(rig, mission_tokens, auth0,
                                                                                             is_killed):
    """Beside the mission's own come two that Auth0 cannot take back; the reaper forgets them no more than the vault."""
    profile, _ = mission_tokens(reaps=True)
    running = rig.start("sh", "-c", HOLD, profile=profile).wait_until_started()
    assert running.read_line() == "held"
    if is_killed:
        os.kill(running.roles()["vault"], signal.SIGKILL)
    leases = lease_ends(running.finish())

    told = " ".join(lease["detail"] for lease in leases)
    known = {lease["thumbprint"] for lease in leases} | set(auth0.revoked())
    assert [token for name, token in auth0.issued().items() if name not in known and name not in told] == [], told
    beside = auth0.issued("access_token")
    assert len(beside) == 2 and all(name in told for name in beside), told
    ends = [milliseconds(moment) / 1000 for moment in re.findall(r"ends at (\S+Z)", told)]
    assert all(min(abs(end - token["expires_at"]) for end in ends) < 3 for token in beside.values()), (ends, beside)


def test_a_tenant_without_the_exchange_is_a_refusal_that_names_the_setting(rig, mission_tokens, auth0, upstream):
    profile, _ = mission_tokens()
    auth0.tenant(token_exchange_types=[])
    outcome = rig.run("curl", "-sS", f"https://{API}/describe", profile=profile)

    assert json.loads(outcome.stdout)["rule"] == "misconfigured", outcome
    assert f"Custom Token Exchange profile for {MISSION_TYPE}" in outcome.of_type("exchange.refused")[0]["detail"]
    assert upstream.exchanges == [] and auth0.log(path="/oauth/revoke") == []


def test_a_tenant_that_rotates_refresh_tokens_gives_no_token_of_a_mission_and_keeps_the_users_consent(
        rig, mission_tokens, auth0, upstream):
    """Two missions after one another: the second one sends the token that the first one left in the store."""
    profile, user = mission_tokens()
    auth0.client("sanctum", secret="client-canary-3f1a77", grants=[VAULT_GRANT, EXCHANGE_GRANT, "refresh_token"],
                 refresh_token={"rotation_type": "rotating"})
    for _ in range(2):
        outcome = rig.run("curl", "-sS", f"https://{API}/describe", profile=profile)
        assert json.loads(outcome.stdout)["rule"] == "misconfigured", outcome
        assert "switch refresh-token rotation off" in outcome.of_type("exchange.refused")[0]["detail"]

    sent = [entry["status"] for entry in auth0.log(path="/oauth/token")]
    assert sent == [200, 200], "no old token came again, and nothing was exchanged"
    assert set(auth0.refresh_tokens(USER)) != {user} and upstream.exchanges == []


WAIT = f"""
set -e
curl -sS --fail https://api.github.com/repos/acme/api/issues >/dev/null
echo held
exec cat
"""


def test_a_killed_vault_leaves_nothing_alive_that_the_reaper_can_give_back(rig, operator, github):
    running = rig.start("sh", "-c", WAIT, profile=operator).wait_until_started()
    assert running.read_line() == "held"
    assert github.issued() and not github.revoked()
    os.kill(running.roles()["vault"], signal.SIGKILL)

    outcome = running.finish()

    assert set(github.revoked()) == set(github.issued())
    ended = [lease for lease in lease_ends(outcome) if lease["thumbprint"] in github.issued()]
    assert [lease["state"] for lease in ended] == ["gone"] and "by the reaper" in ended[0]["detail"], ended
    # The vault told its journal nothing of its last second; the records of exchanges did.
    told = [lease for lease in json.loads(base64.b64decode(outcome.receipt["payload"]))["leases"]
            if lease["thumbprint"] in github.issued()]
    assert [lease["uses"] for lease in told] == [1] and ended[0]["uses"] in (0, 1), (told, ended)
    assert "" < told[0]["first_used"] <= told[0]["last_used"] <= told[0]["ended"], told


@pytest.mark.parametrize("is_allowed", [True, False])
def test_a_killed_vaults_users_token_is_revoked_by_the_reaper_that_may_have_the_secret(rig, upstream, authority, auth0,
                                                                                       is_allowed):
    """The provider's own token lives on, and nobody says otherwise."""
    subject = auth0.refresh_token("sanctum", USER)
    rig.host(API, upstream, authority.ca_file).host(TENANT, auth0)
    rig.account("calendar", CALENDAR + 'on_exit = "revoke"', secret=subject, item="alice")
    rig.secrets["acme-client"] = "client-canary-3f1a77"
    rig.extra(f'[tenant.acme]\ndomain = "{TENANT}"\nclient_id = "sanctum"\nclient_secret = {{ item = "acme-client" }}\n'
              f'reap_with_secret = {str(is_allowed).lower()}')
    profile = rig.configure().profile(PROFILE.split('[[service]]\nname = "github"')[0])
    running = rig.start("sh", "-c", f"curl -sS --fail https://{API}/describe >/dev/null; echo held; exec cat",
                        profile=profile).wait_until_started()
    assert running.read_line() == "held"
    os.kill(running.roles()["vault"], signal.SIGKILL)

    [lease] = lease_ends(running.finish())

    assert lease["state"] == "parked", lease
    assert auth0.is_alive(subject) is not is_allowed
    words = "refresh token of this mission is revoked by the reaper" if is_allowed else "reap_with_secret = true"
    assert words in lease["detail"], lease


def test_what_a_provider_that_is_down_keeps_is_given_back_by_a_later_reap(rig, operator, github):
    running = rig.start("sh", "-c", WAIT, profile=operator).wait_until_started()
    assert running.read_line() == "held"
    github.down()
    running.process.stdin.close()
    running.process.stdin = None
    outcome = running.finish()
    ended = [lease for lease in lease_ends(outcome) if lease["thumbprint"] in github.issued()]
    assert [lease["state"] for lease in ended] == ["parked"], ended
    assert not github.revoked()
    told = [lease for lease in json.loads(base64.b64decode(outcome.receipt["payload"]))["leases"]
            if lease["thumbprint"] in github.issued()]
    assert [(lease["confirmed"], "GitHub" in lease["detail"]) for lease in told] == [(False, True)], told
    shown = rig.sanctum("show", outcome.folder.name).stdout.decode()
    assert "parked at" in shown and "may be alive until" in shown, shown
    alive = rig.sanctum("leases", "--json").stdout.decode().splitlines()
    assert [json.loads(line)["thumbprint"] for line in alive] == list(github.issued())

    github.up()
    rig.key_file.rename(rig.folder / "away.key")      # nothing of this opens the store
    done = rig.sanctum("reap", "--json")
    assert rig.sanctum("leases").stdout == b"No credential is out.\n"
    assert json.loads(rig.sanctum("leases", "--all", "--json").stdout.splitlines()[0])["state"] == "gone"
    (rig.folder / "away.key").rename(rig.key_file)

    assert done.returncode == 0, done
    assert set(github.revoked()) == set(github.issued())


def test_an_installation_token_for_other_repositories_than_asked_is_taken_back_and_refused(rig, operator, github):
    path = "/app/installations/77/access_tokens"
    github.fail("wider", repositories=["site"], path=path)
    outcome = rig.run("sh", "-c", "curl -sS https://api.github.com/repos/acme/api/issues", profile=operator)

    assert json.loads(outcome.stdout)["rule"] == "scope_too_wide", outcome
    assert "acme/site" in outcome.of_type("exchange.refused")[0]["detail"]
    assert set(github.revoked()) == set(github.issued("installation_token")) != set()
    assert not github.log(path="/repos/acme/api/issues")


# ---- a user's token of a GitHub App ---------------------------------------------------------------------------------

GITHUB_USER = """catalog = "github"
source = "github-app"
provider = "app"
item = "octocat"
"""
GITHUB_PROFILE = mission_head("scoped") + """\
[[service]]
name = "github"
catalog = "github"
account = "octocat"
grant = ["issues:write"]
resources = { repo = ["acme/api"] }
"""
ISSUES = "https://api.github.com/repos/acme/api/issues"


@pytest.fixture
def github_user(rig, github):
    """An operator whose account is a user of a GitHub App; returns a function that stores what the user has and gives
    the profile."""
    rig.host("api.github.com", github, github.ca_file).host("github.com", github)

    def configure(item, reaps=False, more=""):
        rig.account("octocat", GITHUB_USER, secret=item, item="octocat")
        rig.secrets["app-secret"] = github.client_secret
        rig.extra('[provider.app]\ntoken_endpoint = "https://github.com/login/oauth/access_token"\n'
                  f'client_id = "{github.client_id}"\nclient_secret = {{ item = "app-secret" }}\n'
                  f'reap_with_secret = {str(reaps).lower()}\n{more}')
        return rig.configure().profile(GITHUB_PROFILE)
    return configure


@pytest.mark.parametrize("has_refresh", [False, True])
def test_a_users_token_of_an_app_is_narrowed_to_the_mission_and_only_that_ends(rig, github, github_user, has_refresh):
    token, refresh = github.user_token(has_refresh=has_refresh)
    profile = github_user(refresh if has_refresh else token)
    other = "https://api.github.com/repos/acme/site/issues"
    outcome = rig.run("sh", "-c", f"set -e; curl -sS --fail {ISSUES}; curl -sS --fail -d '{{}}' {ISSUES}; "
                                  f"curl -sS {other}", profile=profile)

    assert outcome.code == 0, outcome
    narrowed = [entry for entry in github.log() if entry["path"].endswith("/token/scoped")]
    assert [entry["asked"] for entry in narrowed] == [["issues:read", "repo=api"], ["issues:write", "repo=api"]]
    children = set(github.issued("scoped_token"))
    used = {entry["credential"] for entry in github.log() if entry["path"].startswith("/repos/")}
    assert used == children and len(children) == 2, "never the user's own"
    assert [reason for reason, _, _ in outcome.refused] == ["resource_outside"]
    ended = {lease["thumbprint"]: lease["state"] for lease in lease_ends(outcome)}
    assert ended == {child: "gone" for child in children}
    own = {sha256(each) for each in (token, refresh) if each}
    assert children <= set(github.revoked()) and (has_refresh or not own & set(github.revoked()))
    if has_refresh:
        assert len([entry for entry in github.log() if entry["path"].endswith("/access_token")]) == 1, "one refresh"
        [wider] = github.issued("user_token")
        assert all(wider in lease["detail"] for lease in lease_ends(outcome)), "what it made is on record"
        again = rig.run("curl", "-sS", "--fail", ISSUES, profile=profile)
        assert again.code == 0, "and its successor is in the store"


def refreshes(github):
    return len(github.log(path="/login/oauth/access_token", grant="refresh_token"))


# Calls as often as the test sends it a line, and says how each ended.
ON_CALL = f"while read -r url; do curl -sS -o /dev/null -w '%{{http_code}}\\n' $url; done"


def call(running, url=ISSUES):
    running.send(url + "\n")
    return running.read_line()


def test_two_missions_of_one_user_share_one_token_and_neither_ends_the_others(rig, github, github_user):
    _, refresh = github.user_token()
    profile = github_user(refresh)
    missions = [rig.start("sh", "-c", ON_CALL, profile=profile).wait_until_started() for _ in range(2)]

    assert [call(mission) for mission in missions * 3] == ["200"] * 6
    assert refreshes(github) == 1 and len(github.issued("scoped_token")) == 2
    github.end_user_tokens()
    assert [call(mission) for mission in missions * 3] == ["200"] * 6, "one renews, the other finds that"
    assert refreshes(github) == 2 and len(github.issued("scoped_token")) == 4

    first, last = missions
    assert first.finish().code == 0
    assert call(last) == "200", "the end of one ends nothing of the other's"
    assert last.finish().code == 0
    again = rig.run("curl", "-sS", "--fail", ISSUES, profile=profile)
    assert again.code == 0 and refreshes(github) == 2, "the next mission finds it in the store"


def test_where_the_app_is_not_installed_nothing_is_renewed_and_nobody_elses_token_ends(rig, github, github_user):
    _, refresh = github.user_token()
    profile = github_user(refresh)
    profile.write_text(profile.read_text().replace('["acme/api"]', '["acme/api", "other/*"]'))
    elsewhere = [f"https://api.github.com/repos/other/{name}/issues" for name in "xyz"]
    outcome = rig.run("sh", "-c", f"curl -sS --fail {ISSUES}; " +
                      "".join(f"curl -sS {url}; echo; " for url in elsewhere) + f"curl -sS --fail {ISSUES}",
                      profile=profile)

    assert outcome.code == 0, outcome
    refused = outcome.of_type("exchange.refused")
    assert len(refused) == 3 and all("not installed for other" in each["detail"] for each in refused), outcome
    assert outcome.text.count('"misconfigured"') == 3, outcome
    assert refreshes(github) == 1 and len(github.issued("scoped_token")) == 1
    assert [entry["status"] for entry in github.log(path="/repos/acme/api/issues")] == [200, 200]


def test_two_needs_at_once_after_the_users_token_died_are_both_answered_with_one_refresh(rig, github, github_user):
    _, refresh = github.user_token()
    running = rig.start("sh", "-c", f"{ON_CALL}; curl -sS -o r -w '%{{http_code}} ' {ISSUES} & "
                                    f"curl -sS -o w -w '%{{http_code}} ' -d '{{}}' {ISSUES} & wait",
                        profile=github_user(refresh)).wait_until_started()
    assert call(running) == "200"
    github.end_user_tokens()
    # Both were on their way with the dead token before either hears of it.
    github.fail("together", path=f"/applications/{github.client_id}/token/scoped", method="POST", times=2)

    outcome = running.finish()

    assert outcome.code == 0 and sorted(outcome.text.split()) == ["200", "201"], outcome
    narrowed = [entry["status"] for entry in github.log() if entry["path"].endswith("/token/scoped")]
    assert narrowed == [200, 404, 404, 200, 200] and refreshes(github) == 2, "one at the start, one for both"
    assert not outcome.refused


def test_a_users_token_that_does_not_run_out_is_never_renewed_and_its_end_is_told(rig, github, github_user):
    token, _ = github.user_token(has_refresh=False)
    running = rig.start("sh", "-c", ON_CALL, profile=github_user(token)).wait_until_started()
    assert call(running) == "200"
    github.end_user_tokens()
    assert call(running) == "401"

    outcome = running.finish()

    assert refreshes(github) == 0
    assert "sanctum connect octocat" in outcome.of_type("exchange.outcome")[-1]["evidence"]["not_sent_again"]


def test_a_user_who_was_asked_is_what_the_next_mission_narrows(rig, github, github_user):
    """`sanctum connect` by GitHub's device flow, with its errors in answers of status 200."""
    profile = github_user(None, more='device_authorization_endpoint = "https://github.com/login/device/code"\n')
    github.fail("fields", fields={"interval": 1}, path="/login/device/code", times=0)
    connecting = Connecting(rig, "octocat", "--flow", "device")
    github.approve_device(connecting.user_code())
    assert connecting.finish() == 0, connecting.errors

    outcome = rig.run("curl", "-sS", "--fail", ISSUES, profile=profile)

    assert outcome.code == 0, outcome
    assert set(github.issued("scoped_token")) <= set(github.revoked()) and github.issued("scoped_token")
    # Both tokens of the answer are in the store: the mission narrowed the one, and found the other for the next.
    [wider] = github.issued("user_token")
    assert refreshes(github) == 0 and wider in lease_ends(outcome)[0]["detail"]
    github.end_user_tokens()
    assert rig.run("curl", "-sS", "--fail", ISSUES, profile=profile).code == 0 and refreshes(github) == 1
    scopes = Connecting(rig, "octocat", "--flow", "device", "--scopes", "issues:read")
    assert scopes.finish() == 2 and "permissions instead" in scopes.errors


def test_a_narrowed_token_that_is_wider_than_asked_is_taken_back_and_refused(rig, github, github_user):
    token, _ = github.user_token(has_refresh=False)
    github.fail("wider", scopes=["contents:write"], path=f"/applications/{github.client_id}/token/scoped", times=0)
    outcome = rig.run("curl", "-sS", ISSUES, profile=github_user(token))

    assert json.loads(outcome.stdout)["rule"] == "scope_too_wide", outcome
    assert set(github.revoked()) == set(github.issued("scoped_token")) != set()
    assert github.is_alive(token) and not github.log(path="/repos/acme/api/issues")


@pytest.mark.parametrize("is_allowed", [True, False])
def test_a_killed_vaults_narrowed_token_is_revoked_by_the_reaper_that_may_have_the_secret(rig, github, github_user,
                                                                                          is_allowed):
    token, _ = github.user_token(has_refresh=False)
    running = rig.start("sh", "-c", f"curl -sS --fail {ISSUES} >/dev/null; echo held; exec cat",
                        profile=github_user(token, reaps=is_allowed)).wait_until_started()
    assert running.read_line() == "held"
    os.kill(running.roles()["vault"], signal.SIGKILL)

    [lease] = lease_ends(running.finish())

    assert set(github.revoked()) == (set(github.issued("scoped_token")) if is_allowed else set())
    assert lease["state"] == ("gone" if is_allowed else "parked")
    assert ("by the reaper" if is_allowed else "reap_with_secret = true") in lease["detail"], lease
    assert github.is_alive(token)


# ---- other credentials in an answer ----------------------------------------------------------------------------------

def lfs_batch(operation):
    body = json.dumps({"operation": operation, "transfers": ["basic"], "objects": [{"oid": "aa" * 32, "size": 3}]})
    return (f"curl -sS -H 'Content-Type: application/vnd.git-lfs+json' -d '{body}' "
            "https://github.com/acme/api.git/info/lfs/objects/batch")


@pytest.mark.parametrize("scope", ["contents:read", "contents:write"])
def test_a_batch_of_git_lfs_needs_what_it_is_for_and_its_links_and_tokens_are_starred(rig, operator, github, scope):
    rig.host("github.com", github)
    profile = rig.configure().profile(operator.read_text().replace('"issues:write"', f'"{scope}"'), "lfs")
    outcome = rig.run("sh", "-c", f"{lfs_batch('download')}; echo; {lfs_batch('upload')}; echo; "
                                  f"curl -sS https://{LFS_DOWNLOADS}/alambic/media/1/aa", profile=profile)

    download, upload, _ = outcome.text.split("\n", 2)
    told = json.loads(download)["objects"][0]
    assert told["size"] == 3 and set(told["actions"]["download"]["href"]) == {"*"}, told
    asked = [entry["asked"] for entry in github.log(path="/acme/api.git/info/lfs/objects/batch")]
    if scope == "contents:write":
        actions = json.loads(upload)["objects"][0]["actions"]
        starred = [actions[name][part] for name in ("upload", "verify") for part in ("href", "header")]
        assert all(set(each if isinstance(each, str) else each["Authorization"]) == {"*"} for each in starred), actions
    assert asked == [["download"], ["upload"]][:1 if scope == "contents:read" else 2]
    needs = {"contents:read": [("scope_missing", "github.com", "/acme/api.git/info/lfs/objects/batch")]}.get(scope, [])
    assert outcome.refused == [*needs, ("host_unknown", LFS_DOWNLOADS, "/alambic/media/1/aa")]
    assert github.lfs_secrets and not any(secret in outcome.text for secret in github.lfs_secrets)
    rig.secrets.update({f"lfs {number}": secret for number, secret in enumerate(github.lfs_secrets)})


# ---- one service taken back -----------------------------------------------------------------------------------------

ASKED = """
while read -r url; do curl -sS -w ' %{http_code}' "$url" | tr -d '\n'; echo; done
"""


def ask(running, url):
    running.send(f"{url}\n")
    return running.read_line().split()


def test_a_service_that_is_taken_back_is_refused_at_once_and_the_others_go_on(rig, operator, upstream, github):
    running = rig.start("sh", "-c", ASKED, profile=operator).wait_until_started()
    assert ask(running, ISSUES)[-1] == "200" and ask(running, f"https://{API}/describe")[-1] == "200"
    assert github.issued() and not github.revoked()
    before = len(github.log(path="/repos/"))

    done = rig.sanctum("revoke", running.mission, "--service", "github")
    refused = ask(running, ISSUES)

    assert done.returncode == 0 and done.stdout.decode() == f"revoked service github of {running.mission}\n"
    assert refused[-1] == "403" and "service_revoked" in " ".join(refused), refused
    assert len(github.log(path="/repos/")) == before
    assert set(github.revoked()) == set(github.issued()), "its token is given back while the mission runs"
    assert ask(running, f"https://{API}/describe")[-1] == "200"
    assert rig.sanctum("revoke", running.mission, "--service", "github").returncode == 0, "twice is once"
    unknown = rig.sanctum("revoke", running.mission, "--service", "gitlab")
    assert unknown.returncode == 1 and b"it has calendar, github" in unknown.stderr
    running.process.stdin.close()
    running.process.stdin = None
    outcome = running.finish()

    assert outcome.code == 0, outcome
    assert outcome.refused == [("service_revoked", "api.github.com", "/repos/acme/api/issues")]
    ended = [lease for lease in lease_ends(outcome) if lease["service"] == "github"]
    assert [lease["state"] for lease in ended] == ["gone"] and "took the service back" in ended[0]["detail"]


def busy(number):
    """A loop of requests without a pause, each of a path of its own."""
    return f"n=0; while :; do n=$((n+1)); curl -sS https://{API}/busy/{number}/$n >/dev/null; done"


def test_the_next_request_after_a_service_was_taken_back_is_never_sent(rig, operator, upstream):
    """Amid traffic: what is begun once the command has said so, and what was begun before and is not yet sent."""
    upstream.routes["/busy/*"] = upstream.routes["/describe"]
    script = "".join(f"({busy(number)}) & " for number in range(3)) + ASKED
    running = rig.start("sh", "-c", script, profile=operator).wait_until_started()
    upstream.wait_for(5)
    rig.expect_ok(rig.sanctum("revoke", running.mission, "--service", "calendar"))
    for _ in range(5):
        refused = ask(running, f"https://{API}/describe")
        assert refused[-1] == "403" and "service_revoked" in " ".join(refused), refused
    rig.expect_ok(rig.sanctum("revoke", running.mission))

    outcome = running.finish()

    assert {reason for reason, _, _ in outcome.refused} == {"service_revoked"}, outcome.refused[:3]
    types = [record["type"] for record in outcome.records]
    upstream.wait_until_left()
    assert arrived_at(upstream) <= intended(outcome.records[:types.index("exchange.refused")])


def arrived_at(upstream):
    return {exchange.path for exchange in upstream.exchanges}


def intended(records):
    """The paths of what was to be sent."""
    return {record["path"] for record in records if record["type"] == "exchange.intent"}


@pytest.mark.parametrize("whom", ["one", "all"])
def test_the_next_request_of_a_mission_that_was_revoked_is_never_sent(rig, operator, upstream, whom):
    """The same for whole missions: once the command has said so their records are closed, and what they do not have
    has not arrived."""
    upstream.routes["/busy/*"] = upstream.routes["/describe"]
    running = [rig.start("sh", "-c", busy(number), profile=operator).wait_until_started()
               for number in range(2 if whom == "all" else 1)]
    upstream.wait_for(5)
    rig.expect_ok(rig.sanctum("revoke", *(["--all"] if whom == "all" else [running[0].mission])))
    records = [record for each in running for record in rig.records_of(rig.state / "missions" / each.mission)]

    outcomes = [each.finish() for each in running]

    assert [(each.code, each.ended["reason"]) for each in outcomes] == [(122, "revoked")] * len(running)
    assert records == [record for each in outcomes for record in each.records]
    upstream.wait_until_left()
    assert arrived_at(upstream) <= intended(records)


def test_an_answer_under_way_is_cut_when_its_service_is_taken_back(rig, operator, upstream):
    pause = threading.Event()

    def endless(exchange):
        exchange.start_chunked()
        with contextlib.suppress(OSError):
            while True:
                exchange.send_chunk(b"tick\n")
                pause.wait(0.02)
    upstream.routes["/endless"] = endless
    running = rig.start("sh", "-c", f"curl -sSN https://{API}/endless; echo; echo ended $?",
                        profile=operator).wait_until_started()
    assert running.read_line() == "tick"
    assert rig.sanctum("revoke", running.mission, "--service", "calendar").returncode == 0
    outcome = running.finish()
    assert outcome.code == 0 and outcome.text.strip().endswith("ended 0"), outcome
    assert outcome.of_type("exchange.outcome")[0]["outcome"] != "complete"
