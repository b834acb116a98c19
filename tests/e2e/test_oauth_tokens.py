# SPDX-License-Identifier: Apache-2.0
"""Tokens of any OAuth provider, from the first call to the last word about them: refused by an API and replaced once,
bound to a key of the mission, compared with what was asked, and given back by the reaper where the vault was killed.
The provider is the double of tests/doubles without Auth0's own rules; the API checks proofs as RFC 9449 has it. Tokens
that are bound to a certificate are in test_bound_certificates.py."""

import hashlib
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import identity as identities
from rig import API, mission_head

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "doubles"))

from jwts import to_bytes, to_text, verify  # noqa: E402
from providers import auth0_double, is_installed  # noqa: E402

NAME = "login.example.org"
ISSUER = f"https://{NAME}/"
SECRET = "client-canary-5b20cc"
TOKEN = "/oauth/token"

ACCOUNT = f"""catalog = "http-bearer"
hosts = ["{API}"]
source = "oauth"
provider = "corp"
scope_names = {{ read = "things.read", write = "things.write" }}
"""

PROVIDER = f"""[provider.corp]
issuer = "{ISSUER}"
token_endpoint = "{ISSUER}oauth/token"
revocation_endpoint = "{ISSUER}oauth/revoke"
client_id = "desk"
"""
WITH_SECRET = 'client_secret = { item = "corp-client" }\n'

PROFILE = mission_head("tokens") + """\
[[service]]
name = "things"
catalog = "http-bearer"
account = "things"
grant = ["read", "write"]
"""

GET = f"curl -sS --fail https://{API}/things"
STATUS = f"curl -sS -o /dev/null -w '%{{http_code}}\\n' https://{API}/things"


def sha256(token):
    return hashlib.sha256(token.encode()).hexdigest()


@pytest.fixture(scope="session")
def corp_process(tmp_path_factory, authority):
    identities.require(is_installed(), "the doubles are not installed (scripts/setup doubles)")
    folder = tmp_path_factory.mktemp("corp-tokens")
    tenant = {"profile": "generic", "scopes": ["things.read", "things.write"],
              "authorization_details_types": ["things"]}
    with auth0_double(folder, authority, name=NAME, issuer=ISSUER, tenant=tenant) as double:
        yield double


@pytest.fixture
def corp(corp_process):
    corp_process.reset()
    corp_process.certificate("now")
    corp_process.client("desk", secret=SECRET, grants=["client_credentials"])
    return corp_process


class Things:
    """The API at /things; `refuse` says which of the tokens that it has seen, counted from 0, it answers with 401."""

    def __init__(self, upstream, refuse=lambda number: False):
        self.tokens, self.refuse, self.statuses, self._lock = [], refuse, [], threading.Lock()
        upstream.routes["/things"] = self.answer

    def answer(self, exchange):
        exchange.read_body()
        scheme, _, token = (exchange.header("authorization") or " ").partition(" ")
        with self._lock:
            if token not in self.tokens:
                self.tokens.append(token)
            status, headers = self.judge(exchange, scheme, token, self.tokens.index(token))
            self.statuses.append(status)
        exchange.respond(status, b"things" if status == 200 else b"no", headers)

    def judge(self, exchange, scheme, token, number):
        if scheme != "Bearer" or self.refuse(number):
            return 401, [("WWW-Authenticate", 'Bearer error="invalid_token", error_description="was revoked"')]
        return 200, []


