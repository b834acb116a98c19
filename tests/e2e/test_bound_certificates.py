# SPDX-License-Identifier: Apache-2.0
"""Tokens that are bound to a certificate (RFC 8705 3): used on connections that show it, and on no others. The provider
is the double of tests/doubles without Auth0's own rules, which binds what it issues to the certificate that it was
shown; the API ends TLS itself, wants a certificate, and compares it with the one that the token is bound to."""

import hashlib
import socket
import ssl
import sys
import threading
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

import identity as identities
from rig import API, PLAIN, mission_head
from upstream import RecordingUpstream

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "doubles"))

from jwts import to_text  # noqa: E402
from providers import auth0_double, is_installed  # noqa: E402

NAME = "login.example.org"
ALIAS = f"mtls.{NAME}"
ISSUER = f"https://{NAME}/"
SECRET = "client-canary-c41f77"
TOKEN, INTROSPECTION = "/oauth/token", "/oauth/introspect"

ACCOUNT = f"""catalog = "http-bearer"
hosts = ["{API}"]
source = "oauth"
provider = "corp"
grant_type = "client-credentials"
scope_names = {{ read = "things.read", write = "things.write" }}
"""

PROVIDER = f"""[provider.corp]
issuer = "{ISSUER}"
token_endpoint = "{ISSUER}oauth/token"
revocation_endpoint = "{ISSUER}oauth/revoke"
client_id = "desk"
"""
FOUND = f'[provider.corp]\nissuer = "{ISSUER}"\nclient_id = "desk"\n'
CAN_ASK = f'introspection_endpoint = "{ISSUER}oauth/introspect"\n'
BOUND = "certificate_bound = true\n"
WITH_SECRET = 'client_secret = { item = "corp-client" }\n'
WITH_CERTIFICATE = ('client_authentication = "tls_client_auth"\ncertificate = "desk.pem"\n'
                    'private_key = { item = "corp-key" }\n')

PROFILE = mission_head("bound") + f"""\
[[service]]
name = "things"
catalog = "http-bearer"
account = "things"
grant = ["read", "write"]

[[host]]
name = "{PLAIN}"
match = ["GET /**"]
"""

GET = f"curl -sS --fail https://{API}/things"
STATUS = f"curl -sS -o /dev/null -w '%{{http_code}}\\n' https://{API}/things"


def thumbprint(der):
    return to_text(hashlib.sha256(der).digest())