class ProvedThings(Things):
    """The same with proofs (RFC 9449 4.3 and 9): each with its own key, once, for this request, with the last nonce."""

    def __init__(self, upstream):
        super().__init__(upstream)
        self.keys, self.seen, self.nonces, self.problems = set(), set(), 0, []

    def judge(self, exchange, scheme, token, number):
        problem = self.problem_of(exchange, scheme, token)
        if problem is None:
            return 200, [("DPoP-Nonce", f"nonce-{self.nonces}")]
        self.problems.append(problem)
        return 401, [("WWW-Authenticate", f'DPoP error="{problem}"'), ("DPoP-Nonce", f"nonce-{self.nonces}")]

    def problem_of(self, exchange, scheme, token):
        proofs = [value for name, value in exchange.headers if name.lower() == "dpop"]
        if scheme != "DPoP" or len(proofs) != 1:
            return "invalid_token"
        head = json.loads(to_bytes(proofs[0].split(".")[0]))
        jwk = head["jwk"]
        numbers = (int.from_bytes(to_bytes(jwk[name]), "big") for name in ("x", "y"))
        claims = verify(proofs[0], ec.EllipticCurvePublicNumbers(*numbers, ec.SECP256R1()).public_key(), "ES256")
        wanted = {"htm": exchange.method, "htu": f"https://{API}{exchange.path}",
                  "ath": to_text(hashlib.sha256(token.encode()).digest())}
        is_right = (claims and head["typ"] == "dpop+jwt" and set(jwk) == {"kty", "crv", "x", "y"}
                    and wanted.items() <= claims.items() and abs(claims["iat"] - time.time()) < 60
                    and claims["jti"] not in self.seen)
        if not is_right:
            return "invalid_dpop_proof"
        self.seen.add(claims["jti"])
        if claims.get("nonce") != f"nonce-{self.nonces}":
            return "use_dpop_nonce"
        canonical = json.dumps({name: jwk[name] for name in ("crv", "kty", "x", "y")}, separators=(",", ":"))
        self.keys.add(to_text(hashlib.sha256(canonical.encode()).digest()))
        return None


@pytest.fixture
def make_operator(rig, upstream, authority, corp):
    """Makes the operator's configuration; returns the profile."""
    def make(provider="", account='grant_type = "client-credentials"\n', authentication=WITH_SECRET):
        rig.host(API, upstream, authority.ca_file).host(NAME, corp)
        rig._accounts.append(f'[[account]]\nname = "things"\n{ACCOUNT}{account}\n')
        rig.secrets["corp-client"] = SECRET
        rig.extra(PROVIDER + authentication + provider)
        return rig.configure().profile(PROFILE)
    return make


def lease_ends(outcome):
    """The last record of each lease."""
    return list({record["lease"]: record for record in outcome.of_type("lease.changed")}.values())


def reason_of(outcome):
    """What the operator reads of the one request that was refused for want of a credential."""
    [refused] = outcome.of_type("exchange.refused")
    assert refused["reason"] == "credential_unavailable", refused
    return refused["detail"]


# ---- refused by the API ---------------------------------------------------------------------------------------------

def test_a_token_that_the_api_refuses_is_replaced_once_and_the_agent_never_sees_it(rig, make_operator, upstream, corp):
    things = Things(upstream, refuse=lambda number: number == 0)
    outcome = rig.run("sh", "-c", f"{GET} && {GET}", profile=make_operator())

    assert (outcome.code, outcome.text) == (0, "thingsthings"), outcome
    assert things.statuses == [401, 200, 200]
    issued = [entry["issued"][0]["sha256"] for entry in corp.log(path=TOKEN)]
    assert [sha256(token) for token in things.tokens] == issued and len(issued) == 2
    assert set(corp.revoked()) == set(issued), "the refused one was given back as well"
    first, second = sorted(lease_ends(outcome), key=lambda lease: issued.index(lease["thumbprint"]))
    assert "the upstream refused it with status 401" in first["detail"] and first["uses"] == 1
    assert second["uses"] == 2
    evidence = outcome.of_type("exchange.outcome")[0]["evidence"]
    assert (evidence["lease_replaced"], evidence["sent_with"]) == (first["lease"], second["lease"])
    assert "was revoked" in evidence["refused_with"], "the operator sees why"


def test_an_api_that_refuses_every_token_gets_two_and_the_agent_its_answer(rig, make_operator, upstream, corp):
    things = Things(upstream, refuse=lambda number: True)
    outcome = rig.run("sh", "-c", f"for i in 1 2 3 4 5; do {STATUS}; done", profile=make_operator())

    assert outcome.text.split() == ["401"] * 5, outcome
    assert things.statuses == [401] * 6, "one was sent twice"
    assert len(corp.log(path=TOKEN)) == 2, "nothing is minted without end"
    evidence = outcome.of_type("exchange.outcome")[-1]["evidence"]
    assert evidence["upstream_rejected_credential"] == "401" and "was revoked" in evidence["www-authenticate"]
    assert "(5 times)" in lease_ends(outcome)[-1]["detail"], lease_ends(outcome)


def test_many_refusals_at_once_make_one_exchange(rig, make_operator, upstream, corp):
    held = threading.Barrier(6)

    def refuse(number):
        return number == 0
    things = Things(upstream, refuse)

    def answer(exchange):
        if sum(status == 401 for status in things.statuses) == 0:
            held.wait(20)  # all six have arrived with the first token
        Things.answer(things, exchange)
    upstream.routes["/things"] = answer
    outcome = rig.run("sh", "-c", f"for i in 1 2 3 4 5 6; do {STATUS} & done; wait", profile=make_operator())

    assert outcome.text.split() == ["200"] * 6, outcome
    assert sorted(things.statuses) == [200] * 6 + [401] * 6
    assert len(corp.log(path=TOKEN)) == 2


@pytest.mark.parametrize("is_same", [True, False])
def test_a_secret_that_never_changes_is_not_tried_twice(rig, service, upstream, is_same):
    """A `local` credential: its source has no other one to give. Another status is no refusal at all."""
    status = 401 if is_same else 403

    def answer(exchange):
        exchange.read_body()
        exchange.respond(status, b"no")
    upstream.routes["/things"] = answer
    outcome = rig.run("sh", "-c", f"{STATUS}; {STATUS}", profile=service)

    assert outcome.text.split() == [str(status)] * 2, outcome
    assert len(upstream.exchanges) == 2
    evidence = outcome.of_type("exchange.outcome")[0]["evidence"]
    assert ("gave the same credential again" in evidence.get("not_sent_again", "")) is is_same, evidence


def test_a_request_that_may_have_an_effect_is_not_sent_twice(rig, make_operator, upstream, corp):
    things = Things(upstream, refuse=lambda number: number == 0)
    outcome = rig.run("sh", "-c", f"{STATUS} -d event=1; {STATUS} -d event=2; {STATUS} -X PUT -d event=3",
                      profile=make_operator())

    assert outcome.text.split() == ["401", "200", "200"], outcome
    assert things.statuses == [401, 200, 200] and len(corp.log(path=TOKEN)) == 2


# ---- bound to a key -------------------------------------------------------------------------------------------------

def test_a_bound_token_is_used_with_proofs_of_the_missions_key_alone(rig, make_operator, upstream, corp):
    corp.client("desk", secret=SECRET, grants=["client_credentials"], dpop_bound_access_tokens=True)
    corp.tenant(dpop_nonce=True)
    things = ProvedThings(upstream)
    profile = make_operator("dpop = true\n")
    calls = f"{GET}; {GET}?page=2 -H 'DPoP: a.b.c' -H 'Authorization: DPoP own'; {GET} -d event=1"

    outcome = rig.run("sh", "-ec", calls, profile=profile)

    assert (outcome.code, outcome.text) == (0, "things" * 3), outcome
    # The API: one nonce had to be learnt, on the first request, which the agent did not notice.
    assert things.statuses == [401, 200, 200, 200] and things.problems == ["use_dpop_nonce"]
    [evidence] = [record["evidence"] for record in outcome.of_type("exchange.outcome")
                  if "sent_again" in record["evidence"]]
    assert evidence["sent_again"] == "use_dpop_nonce"
    # The provider: bound what it gave to the key that the API saw.
    [entry, *_] = [entry for entry in corp.log(path=TOKEN) if entry["issued"]]
    assert entry["issued"][0]["sha256"] == sha256(things.tokens[0]), "the record knows the token, not token and key"
    assert {lease["thumbprint"] for lease in lease_ends(outcome)} == {sha256(token) for token in things.tokens}
    assert len(things.keys) == 1
    assert set(corp.revoked()) == set(corp.issued())
    again = ProvedThings(upstream)
    assert rig.run("sh", "-ec", GET, profile=profile).code == 0
    assert again.keys and not again.keys & things.keys, "the next mission has a key of its own"