class BoundApi(RecordingUpstream):
    """The API at /things. Who `demands` a certificate serves nobody without; one that neither the authority nor (where
    it is `open`) the provider has seen is refused by TLS itself."""

    def __init__(self, certificate, corp, demands=True, is_open=True):
        super().__init__(*certificate, routes={"/things": self.answer}, client_ca=corp.ca_file)
        self._context.verify_mode = ssl.CERT_REQUIRED if demands else ssl.CERT_OPTIONAL
        self.corp, self.is_open, self._telling = corp, is_open, threading.Lock()
        self.is_closing = False
        self.shown, self.tokens, self.statuses, self.resumed = [], [], [], []  # of each request

    def _serve(self, connection):
        with self._telling:
            for each in self.corp.certificates() if self.is_open else []:
                self._context.load_verify_locations(cadata=each)
        super()._serve(connection)

    def answer(self, exchange):
        exchange.read_body()
        der = exchange.stream.getpeercert(binary_form=True)
        scheme, _, token = (exchange.header("authorization") or " ").partition(" ")
        with self._telling:
            bound = self.corp.binding(token) if scheme == "Bearer" and token else None
            self.shown.append(thumbprint(der) if der else None)
            self.tokens.append(token)
            self.resumed.append(exchange.stream.session_reused)
            self.statuses.append(200 if bound and bound == self.shown[-1] else 401)
            status = self.statuses[-1]
        headers = [] if status == 200 else [("WWW-Authenticate", 'Bearer error="invalid_token"')]
        exchange.respond(status, b"things" if status == 200 else b"no", headers)
        exchange.close = self.is_closing

    def visit(self, authority, token, pair=None):
        """A request of somebody else's: its status, or None where TLS refuses it."""
        context = ssl.create_default_context(cafile=str(authority.ca_file))
        if pair:
            context.load_cert_chain(*map(str, pair))
        try:
            with socket.create_connection(("127.0.0.1", self.port), 10) as plain, \
                    context.wrap_socket(plain, server_hostname=API) as stream:
                stream.sendall(f"GET /things HTTP/1.1\r\nHost: {API}\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
                return int(stream.recv(65536).split()[1])
        except (ssl.SSLError, ConnectionError, IndexError):
            return None


@pytest.fixture(scope="session")
def corp_process(tmp_path_factory, authority):
    identities.require(is_installed(), "the doubles are not installed (scripts/setup doubles)")
    folder = tmp_path_factory.mktemp("corp-bound")
    tenant = {"profile": "generic", "scopes": ["things.read", "things.write"], "mtls_name": ALIAS}
    with auth0_double(folder, authority, name=NAME, issuer=ISSUER, tenant=tenant) as double:
        yield double


@pytest.fixture
def corp(corp_process):
    corp_process.reset()
    corp_process.certificate("now")
    corp_process.client("desk", secret=SECRET, grants=["client_credentials"],
                        tls_client_certificate_bound_access_tokens=True)
    return corp_process


@pytest.fixture
def desk(authority, corp):
    """The operator's own client certificate, with which the client proves who it is."""
    pair = authority.issue("desk.mission.test", usage=ExtendedKeyUsageOID.CLIENT_AUTH, label="desk")
    corp.client("desk", method="tls_client_auth", grants=["client_credentials"],
                tls_client_auth_san_dns="desk.mission.test", tls_client_certificate_bound_access_tokens=True)
    return pair


@pytest.fixture
def make_api(certificate, corp):
    made = []

    def make(**how):
        made.append(BoundApi(certificate, corp, **how))
        return made[-1]
    yield make
    for each in made:
        each.stop()


@pytest.fixture
def make_operator(rig, authority, corp):
    """Makes the operator's configuration, with the API at `api`; returns the profile."""
    def make(api, more=BOUND + CAN_ASK, authentication=WITH_SECRET, pair=None, provider=PROVIDER):
        rig.host(API, api, authority.ca_file).host(PLAIN, api).host(NAME, corp).host(ALIAS, corp)
        rig._accounts.append(f'[[account]]\nname = "things"\n{ACCOUNT}\n')
        rig.secrets["corp-client"] = SECRET
        if pair:
            rig.secrets["corp-key"] = pair[1].read_text()
            rig.write(rig.configuration / "desk.pem", pair[0].read_text())
        rig.extra(provider + authentication + more)
        return rig.configure().profile(PROFILE)
    return make


def lease_ends(outcome):
    """The last record of each lease."""
    return list({record["lease"]: record for record in outcome.of_type("lease.changed")}.values())


def reason_of(outcome, reason):
    """What the operator reads of the one request that was refused."""
    [refused] = outcome.of_type("exchange.refused")
    assert refused["reason"] == reason, refused
    return refused["detail"]


def client_pair(authority, name, **how):
    return authority.issue(name, usage=ExtendedKeyUsageOID.CLIENT_AUTH, label=name, **how)


# ---- a certificate of the mission's own -----------------------------------------------------------------------------

@pytest.mark.parametrize("says", ["introspection", "nothing"])
def test_a_bound_token_is_used_on_connections_that_show_the_missions_own_certificate(rig, make_operator, make_api, corp,
                                                                                     authority, says):
    api = make_api()
    profile = make_operator(api, BOUND + (CAN_ASK if says == "introspection" else ""))
    rig.write(rig.work / "own.pem", b"".join(Path(part).read_bytes() for part in client_pair(authority, "agent")))
    calls = f"{GET}; {GET}?page=2 --cert own.pem"

    outcome = rig.run("sh", "-ec", calls, profile=profile)

    assert (outcome.code, outcome.text) == (0, "things" * 2) and api.statuses == [200] * 2, outcome
    [token] = set(api.tokens)
    [shown] = set(api.shown)
    [certificate] = corp.certificates()
    assert shown == thumbprint(ssl.PEM_cert_to_DER_cert(certificate)), "the agent's own is shown nowhere"
    assert len(corp.log(path=INTROSPECTION)) == (1 if says == "introspection" else 0)
    assert {lease["thumbprint"] for lease in lease_ends(outcome)} == {hashlib.sha256(token.encode()).hexdigest()}, \
        "the record knows the token, not token and certificate"
    assert set(corp.revoked()) == set(corp.issued()) and len(corp.issued()) == 1
    assert rig.run("sh", "-ec", GET, profile=profile).code == 0
    assert len(corp.certificates()) == 2 and api.shown[-1] != shown, "the next mission has a certificate of its own"


def test_what_the_api_serves_sanctum_it_refuses_to_everybody_else(rig, make_operator, make_api, corp, authority):
    """The API does look: without the certificate, or with another one, the same token is worth nothing."""
    api = make_api()
    profile = make_operator(api)
    running = rig.start("sh", "-c", f"{GET} >/dev/null; echo held; exec cat", profile=profile).wait_until_started()
    assert running.read_line() == "held"
    [token] = api.tokens
    assert corp.is_alive(token)

    assert api.visit(authority, token) is None, "no certificate"
    assert api.visit(authority, token, client_pair(authority, "stranger", issuer="self")) is None
    assert api.visit(authority, token, client_pair(authority, "known")) == 401, "a good one, and not the token's"
    assert running.finish().code == 0


@pytest.mark.parametrize("is_bound", [True, False])
def test_the_certificate_is_shown_to_the_service_and_to_nobody_else(rig, make_operator, make_api, corp, is_bound):
    """The same server, by the name of a plain host; and the same service where nothing is bound."""
    api = make_api(demands=False)
    corp.client("desk", secret=SECRET, grants=["client_credentials"],
                tls_client_certificate_bound_access_tokens=is_bound)
    plain = STATUS.replace(API, PLAIN)
    outcome = rig.run("sh", "-c", f"{STATUS}; {plain}; {STATUS}; {plain}",
                      profile=make_operator(api, BOUND if is_bound else ""))

    assert outcome.text.split() == (["200", "401"] if is_bound else ["401", "401"]) * 2, outcome
    shown = [each is not None for each in api.shown]
    assert shown == ([True, False] * 2 if is_bound else [False] * len(shown))
    assert len(corp.certificates()) == (1 if is_bound else 0)


@pytest.mark.parametrize("is_closing", [False, True])
def test_a_connection_is_kept_for_its_own_lease_and_no_session_goes_on_in_another(rig, make_operator, make_api, corp,
                                                                                  is_closing):
    """Two needs, two tokens, one certificate; and each connection is a whole handshake."""
    api = make_api()
    api.is_closing = is_closing
    outcome = rig.run("sh", "-ec", f"{GET}; {GET} -d event=1; {GET}; {GET} -d event=2", profile=make_operator(api))

    assert outcome.code == 0, outcome
    assert len(set(api.tokens)) == 2 and len(set(api.shown)) == 1
    carried = {}
    for exchange, token in zip(api.exchanges, api.tokens):
        carried.setdefault(id(exchange.stream), set()).add(token)
    assert all(len(tokens) == 1 for tokens in carried.values()), "each lease has its own"
    # One that the agent left in the same moment may be given up instead of kept.
    assert len(carried) == 4 if is_closing else len(carried) < 4
    assert api.resumed == [False] * 4


# ---- the certificate of the operator's client -----------------------------------------------------------------------

def test_where_the_client_proves_itself_by_a_certificate_its_tokens_are_used_with_that_one(rig, make_operator, make_api,
                                                                                           corp, desk):
    api = make_api()
    outcome = rig.run("sh", "-ec", f"{GET}; {GET}",
                      profile=make_operator(api, authentication=WITH_CERTIFICATE, pair=desk))

    assert (outcome.code, outcome.text) == (0, "things" * 2), outcome
    [shown] = set(api.shown)
    der = ssl.PEM_cert_to_DER_cert(desk[0].read_text())
    assert shown == thumbprint(der) and set(corp.revoked()) == set(corp.issued())


@pytest.mark.parametrize("is_bound", [True, False])
def test_without_the_operators_word_a_bound_token_is_refused_and_not_sent_unbound(rig, make_operator, make_api, corp,
                                                                                  desk, is_bound):
    """The client's own key leaves the vault by `certificate_bound` alone."""
    api = make_api(demands=False)
    if not is_bound:
        corp.client("desk", method="tls_client_auth", grants=["client_credentials"],
                    tls_client_auth_san_dns="desk.mission.test")
    # Otherwise the double names the scopes, and nobody asks about the token.
    corp.fail("fields", fields={"scope": None}, path=TOKEN, times=0)

    outcome = rig.run("sh", "-c", STATUS, profile=make_operator(api, CAN_ASK, WITH_CERTIFICATE, desk))

    assert outcome.text.split() == ["503" if is_bound else "401"], outcome
    assert api.shown == ([] if is_bound else [None] * 2), "one is replaced"
    assert set(corp.revoked()) == set(corp.issued()) and len(corp.issued()) == (1 if is_bound else 2)
    if is_bound:
        assert "certificate_bound = true" in reason_of(outcome, "credential_unavailable")


@pytest.mark.parametrize("how", ["certificate", "secret", "unbound"])
def test_who_shows_a_certificate_asks_at_the_address_that_the_provider_has_for_it(rig, make_operator, make_api, corp,
                                                                                  request, how):
    """RFC 8705 5: `mtls_endpoint_aliases`. What is asked without a certificate is asked at the usual address."""
    pair = request.getfixturevalue("desk") if how == "certificate" else None
    api = make_api(demands=False)
    if how == "unbound":
        corp.client("desk", secret=SECRET, grants=["client_credentials"])
    outcome = rig.run("sh", "-c", STATUS, profile=make_operator(
        api, "" if how == "unbound" else BOUND, WITH_CERTIFICATE if pair else WITH_SECRET, pair, FOUND))

    assert outcome.text.split() == ["401" if how == "unbound" else "200"], outcome
    hosts = {path: {entry["host"] for entry in corp.log(path=path)} for path in (TOKEN, "/oauth/revoke")}
    assert hosts == {TOKEN: {NAME if how == "unbound" else ALIAS},
                     "/oauth/revoke": {ALIAS if how == "certificate" else NAME}}


# ---- what does not fit ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("fields, words", [
    ({"cnf": {"x5t#S256": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}}, "bound to another certificate"),
    ({"cnf": None}, "tls_client_certificate_bound_access_tokens"),
    ({"cnf": {"jkt": "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"}}, "bound to a key")])