def test_a_stolen_bound_token_is_worth_nothing_without_the_key(rig, make_operator, upstream, corp):
    """The API of these tests does look: what passed above is refused without its proof, or with a used one."""
    things = ProvedThings(upstream)
    assert rig.run("sh", "-ec", GET, profile=make_operator("dpop = true\n")).code == 0
    [proved] = [exchange for exchange in upstream.exchanges[-1:]]
    for name in ("dpop", "authorization"):
        headers = [pair for pair in proved.headers if pair[0].lower() != name]
        assert things.problem_of(type("Replay", (), {**vars(proved), "header": proved.header, "headers": headers})(),
                                 "DPoP" if name == "dpop" else "Bearer", things.tokens[0]) == "invalid_token"
    assert things.problem_of(proved, "DPoP", things.tokens[0]) == "invalid_dpop_proof", "each proof counts once"


def test_a_token_that_is_bound_where_nobody_asked_for_it_is_refused(rig, make_operator, upstream, corp):
    corp.fail("fields", fields={"token_type": "DPoP"}, path=TOKEN, times=0)
    outcome = rig.run("sh", "-c", STATUS, profile=make_operator())

    assert outcome.text.split() == ["503"] and upstream.exchanges == [], outcome
    assert "write dpop = true" in reason_of(outcome)


def test_a_token_that_is_not_bound_although_it_was_asked_for_is_refused_and_given_back(rig, make_operator, upstream,
                                                                                      corp):
    corp.fail("fields", fields={"token_type": "Bearer"}, path=TOKEN, times=0)
    outcome = rig.run("sh", "-c", STATUS, profile=make_operator("dpop = true\n"))

    assert outcome.text.split() == ["503"] and upstream.exchanges == [], outcome
    assert "dpop_bound_access_tokens" in reason_of(outcome)


# ---- compared with what was asked -----------------------------------------------------------------------------------

@pytest.mark.parametrize("answer", ["as asked", "wider", "not active"])
def test_a_token_that_says_nothing_is_asked_about(rig, make_operator, upstream, corp, answer):
    corp.fail("fields", fields={"scope": None}, path=TOKEN, times=0)
    changed = {"wider": {"scope": "things.read things.write"}, "not active": {"active": False}}.get(answer)
    if changed:
        corp.fail("fields", fields=changed, path="/oauth/introspect", times=0)
    things = Things(upstream)
    profile = make_operator(f'introspection_endpoint = "{ISSUER}oauth/introspect"\n')

    outcome = rig.run("sh", "-c", f"{STATUS}; {STATUS}", profile=profile)

    assert len(corp.log(path="/oauth/introspect")) >= 1
    if answer == "as asked":
        assert outcome.text.split() == ["200"] * 2 and len(corp.log(path="/oauth/introspect")) == 1, outcome
        [lease] = lease_ends(outcome)
        assert (lease["received"], lease["narrowed_by"]) == (["things.read"], "both")
    else:
        assert outcome.text.split() == ["503"] * 2 and things.tokens == [], outcome
        told = outcome.of_type("exchange.refused")[0]["detail"]
        assert {"wider": "nobody asked for", "not active": "does not honour the token"}[answer] in told
    assert set(corp.revoked()) == set(corp.issued())


CATALOG = f"""schema = 1
name = "things-api"
[[endpoint]]
name = "api"
hosts = ["{API}"]
kind = "http"
auth = {{ form = "bearer" }}
[[operation]]
id = "thing/read"
endpoint = "api"
method = "GET"
path = "/things/{{thing}}"
any_of = [["read"]]
resources = {{ thing = "{{thing}}" }}
risk = "low"
says = "Read {{thing}}"
"""