def test_a_token_that_is_not_bound_to_what_was_shown_is_refused_and_given_back(rig, make_operator, make_api, corp,
                                                                               fields, words):
    corp.fail("fields", fields=fields, path=INTROSPECTION, times=0)
    api = make_api()
    outcome = rig.run("sh", "-c", STATUS, profile=make_operator(api))

    assert outcome.text.split() == ["503"] and api.exchanges == [], outcome
    assert words in reason_of(outcome, "credential_unavailable")
    assert outcome.of_type("exchange.refused")[0]["rule"] == "misconfigured"
    assert set(corp.revoked()) == set(corp.issued()) and len(corp.issued()) == 1


def test_a_server_that_asks_for_no_certificate_gets_no_token(rig, make_operator, upstream, corp):
    outcome = rig.run("sh", "-c", STATUS, profile=make_operator(upstream))

    assert outcome.text.split() == ["502"] and upstream.exchanges == [], outcome
    assert "asks for no client certificate" in reason_of(outcome, "client_certificate")


@pytest.mark.parametrize("how", ["secret", "certificate"])
@pytest.mark.parametrize("asks", [True, False])
def test_a_token_endpoint_that_asks_for_no_certificate_is_asked_for_no_token(rig, make_operator, make_api, corp,
                                                                             request, how, asks):
    """Written down, and nobody can say to what the token is bound: it would be a bearer token, used as a bound one."""
    pair = request.getfixturevalue("desk") if how == "certificate" else None
    api = make_api(demands=False)
    profile = make_operator(api, BOUND, WITH_CERTIFICATE if pair else WITH_SECRET, pair)
    rig.host(NAME, corp if asks else corp.unasking)
    rig.configure()
    outcome = rig.run("sh", "-c", STATUS, profile=profile)

    assert outcome.text.split() == (["200"] if asks else ["503"]), outcome
    assert len(corp.log(path=TOKEN)) == len(corp.issued()) == (1 if asks else 0)
    if not asks:
        why = reason_of(outcome, "credential_unavailable")
        assert "asks for no client certificate" in why and "mtls_endpoint_aliases as token_endpoint" in why, why
        assert outcome.of_type("exchange.refused")[0]["rule"] == "misconfigured" and api.exchanges == []


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_a_server_that_does_not_accept_the_certificate_is_named_as_that(rig, make_operator, make_api, corp, version):
    """By TLS 1.3 a server says so after the request was written; no answer to it came, and none is made up."""
    api = make_api(is_open=False)
    api._context.maximum_version = getattr(ssl.TLSVersion, version)
    outcome = rig.run("sh", "-c", f"curl -sS -D - https://{API}/things", profile=make_operator(api))

    assert "sanctum-reason: client_certificate" in outcome.text and " 502 " in outcome.text, outcome
    assert api.exchanges == [] and api.handshakes_failed >= 1
    if version == "TLSv1_2":
        assert "no certificate that it accepts" in reason_of(outcome, "client_certificate")
    else:
        [record] = outcome.of_type("exchange.outcome")
        assert record["outcome"] == "upstream_closed"
        assert "no certificate that it accepts" in record["evidence"]["client_certificate"]