DETAILED = f"""[[account]]
name = "things"
catalog = "things-api"
source = "oauth"
provider = "corp"
grant_type = "client-credentials"
resource = "https://{API}/"
scope_names = {{ read = "things.read" }}
[[account.authorization_details]]
for = ["read"]
type = "things"
actions = ["read"]
locations = ["https://{API}/things/{{thing}}"]
"""


@pytest.mark.parametrize("answer", ["as asked", "everywhere", "silent"])
def test_a_token_is_narrowed_to_the_resource_of_each_need_in_the_providers_own_structure(rig, upstream, authority, corp,
                                                                                        answer):
    corp.client("desk", secret=SECRET, grants=["client_credentials"], authorization_details_types=["things"])
    corp.tenant(apis={f"https://{API}/": {"scopes": ["things.read"]}})  # the double wants to know for which API
    granted = {"everywhere": [{"type": "things", "actions": ["read"]}], "silent": None}
    if answer in granted:
        corp.fail("fields", fields={"authorization_details": granted[answer]}, path=TOKEN, times=0)
    things = Things(upstream)
    upstream.routes["/things/*"] = things.answer
    rig.host(API, upstream, authority.ca_file).host(NAME, corp)
    rig.write(rig.make("config/sanctum/catalog.d") / "things-api.toml", CATALOG)
    rig._accounts.append(DETAILED)
    rig.secrets["corp-client"] = SECRET
    rig.extra(PROVIDER + WITH_SECRET)
    profile = rig.configure().profile(
        mission_head("detailed") + '[[service]]\nname = "things"\ncatalog = "things-api"\naccount = "things"\n'
        'grant = ["read"]\nresources = { thing = ["a", "b"] }\n')

    outcome = rig.run("sh", "-c", f"{STATUS}/a; {STATUS}/b", profile=profile)

    if answer == "as asked":
        assert outcome.text.split() == ["200", "200"] and len(things.tokens) == 2, outcome
        received = [lease["received"][-1] for lease in lease_ends(outcome)]
        assert received == [f"things actions=read locations=https://{API}/things/{name}" for name in "ab"]
        assert {lease["narrowed_by"] for lease in lease_ends(outcome)} == {"both"}
    else:
        assert outcome.text.split() == ["503", "503"] and things.tokens == [], outcome
        told = outcome.of_type("exchange.refused")[0]["detail"]
        assert "authorization_details: the provider" in told and 'wider = "accept"' in told
        # Tokens for an API are JWTs, which the double cannot revoke: each is counted until its end.
        assert {lease["state"] for lease in lease_ends(outcome)} == {"orphaned"} and len(corp.issued()) == 2


# ---- given back by the reaper ---------------------------------------------------------------------------------------

HELD = f"{GET} >/dev/null; echo held; exec cat"


def kill_vault_while_held(rig, profile):
    running = rig.start("sh", "-c", HELD, profile=profile).wait_until_started()
    assert running.read_line() == "held"
    os.kill(running.roles()["vault"], signal.SIGKILL)
    return running.finish()


@pytest.mark.parametrize("is_allowed", [True, False])
def test_what_a_killed_vault_had_is_revoked_where_the_operator_lets_the_reaper_have_the_secret(rig, make_operator,
                                                                                               upstream, corp,
                                                                                               is_allowed):
    Things(upstream)
    outcome = kill_vault_while_held(rig, make_operator("reap_with_secret = true\n" if is_allowed else ""))

    [lease] = lease_ends(outcome)
    assert len(corp.issued()) == 1
    if is_allowed:
        assert set(corp.revoked()) == set(corp.issued())
        assert lease["state"] == "gone" and "by the reaper" in lease["detail"], lease
    else:
        assert not corp.revoked()
        assert lease["state"] == "parked" and "reap_with_secret = true" in lease["detail"], lease
    assert SECRET.encode() not in (rig.state / "state.db").read_bytes()