@pytest.mark.parametrize("alert", ["ACCESS_DENIED", "INTERNAL_ERROR"])
def test_a_server_that_denies_access_in_its_handshake_is_named_so_and_one_that_is_broken_is_not(
        rig, make_operator, make_api, corp, alert):
    api = make_api()
    api._context.sni_callback = lambda *_: getattr(ssl, f"ALERT_DESCRIPTION_{alert}")
    outcome = rig.run("sh", "-c", STATUS, profile=make_operator(api))

    assert outcome.text.split() == ["502"] and api.exchanges == [], outcome
    if alert == "ACCESS_DENIED":
        assert "no certificate that it accepts" in reason_of(outcome, "client_certificate")
    else:
        reason_of(outcome, "upstream_unreachable")


@pytest.mark.parametrize("line, more, words", [
    (BOUND, "dpop = true\n", "to a key or to a certificate"),
    ("[upstream]\n", f'plain_http = ["{API}"]\n', "is reached without TLS")])
def test_what_cannot_be_is_refused_before_a_mission_starts(rig, make_operator, upstream, corp, line, more, words):
    profile = make_operator(upstream)
    path = rig.configuration / "config.toml"
    assert rig.sanctum("check", str(profile)).returncode == 0
    rig.write(path, path.read_text().replace(line, line + more), 0o600)
    checked = rig.sanctum("check", str(profile))
    outcome = rig.run("true", profile=profile)

    assert checked.returncode != 0 and words in checked.stdout.decode() + checked.stderr.decode(), checked
    assert outcome.code == 125 and words in outcome.errors, outcome