def test_a_client_that_proves_nothing_is_reaped_without_any_secret(rig, make_operator, upstream, corp):
    """A public client exchanges a token that somebody else got; nothing but the token itself revokes what it got."""
    corp.client("desk", grants=["urn:ietf:params:oauth:grant-type:token-exchange"])
    subject = corp.access_token("desk", "auth0|u1", scope="things.read things.write")
    rig.secrets["subject"] = subject
    Things(upstream)
    profile = make_operator(account='grant_type = "token-exchange"\nitem = "subject"\n', authentication="")

    outcome = kill_vault_while_held(rig, profile)

    [lease] = lease_ends(outcome)
    assert lease["state"] == "gone" and "by the reaper" in lease["detail"], lease
    assert lease["thumbprint"] in corp.revoked()


# ---- a provider that is found ---------------------------------------------------------------------------------------

RESOURCE = f"https://{NAME}/things"      # the double describes whatever is below its own name
GUARDED = f"https://{API}/guarded"       # an API that says by a 401 where its metadata is
OTHER = "https://other.example.org/"
SCOPES = ["things.read", "things.write"]


@pytest.fixture
def finder(rig, upstream, authority, corp):
    """An operator who says of the provider only what a test says; gives a function that makes the profile of it."""
    corp.tenant(apis={each: {"scopes": SCOPES, "format": "opaque"} for each in (RESOURCE, GUARDED)})

    def guard(exchange):
        place = f"https://{NAME}/.well-known/oauth-protected-resource/guarded"
        exchange.respond(401, b"no", [("WWW-Authenticate", f'Bearer realm="x", resource_metadata="{place}"')])
    upstream.routes["/guarded"] = guard
    upstream.routes["/.well-known/oauth-protected-resource/guarded"] = lambda exchange: exchange.respond(404, b"no")
    Things(upstream)

    def configure(where):
        rig.host(API, upstream, authority.ca_file).host(NAME, corp)
        rig.account("things", ACCOUNT + 'grant_type = "client-credentials"\n')
        rig.secrets["corp-client"] = SECRET
        rig.extra("".join(f'{key} = "{value}"\n' for key, value in where.items()).join(
            ["[provider.corp]\n", 'client_id = "desk"\n' + WITH_SECRET]))
        return rig.configure().profile(PROFILE)
    return configure


def descendants(pid):
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [*children, *(each for child in children for each in descendants(child))]


def test_what_a_provider_says_of_itself_is_read_by_a_process_that_reaches_nothing_else(rig, finder, corp):
    path = "/.well-known/oauth-authorization-server"
    corp.fail("slow_answer", path=path, seconds=4, times=0)
    running = rig.start("sh", "-c", GET, profile=finder({"issuer": ISSUER}))
    while not corp.log(path=path):
        os.sched_yield()
    found = [pid for pid in descendants(running.pid)
             if Path(f"/proc/{pid}/comm").read_text() == "sanctum-lookup\n"]

    assert len(found) == 2, "it, and its dialler"
    for pid in found:
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert (status["Seccomp"], status["NoNewPrivs"], int(status["CapEff"], 16)) == ("2", "1", 0), status
        held = [os.readlink(f"/proc/{pid}/fd/{each}") for each in os.listdir(f"/proc/{pid}/fd") if int(each) > 2]
        assert all(place.startswith(("socket:", "pipe:", "anon_inode:", "/dev/")) for place in held), held
        assert len(held) <= 3, "its pipe, its dialler, its connection"
    assert running.finish().code == 0


def describe(corp, **fields):
    corp.fail("fields", path="/.well-known/oauth-protected-resource", fields=fields, times=0)


@pytest.mark.parametrize("where", ["issuer", "resource", "challenge", "one of several"])
def test_where_tokens_are_asked_for_and_given_back_is_found_from_the_issuer_or_the_api(rig, finder, corp, where):
    if where == "challenge":
        describe(corp, resource=GUARDED)
    if where == "one of several":
        describe(corp, authorization_servers=[OTHER, ISSUER])
    profile = finder({"issuer": {"issuer": ISSUER}, "resource": {"resource": RESOURCE},
                      "challenge": {"resource": GUARDED},
                      "one of several": {"resource": RESOURCE, "issuer": ISSUER}}[where])
    outcome = rig.run("sh", "-c", GET, profile=profile)

    assert outcome.code == 0, outcome
    [asked] = corp.log(path=TOKEN)
    assert asked["asked"] == ["things.read"] and set(corp.issued()) == set(corp.revoked()) != set()
    assert [lease["state"] for lease in lease_ends(outcome)] == ["gone"]


@pytest.mark.parametrize("fields, word", [
    ({"resource": f"https://{NAME}/"}, "the configuration says resource"),
    ({"resource": OTHER}, "the configuration says resource"),
    ({"authorization_servers": [f"http://{NAME}/"]}, "no plain https address"),
    ({"authorization_servers": [ISSUER, OTHER]}, "write `issuer`, one of"),
    ({"authorization_servers": [OTHER]}, "other.example.org"),
    ({"authorization_servers": []}, "names no authorization server")])
def test_an_api_whose_metadata_does_not_fit_starts_no_mission(rig, finder, corp, fields, word):
    describe(corp, **fields)
    outcome = rig.run("sh", "-c", GET, profile=finder({"resource": RESOURCE}))

    assert outcome.code == 125 and word in outcome.errors and "provider corp" in outcome.errors, outcome
    assert corp.log(path=TOKEN) == []


@pytest.mark.parametrize("fields, word", [
    ({"issuer": OTHER}, "asked was the issuer"),
    ({"token_endpoint": f"http://{NAME}/oauth/token"}, "no plain https address"),
    ({"revocation_endpoint": f"http://{NAME}/oauth/revoke"}, "no plain https address"),
    ({"token_endpoint": None}, "names no token_endpoint")])
def test_a_provider_whose_metadata_does_not_fit_starts_no_mission(rig, finder, corp, fields, word):
    corp.fail("fields", path="/.well-known/oauth-authorization-server", fields=fields, times=0)
    outcome = rig.run("sh", "-c", GET, profile=finder({"resource": RESOURCE}))

    assert outcome.code == 125 and word in outcome.errors, outcome
    assert corp.log(path=TOKEN) == []


@pytest.mark.parametrize("where", [{"issuer": ISSUER}, {"resource": RESOURCE}])
def test_a_provider_that_does_not_answer_holds_no_start_for_longer_than_its_deadline(rig, finder, corp, where):
    for path in ("/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource"):
        corp.fail("slow_answer", path=path, seconds=14, times=0)
    profile = finder(where)
    outcome = rig.run("sh", "-c", GET, profile=profile)

    assert outcome.code == 125, outcome
    asked = [entry["path"] for entry in corp.log() if "well-known" in entry["path"]]
    assert len(asked) == 1, "what comes late is neither waited for nor asked for again"
    assert "it did not answer in time (it is asked at each start" in outcome.errors, outcome.errors
    assert outcome.errors.count("provider corp") == 1, outcome.errors
    assert corp.log(path=TOKEN) == []


@pytest.mark.parametrize("case, word", [("not among", "does not take tokens of issuer"), ("nowhere", "write `issuer`"),
                                        ("down", "provider corp")])
def test_a_provider_that_is_not_found_starts_no_mission(rig, finder, corp, case, word, request):
    if case == "nowhere":
        corp.fail("status", status=404, path="/.well-known", times=0)
    profile = finder({"resource": RESOURCE, **({"issuer": OTHER} if case == "not among" else {})})
    if case == "down":
        corp.down()
        request.addfinalizer(corp.up)
    outcome = rig.run("sh", "-c", GET, profile=profile)

    assert outcome.code == 125 and word in outcome.errors, outcome
    assert corp.log(path=TOKEN) == []
