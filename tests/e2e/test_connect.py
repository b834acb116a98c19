# SPDX-License-Identifier: Apache-2.0
"""Connecting an account: a person's consent by the device flow or by a browser, kept as a refresh token in the sealed
store, where the next mission finds it. The provider is the double of tests/doubles, without Auth0's own rules."""

import contextlib
import hashlib
import itertools
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

import httpx
import pytest

import identity as identities
import processes
from process_memory import memory_of
from rig import API, BIN, SOURCE, mission_head
from terminal import Terminal

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "doubles"))

from providers import DEVICE_GRANT, VAULT_GRANT, auth0_double, is_installed  # noqa: E402

NAME = "login.example.org"  # as the README has it
ISSUER = f"https://{NAME}/"
SECRET = "client-canary-77ab10"
SCOPES = ["calendar.events", "calendar.readonly"]
WAIT_SECONDS = 30

ACCOUNT = f"""catalog = "http-bearer"
hosts = ["{API}"]
source = "oauth"
provider = "corp"
item = "alice"
grant = ["read", "write"]
scope_names = {{ read = "calendar.readonly", write = "calendar.events" }}
"""

PROVIDER = f"""[provider.corp]
issuer = "{ISSUER}"
token_endpoint = "{ISSUER}oauth/token"
revocation_endpoint = "{ISSUER}oauth/revoke"
client_id = "desk"
client_secret = {{ item = "corp-client" }}
"""

PROFILE = mission_head("connected") + f"""\
[[service]]
name = "calendar"
catalog = "http-bearer"
account = "calendar"
grant = ["read"]
"""


@pytest.fixture(scope="session")
def provider_process(tmp_path_factory, authority):
    identities.require(is_installed(), "the doubles are not installed (scripts/setup doubles)")
    folder = tmp_path_factory.mktemp("corp")
    tenant = {"profile": "generic", "scopes": [*SCOPES, "mail"], "authorization_details_types": ["calendar"]}
    with auth0_double(folder, authority, name=NAME, issuer=ISSUER, tenant=tenant) as double:
        yield double


@pytest.fixture
def provider(provider_process):
    provider_process.reset()
    provider_process.certificate("now")
    provider_process.client("desk", secret=SECRET, grants=[DEVICE_GRANT, "authorization_code", "refresh_token"],
                            redirect_uris=["http://127.0.0.1/callback"], application_type="native",
                            refresh_token={"rotation_type": "rotating"})
    provider_process.fail("fields", fields={"interval": 1}, path="/oauth/device/code", times=0)
    provider_process.tenant(device_interval=0.8)
    return provider_process


@pytest.fixture
def operator(rig, upstream, authority, provider):
    """An operator with one account that nobody has connected yet."""
    return make_operator(rig, upstream, authority, provider)


def make_operator(rig, upstream, authority, provider, provider_text=PROVIDER, account=ACCOUNT):
    rig.host(API, upstream, authority.ca_file).host(NAME, provider)
    rig._accounts.append(f'[[account]]\nname = "calendar"\n{account}\n')
    rig.secrets["corp-client"] = SECRET
    rig.extra(provider_text)
    return rig.configure()


class Connecting:
    """A `sanctum connect` that waits for its person."""

    def __init__(self, rig, *arguments, environment=None):
        self.process = subprocess.Popen(
            [BIN / "sanctum", "connect", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=rig.work, env=dict(rig.environment, **(environment or {})),
            bufsize=0, start_new_session=True, **rig.identity.popen)
        rig._known.add(self.process.pid)
        self.text = ""

    def read_until(self, pattern):
        while not (found := re.search(pattern, self.text, re.M)):
            line = self.process.stdout.readline().decode()
            assert line, f"it ended: {self.text}\n{self.process.stderr.read().decode()}"
            self.text += line
        return found

    def address(self):
        """The address that the person is to open."""
        return self.read_until(r"^    (https://\S+)$")[1]

    def user_code(self):
        return self.read_until(r"type this code:\n\n    (\S+)\n")[1]

    def finish(self):
        stdout, stderr = self.process.communicate(timeout=WAIT_SECONDS)
        self.text += stdout.decode()
        self.errors = stderr.decode()
        return self.process.returncode


class Browser:
    """As much of one as logging in takes: redirects and cookies."""

    def __init__(self, provider, authority):
        self.provider, self.authority, self.asked = provider, authority, []

    def open(self, url):
        """Follows to the end; the answer of our own listener, or the provider's last word."""
        with httpx.Client(verify=str(self.authority.ca_file), follow_redirects=False, trust_env=False) as web:
            for _ in range(10):
                self.asked.append(url)
                parts = urllib.parse.urlsplit(url)
                headers = {}
                if parts.hostname == self.provider.name:
                    url = parts._replace(netloc=self.provider.address).geturl()
                    headers["host"] = self.provider.name
                elif parts.fragment:
                    # What the script of the page does: no browser sends a fragment.
                    page = web.get(parts._replace(fragment="").geturl())
                    assert "location.replace('/callback?' + location.hash.slice(1))" in page.text
                    assert "script-src 'sha256-" in page.headers["content-security-policy"]
                    url = parts._replace(fragment="", query=parts.fragment).geturl()
                answer = web.get(url, headers=headers)
                if "location" not in answer.headers:
                    return answer
                url = urllib.parse.urljoin(self.asked[-1], answer.headers["location"])
        raise AssertionError(self.asked)


@pytest.fixture
def browser(provider, authority):
    return Browser(provider, authority)


def use(rig, upstream):
    """A mission that needs the account: the token that the upstream saw."""
    outcome = rig.run("curl", "-sS", "--fail", f"https://{API}/describe", profile=rig.profile(PROFILE))
    assert outcome.code == 0, outcome
    return upstream.exchanges[-1].header("authorization").removeprefix("Bearer ")


def record(rig):
    return json.loads((rig.data / "consents" / "calendar.json").read_text())


def nothing_is_stored(rig):
    items = json.loads(rig.sanctum("vault", "list", "--json").stdout)["items"]
    return [item["name"] for item in items] == ["corp-client"] and not (rig.data / "consents").exists()


# ---- the device flow ------------------------------------------------------------------------------------------------

def test_a_consent_on_another_device_is_what_the_next_mission_uses(rig, operator, upstream, provider):
    connecting = Connecting(rig, "calendar", "--flow", "device")
    code = connecting.user_code()
    provider.approve_device(code)

    assert connecting.finish() == 0, connecting.errors
    said = connecting.text
    # Before anything was asked: scopes, item and place.
    assert said.index("asks for   calendar.events calendar.readonly offline_access") < said.index(code)
    assert said.index(f"item `alice` of {rig.data}/store.sealed") < said.index(code)
    assert "Given are exactly the scopes" in said
    issued = [token for token in provider.log(path="/oauth/token")[-1]["issued"] if token["kind"] == "refresh_token"]
    first = use(rig, upstream)
    assert provider.is_alive(first)
    refreshed = provider.log(grant="refresh_token")
    assert refreshed[0]["subject"] == issued[0]["sha256"] and refreshed[0]["returned"] == ["calendar.readonly"]
    use(rig, upstream)
    assert provider.log(grant="refresh_token")[1]["subject"] != issued[0]["sha256"], "the rotated one was kept"
    written = record(rig)
    assert (written["flow"], written["received"]) == ("device", ["calendar.events", "calendar.readonly",
                                                                 "offline_access"])


@pytest.mark.parametrize("is_proved", [True, False])
def test_a_client_whose_tokens_are_bound_is_connected_with_a_proof(rig, upstream, authority, provider, is_proved):
    """The consent is proved with a key of its own, and each refresh of a mission with the mission's."""
    provider.client("desk", secret=SECRET, grants=[DEVICE_GRANT, "refresh_token"], application_type="native",
                    refresh_token={"rotation_type": "rotating"}, dpop_bound_access_tokens=True)
    make_operator(rig, upstream, authority, provider, PROVIDER + ("dpop = true\n" if is_proved else ""))
    connecting = Connecting(rig, "calendar", "--flow", "device")
    provider.approve_device(connecting.user_code())

    assert (connecting.finish() == 0) is is_proved, connecting.errors
    if not is_proved:
        assert nothing_is_stored(rig)
        return
    for _ in range(2):
        scheme, token = use(rig, upstream).split(" ")
        assert scheme == "DPoP" and provider.is_alive(token)
        assert len(upstream.exchanges[-1].header("dpop").split(".")) == 3


@pytest.mark.parametrize("is_shown", [True, False])
def test_a_client_whose_tokens_are_bound_to_a_certificate_is_connected_with_one(rig, upstream, authority, provider,
                                                                               is_shown):
    """One for the consent, and each mission has its own for its refresh; this API asks for none, and gets no token."""
    provider.client("desk", secret=SECRET, grants=[DEVICE_GRANT, "refresh_token"], application_type="native",
                    refresh_token={"rotation_type": "rotating"}, tls_client_certificate_bound_access_tokens=True)
    make_operator(rig, upstream, authority, provider, PROVIDER + ("certificate_bound = true\n" if is_shown else ""))
    connecting = Connecting(rig, "calendar", "--flow", "device")
    provider.approve_device(connecting.user_code())

    assert (connecting.finish() == 0) is is_shown, connecting.errors
    if not is_shown:
        assert nothing_is_stored(rig)
        return
    for _ in range(2):
        outcome = rig.run("curl", "-sS", f"https://{API}/describe", profile=rig.profile(PROFILE))
        assert outcome.refused == [("client_certificate", API, "/describe")], outcome
    assert [entry["status"] for entry in provider.log(grant="refresh_token")] == [200, 200]
    assert len(provider.certificates()) == 3 and upstream.exchanges == []


def pauses(*entries):
    """The seconds between what one entry of the provider's log tells and the next; each is written before its answer
    leaves, so that a slow machine makes them longer and never shorter."""
    return [later["time"] - earlier["time"] for earlier, later in itertools.pairwise(entries)]


def test_the_provider_is_asked_no_faster_than_it_says(rig, operator, provider):
    connecting = Connecting(rig, "calendar", "--flow", "device")
    connecting.user_code()
    polls = provider.wait_for(3, grant=DEVICE_GRANT)
    assert {entry["error"] for entry in polls} == {"authorization_pending"}
    begun, = provider.log(path="/oauth/device/code")
    assert min(pauses(begun, *polls)) >= 0.99  # a second, and the log's clock counts in milliseconds
    connecting.process.send_signal(signal.SIGINT)
    assert connecting.finish() == 130 and "nothing was stored" in connecting.errors
    assert nothing_is_stored(rig)


def test_slow_down_lengthens_the_pause(rig, operator, provider):
    provider.fail("status", status=400, body='{"error": "slow_down"}', content_type="application/json",
                  path="/oauth/token")
    connecting = Connecting(rig, "calendar", "--flow", "device")
    provider.approve_device(connecting.user_code())
    assert connecting.finish() == 0, connecting.errors
    assert min(pauses(*provider.log(grant=DEVICE_GRANT))) >= 5.99, "the second of the interval and five more"


@pytest.mark.parametrize("case", ["denied", "expired"])
def test_a_refused_device_consent_stores_nothing_and_says_what_to_change(rig, operator, provider, case):
    if case == "expired":
        provider.mend()
        provider.fail("fields", fields={"interval": 1, "expires_in": 2}, path="/oauth/device/code", times=0)
    connecting = Connecting(rig, "calendar", "--flow", "device")
    code = connecting.user_code()
    if case == "denied":
        provider.deny_device(code)
    assert connecting.finish() == 1
    expected = ["access_denied", "The user denied the request.", "assign the user"] if case == "denied" else \
        ["expired_token", "begin again"]
    for words in [*expected, "client desk", "nothing was stored"]:
        assert words in connecting.errors, connecting.errors
    assert nothing_is_stored(rig)


@pytest.mark.parametrize("fields", [{"verification_uri": "http://login.example.org/activate"},
                                    {"verification_uri": "https://x\u001b[2J"}, {"user_code": "A\u001b]0;x"},
                                    {"device_code": None}, {"expires_in": 0}])
def test_what_a_provider_wants_shown_is_checked_before_a_person_sees_it(rig, operator, provider, fields):
    provider.mend()
    provider.fail("fields", fields=fields, path="/oauth/device/code", times=0)
    connecting = Connecting(rig, "calendar", "--flow", "device")
    assert connecting.finish() == 1
    assert "RFC 8628" in connecting.errors and "\x1b" not in connecting.errors + connecting.text


def test_on_a_terminal_the_plan_comes_before_the_passphrase_and_the_time_is_counted_down(rig, operator, provider):
    passphrase = "secret horse battery"
    rig.key_file.unlink()
    (rig.data / "store.sealed").unlink()
    text = (rig.configuration / "config.toml").read_text()
    rig.write(rig.configuration / "config.toml", text.replace(f"key-file:{rig.key_file}", "passphrase"), 0o600)
    environment = dict(rig.environment, TERM="xterm")

    def type_in(command, *answers):
        screen = Terminal(["bash", "-c", f"{BIN}/{command}; echo =ended= $?"], environment, rig.work, rig.identity)
        rig._known.add(screen.process.pid)
        for prompt, answer in answers:
            screen.read_until(prompt)
            screen.type(answer + "\n")
        return screen
    asked = ("(?i)passphrase.*: ", passphrase)
    type_in("sanctum vault init", asked, ("again: ", passphrase)).read_until("=ended= 0")
    type_in("sanctum vault add corp-client", asked, ("corp-client.*: ", SECRET),
            ("again: ", SECRET)).read_until("=ended= 0")

    screen = type_in("sanctum connect calendar --flow device")
    screen.read_until("(?s)asks for.*stores.*Passphrase of .*: ")
    screen.type(passphrase + "\n")
    code = screen.read_until(r"type this code:\s+(\S+)\s")[1]
    screen.read_until(r"Waiting for the consent: \d+:\d\d left")
    provider.approve_device(code)
    screen.read_until("=ended= 0")

    waiting = type_in("sanctum connect calendar --flow device", asked)
    waiting.read_until("Waiting for the consent")
    waiting.type("\x03")
    assert "cancelled; nothing was stored" in waiting.read_until(r"(?s)(.*)=ended= 130")[1]
    (rig.data / "store.sealed").unlink()


# ---- the browser ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("is_pushed", [False, True])
def test_a_consent_in_the_browser_is_what_the_next_mission_uses(rig, upstream, authority, provider, browser,
                                                                is_pushed):
    text = PROVIDER + ("require_pushed_authorization_requests = true\n" if is_pushed else "")
    make_operator(rig, upstream, authority, provider, text)
    connecting = Connecting(rig, "calendar", "--flow", "browser", "--no-browser")
    url = connecting.address()
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
    if is_pushed:
        assert set(asked) == {"client_id", "request_uri"}
        assert provider.log(path="/oauth/par")[0]["status"] == 201
    else:
        assert asked["code_challenge_method"] == "S256" and len(asked["state"]) == 43
        assert asked["redirect_uri"].startswith("http://127.0.0.1:")
    answer = browser.open(url)

    assert answer.status_code == 200 and "close this window" in answer.text
    assert "script" not in answer.text and answer.headers["cache-control"] == "no-store"
    assert connecting.finish() == 0, connecting.errors
    assert provider.is_alive(use(rig, upstream))
    assert record(rig)["flow"] == "browser"
    # One answer only: nobody listens any more.
    with pytest.raises(httpx.ConnectError):
        httpx.get(browser.asked[-1], trust_env=False)


def test_only_the_answer_to_our_question_counts(rig, operator, provider, browser):
    connecting = Connecting(rig, "calendar", "--flow", "browser", "--no-browser")
    url = connecting.address()
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))
    base, state = asked["redirect_uri"], asked["state"]
    port = urllib.parse.urlsplit(base).port

    def status(target, method="GET", **headers):
        return httpx.request(method, target, headers=headers, trust_env=False).status_code
    assert status(base) == 400
    assert status(f"{base}?code=x&state={'A' * 43}") == 400
    assert status(f"{base}?error=access_denied&state=") == 400
    assert status(f"{base}?code=x&state={state}&code=y") == 400
    assert status(f"{base}?code=x&state={state}", host="evil.test") == 421
    assert status(f"{base}?code=x&state={state}", method="POST") == 405
    assert status(f"http://127.0.0.1:{port}/other?code=x&state={state}") == 404
    with socket.create_connection(("127.0.0.1", port)) as endless:       # a browser that opens one ahead, or worse
        endless.sendall(b"GET /callback HTTP/1.1\r\n" + b"x: " + b"y" * 40_000)
        with contextlib.suppress(ConnectionResetError):
            assert endless.recv(100) == b""
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
    assert browser.open(url).status_code == 200
    assert connecting.finish() == 0, connecting.errors
    for each in held:
        each.close()


@pytest.mark.parametrize("issuer", ["https://other.test/", None])
def test_an_answer_of_another_issuer_is_no_consent(rig, operator, issuer):
    connecting = Connecting(rig, "calendar", "--flow", "browser", "--no-browser")
    asked = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(connecting.address()).query))
    query = {"code": "stolen", "state": asked["state"], **({"iss": issuer} if issuer else {})}
    answer = httpx.get(f"{asked['redirect_uri']}?{urllib.parse.urlencode(query)}", trust_env=False)
    assert "no consent" in answer.text
    assert connecting.finish() == 1 and "RFC 9207" in connecting.errors
    assert nothing_is_stored(rig)


def test_a_refusal_in_the_browser_says_why_and_stores_nothing(rig, operator, provider, browser):
    provider.tenant(deny=True)
    connecting = Connecting(rig, "calendar", "--flow", "browser", "--no-browser")
    assert "no consent" in browser.open(connecting.address()).text
    assert connecting.finish() == 1
    assert "access_denied" in connecting.errors and "End-User aborted interaction" in connecting.errors
    assert nothing_is_stored(rig)


def test_a_browser_that_is_started_learns_the_address_from_a_private_file(rig, operator, provider, browser):
    program = rig.write(rig.folder / "browser", "#!/bin/sh\nprintf '%s' \"$1\" > \"$0.called\"\n", 0o755)
    rig.identity.own(rig.folder)
    connecting = Connecting(rig, "calendar", "--flow", "browser", environment={"BROWSER": str(program)})
    url = connecting.address()
    if rig.identity.name == "root":
        connecting.read_until("The provider comes back")
        assert "A browser was started" not in connecting.text, "no browser runs as root"
    else:
        connecting.read_until("A browser was started with it")
        called = Path(f"{program}.called")
        deadline = time.monotonic() + WAIT_SECONDS
        while not (called.exists() and called.read_text()):
            assert time.monotonic() < deadline
        page = Path(called.read_text().removeprefix("file://"))
        assert page.stat().st_mode & 0o777 == 0o600 and url.replace("&", "&amp;") in page.read_text()
        arguments = " ".join(map(processes.command_of, processes.all_pids()))
        assert "sanctum-vault connect" in arguments and urllib.parse.parse_qs(url)["state"][0] not in arguments
    browser.open(url)
    assert connecting.finish() == 0, connecting.errors
    assert not list(rig.runtime.glob("sanctum-connect-*"))


# ---- what came back -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("case", ["narrower", "wider", "unsaid"])
def test_scopes_other_than_asked_are_said(rig, operator, provider, case):
    scope = {"narrower": "calendar.readonly", "wider": "calendar.readonly calendar.events mail", "unsaid": None}[case]
    provider.fail("fields", fields={"scope": scope}, path="/oauth/token", grant="device_code", times=0)
    connecting = Connecting(rig, "calendar", "--flow", "device")
    provider.approve_device(connecting.user_code())
    assert connecting.finish() == 0, connecting.errors
    assert {"narrower": "not given are calendar.events", "wider": "given are also mail",
            "unsaid": "did not say which scopes"}[case] in connecting.text
    assert record(rig)["received"] == (sorted(scope.split()) if scope else None)


def test_scopes_of_the_command_line_go_before_the_accounts(rig, operator, provider):
    connecting = Connecting(rig, "calendar", "--flow", "device", "--scopes", "read,mail")
    provider.approve_device(connecting.user_code())
    assert connecting.finish() == 0, connecting.errors
    assert record(rig)["asked"] == ["calendar.readonly", "mail", "offline_access"]


def test_a_provider_that_gives_no_refresh_token_leaves_nothing(rig, operator, provider):
    provider.fail("fields", fields={"refresh_token": None}, path="/oauth/token", grant="device_code", times=0)
    connecting = Connecting(rig, "calendar", "--flow", "device")
    provider.approve_device(connecting.user_code())
    assert connecting.finish() == 1
    assert "no refresh token" in connecting.errors and "grant type refresh_token" in connecting.errors
    minted = {token["sha256"] for token in provider.log(grant=DEVICE_GRANT)[-1]["issued"]
              if token["kind"] == "access_token"}
    assert minted <= set(provider.revoked()) and nothing_is_stored(rig)


def test_connecting_again_replaces_what_a_mission_lost(rig, operator, upstream, provider):
    for _ in range(2):
        connecting = Connecting(rig, "calendar", "--flow", "device")
        provider.approve_device(connecting.user_code())
        assert connecting.finish() == 0, connecting.errors
        use(rig, upstream)
    assert len(json.loads(rig.sanctum("vault", "list", "--json").stdout)["items"]) == 2


# ---- what is refused before anybody is asked ------------------------------------------------------------------------

def test_a_locked_store_is_exit_code_4(rig, operator, provider):
    rig.key_file.rename(rig.folder / "away.key")
    text = (rig.configuration / "config.toml").read_text()
    rig.write(rig.configuration / "config.toml", text.replace(f"key-file:{rig.key_file}", "keyring"), 0o600)
    connecting = Connecting(rig, "calendar", "--flow", "device")
    assert connecting.finish() == 4 and "vault unlock" in connecting.errors
    assert provider.log(path="/oauth/device/code") == []
    rig.write(rig.configuration / "config.toml", text, 0o600)
    (rig.folder / "away.key").rename(rig.key_file)


@pytest.mark.parametrize("case", ["down", "unwell", "expired certificate"])
def test_a_provider_out_of_reach_is_exit_code_5(rig, operator, provider, case, request):
    if case == "down":
        provider.down()
        request.addfinalizer(provider.up)
    elif case == "unwell":
        provider.fail("status", status=503, path="/.well-known", times=0)
    else:
        provider.certificate("expired")
    connecting = Connecting(rig, "calendar")
    assert connecting.finish() == 5, connecting.errors
    assert "provider corp" in connecting.errors


def look_up_below(pid):
    """The process of a look-up and its dialler, once both are there."""
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        for below in processes.descendants_of(pid):
            with contextlib.suppress(OSError):
                is_look_up = Path(f"/proc/{below}/comm").read_text() == "sanctum-lookup\n"
                if is_look_up and (children := processes.children_of(below)):
                    return [below, *children]
        processes.wait_for_end(pid, 0.02)
    raise AssertionError("no look-up came")


def test_the_look_up_has_neither_the_callers_variables_nor_its_terminal(rig, operator, provider):
    """A shell holds tokens in variables; what reads a provider's answer, and what reads the answers of DNS for it,
    need none of them."""
    identities.require(os.geteuid() == 0, "needs root to look into the processes")
    canary = b"variable-canary-5e1c90"
    provider.fail("slow", seconds=6, path="/.well-known", times=1)
    connecting = Connecting(rig, "calendar", "--flow", "device", "--dry-run",
                            environment={"ACME_TOKEN": canary.decode()})
    confined = look_up_below(connecting.process.pid)
    everyone = [connecting.process.pid, *processes.descendants_of(connecting.process.pid)]
    found = {pid for pid in everyone if any(canary in data for _, data in memory_of(pid))}
    variables = b"".join(Path(f"/proc/{pid}/environ").read_bytes() for pid in confined).strip(b"\0")
    standard = {os.readlink(f"/proc/{pid}/fd/{number}") for pid in confined for number in range(3)}
    assert connecting.finish() == 0, connecting.errors

    assert found and not found & set(confined), (found, confined)
    assert variables == b"" and standard == {"/dev/null"}, (variables, standard)


@pytest.mark.parametrize("account, words", [("nobody", "accounts that can be connected: calendar"),
                                            ("bot", "install the app"), ("plain", "knows no consent"),
                                            ("worker", "Connected Accounts")])
def test_an_account_that_cannot_be_connected_is_refused_with_what_to_do(rig, upstream, authority, provider, account,
                                                                        words):
    rig.account("bot", 'catalog = "github"\nsource = "github-app"\napp_id = "1"\ninstallation = "1"\nitem = "bot-key"',
                secret="canary-bot-key")
    rig.account("plain", 'catalog = "github"\nsource = "local"\nitem = "plain"', secret="canary-plain-1")
    rig.account("worker", 'catalog = "github"\nsource = "auth0"\ntenant = "acme"\nconnection = "github"\n'
                'exchange = "access-token"\nitem = "worker"', secret="canary-worker")
    rig.extra('[tenant.acme]\ndomain = "acme.us.auth0.com"\nclient_id = "CID"\n'
              'client_secret = { item = "corp-client" }')
    make_operator(rig, upstream, authority, provider)
    connecting = Connecting(rig, account)
    assert connecting.finish() == 2 and words in connecting.errors, connecting.errors


@pytest.mark.parametrize("fields, words", [
    ({"issuer": f"https://{NAME}"}, "asked was the issuer"),
    ({"token_endpoint": "https://evil.test/token"}, "correct token_endpoint or issuer"),
    ({"authorization_endpoint": "http://login.example.org/authorize"}, "no plain https address")])
def test_metadata_that_does_not_fit_the_configuration_is_refused(rig, operator, provider, fields, words):
    provider.fail("fields", fields=fields, path="/.well-known", times=0)
    connecting = Connecting(rig, "calendar")
    assert connecting.finish() == 1 and words in connecting.errors, connecting.errors


@pytest.mark.parametrize("flow, path", [("device", "/oauth/device/code"), ("browser", "/oauth/par")])
def test_a_client_that_may_not_ask_is_told_which_setting_it_lacks(rig, upstream, authority, provider, flow, path):
    make_operator(rig, upstream, authority, provider, PROVIDER + "require_pushed_authorization_requests = true\n")
    provider.mend()
    provider.fail("status", status=400, content_type="application/json", path=path,
                  body='{"error": "unauthorized_client", "error_description": "not for \\u001bdesk"}')
    connecting = Connecting(rig, "calendar", "--flow", flow, "--no-browser")
    assert connecting.finish() == 1
    assert 'unauthorized_client ("not for ?desk"); switch this flow\'s grant type on' in connecting.errors


def test_a_client_that_does_not_know_the_redirect_address_is_told_so(rig, upstream, authority, provider):
    make_operator(rig, upstream, authority, provider, PROVIDER + "require_pushed_authorization_requests = true\n")
    provider.client("desk", secret=SECRET, grants=["authorization_code", "refresh_token"],
                    redirect_uris=["https://elsewhere.test/callback"])
    connecting = Connecting(rig, "calendar", "--flow", "browser", "--no-browser")
    assert connecting.finish() == 1 and "register the redirect address" in connecting.errors, connecting.errors


def test_metadata_is_found_where_only_openid_puts_it(rig, operator, provider):
    provider.fail("status", status=200, body="<!doctype html>", content_type="text/html", times=0,
                  path="/.well-known/oauth-authorization-server")
    connecting = Connecting(rig, "calendar", "--flow", "device", "--dry-run")
    assert connecting.finish() == 0, connecting.errors


def test_a_consent_for_an_api_is_asked_of_the_server_that_the_api_names(rig, upstream, authority, provider):
    """The configuration says only which API it is for; the mission that follows finds its way by itself."""
    resource = f"{ISSUER}calendar"
    provider.tenant(apis={resource: {"scopes": SCOPES, "format": "opaque"}})
    make_operator(rig, upstream, authority, provider, f'[provider.corp]\nresource = "{resource}"\nclient_id = "desk"\n'
                  'client_secret = { item = "corp-client" }\n')
    connecting = Connecting(rig, "calendar", "--flow", "device")
    provider.approve_device(connecting.user_code())
    assert connecting.finish() == 0, connecting.errors
    assert provider.is_alive(use(rig, upstream))

    provider.tenant(apis={})
    refused = Connecting(rig, "calendar", "--flow", "device")
    assert refused.finish() == 1 and "check `audience` and `resource`" in refused.errors, "it is named"


DETAILED = ACCOUNT + """resource = "https://calendar.test/"
resources = { calendar = ["team", "rooms"] }
authorization_details = [
  { for = ["read"], type = "calendar", actions = ["read"], locations = ["https://calendar.test/{calendar}"] },
]
"""


@pytest.mark.parametrize("is_pushed", [False, True])
def test_a_person_is_asked_for_what_the_account_says_in_the_providers_structure(rig, upstream, authority, provider,
                                                                               browser, is_pushed):
    text = PROVIDER + ("require_pushed_authorization_requests = true\n" if is_pushed else "")
    make_operator(rig, upstream, authority, provider, text, DETAILED)
    provider.client("desk", secret=SECRET, grants=["authorization_code", "refresh_token"],
                    redirect_uris=["http://127.0.0.1/callback"], application_type="native",
                    authorization_details_types=["calendar"])
    provider.tenant(apis={"https://calendar.test/": {"scopes": SCOPES, "format": "opaque"}})
    connecting = Connecting(rig, "calendar", "--flow", "browser", "--no-browser")
    address = connecting.address()
    asked = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)
    if is_pushed:
        assert "authorization_details" not in asked, "the browser carries a reference"
    else:
        assert json.loads(asked["authorization_details"][0]) == [{
            "type": "calendar", "actions": ["read"],
            "locations": ["https://calendar.test/rooms", "https://calendar.test/team"]}]
    assert "Sanctum has the answer" in browser.open(address).text

    assert connecting.finish() == 0, connecting.errors
    words = "calendar actions=read locations=https://calendar.test/rooms,https://calendar.test/team"
    assert f"  and for    {words}\n" in connecting.text
    assert f"Given is {words}\n" in connecting.text and "not what was asked" not in connecting.text


@pytest.mark.parametrize("account, word", [
    (DETAILED.replace('"team", "rooms"', '"**"'), "`resources` of the account"),
    (DETAILED.replace('type = "calendar"', 'type = "unheard"'), "knows no authorization_details of type unheard")])
def test_details_that_nobody_could_consent_to_are_refused_before_anybody_is_asked(rig, upstream, authority, provider,
                                                                                 account, word):
    make_operator(rig, upstream, authority, provider, PROVIDER, account)
    connecting = Connecting(rig, "calendar", "--flow", "browser", "--no-browser")
    assert connecting.finish() == 2 and word in connecting.errors, connecting.errors


def test_endpoints_that_are_written_need_no_metadata(rig, upstream, authority, provider):
    text = PROVIDER.replace(f'issuer = "{ISSUER}"\n', "")
    make_operator(rig, upstream, authority, provider,
                  text + f'device_authorization_endpoint = "{ISSUER}oauth/device/code"\n')
    connecting = Connecting(rig, "calendar", "--scopes", "read,offline_access")
    provider.approve_device(connecting.user_code())
    assert connecting.finish() == 0, connecting.errors
    assert provider.log(path="/.well-known") == []


def test_a_provider_without_pkce_or_a_flow_is_named_with_the_setting(rig, operator, provider):
    provider.fail("fields", fields={"code_challenge_methods_supported": ["plain"],
                                    "device_authorization_endpoint": None}, path="/.well-known", times=0)
    without_device = Connecting(rig, "calendar", "--flow", "device")
    assert without_device.finish() == 2 and "device_authorization_endpoint" in without_device.errors
    without_pkce = Connecting(rig, "calendar", "--flow", "browser", "--no-browser")
    assert without_pkce.finish() == 1 and "S256" in without_pkce.errors


def test_a_dry_run_asks_nobody_for_consent(rig, operator, provider):
    connecting = Connecting(rig, "calendar", "--flow", "device", "--dry-run")
    assert connecting.finish() == 0 and "asks for" in connecting.text
    assert provider.log(path="/oauth/device/code") == [] and nothing_is_stored(rig)


def test_no_token_is_ever_printed_or_left_in_a_file(rig, operator, upstream, provider, browser):
    connecting = Connecting(rig, "calendar", "--flow", "browser", "--no-browser")
    browser.open(connecting.address())
    assert connecting.finish() == 0, connecting.errors
    hashes = {token["sha256"] for entry in provider.log(path="/oauth/token") for token in entry["issued"]}
    assert hashes
    words = re.findall(r"[A-Za-z0-9_-]{20,}", connecting.text + connecting.errors)
    for path in rig.folder.rglob("*"):
        if path.is_file() and path.name not in ("store.sealed", "store.key"):
            words += re.findall(r"[A-Za-z0-9_-]{20,}", path.read_bytes().decode(errors="replace"))
    assert not {word for word in words if hashlib.sha256(word.encode()).hexdigest() in hashes}


# ---- what there is --------------------------------------------------------------------------------------------------

def accounts(rig, *options):
    done = rig.expect_ok(rig.sanctum("accounts", *options))
    return done.stdout.decode(), done.stderr.decode()


def the_account(rig):
    lines = [json.loads(line) for line in accounts(rig, "--json")[0].splitlines()]
    return {line["account"]: line for line in lines}["calendar"]


def test_accounts_says_who_consented_who_may_and_when_without_opening_the_store(rig, operator, upstream, provider):
    before = the_account(rig)
    assert (before["connected"], before["consented"], before["profiles"], before["last_used"]) == (None, None, [], None)
    connecting = Connecting(rig, "calendar", "--flow", "device")
    provider.approve_device(connecting.user_code())
    assert connecting.finish() == 0, connecting.errors
    use(rig, upstream)
    profile = rig.configuration / "profiles" / "mission.toml"
    rig.key_file.rename(rig.folder / "away.key")

    after = the_account(rig)
    words, _ = accounts(rig, "--scopes")
    table, _ = accounts(rig)

    (rig.folder / "away.key").rename(rig.key_file)
    assert after["consented"] == ["calendar.events", "calendar.readonly", "offline_access"]
    assert after["provider"] == "provider corp" and after["flow"] == "device" and not after["consent_is_sealed"]
    assert after["profiles"] == [{"file": str(profile), "service": "calendar", "grant": ["read"]}]
    assert after["beyond"] == ["calendar.events"], "consented to, and granted by no profile"
    assert after["last_used"].startswith("20") and after["last_used_is_exact"]
    assert f"read  by service calendar of {profile}" in words and "not sealed" in words
    assert "provider corp" in table and after["last_used"] in table


def test_a_record_of_another_client_or_of_nobody_is_not_shown_as_the_consent(rig, operator, provider):
    connecting = Connecting(rig, "calendar", "--flow", "device")
    provider.approve_device(connecting.user_code())
    assert connecting.finish() == 0, connecting.errors
    path = rig.data / "consents" / "calendar.json"
    good = path.read_text()
    rig.write(path, good.replace('"desk"', '"another"'), 0o600)
    assert the_account(rig)["consented"] is None
    assert "another client or item" in accounts(rig)[1]
    rig.write(path, good, 0o666)
    assert the_account(rig)["consented"] is None, "others could have written it"
    rig.write(path, "{", 0o600)
    assert the_account(rig)["consented"] is None
    rig.write(path, good, 0o600)
    assert the_account(rig)["consented"]


def test_a_use_that_only_a_receipt_remembers_is_said_with_its_bound(rig, operator, upstream, provider):
    connecting = Connecting(rig, "calendar", "--flow", "device")
    provider.approve_device(connecting.user_code())
    assert connecting.finish() == 0, connecting.errors
    use(rig, upstream)
    for path in rig.state.glob("state.db*"):
        path.unlink()
    told = the_account(rig)
    assert told["last_used"].startswith("20") and not told["last_used_is_exact"]
    assert f"by {told['last_used']}" in accounts(rig)[0]


# ---- Auth0's Token Vault --------------------------------------------------------------------------------------------

TENANT = "acme.auth0.test"
USER = "auth0|u1"
VAULT_ACCOUNT = f"""catalog = "http-bearer"
hosts = ["{API}"]
source = "auth0"
tenant = "acme"
connection = "google-oauth2"
item = "alice"
grant = ["read", "write"]
scope_names = {{ read = "calendar.readonly", write = "calendar.events" }}
"""


@pytest.fixture(scope="session")
def tenant_process(tmp_path_factory, authority):
    identities.require(is_installed(), "the doubles are not installed (scripts/setup doubles)")
    folder = tmp_path_factory.mktemp("acme")
    with auth0_double(folder, authority, name=TENANT, issuer=f"https://{TENANT}/") as double:
        yield double


@pytest.fixture
def tenant(tenant_process):
    tenant_process.reset()
    tenant_process.certificate("now")
    tenant_process.client("desk", secret=SECRET,
                          grants=[VAULT_GRANT, DEVICE_GRANT, "authorization_code", "refresh_token"],
                          redirect_uris=["http://127.0.0.1/callback"], application_type="native")
    tenant_process.connection("google-oauth2", prefix="ya29.", narrowing="honoured")
    tenant_process.fail("fields", fields={"interval": 1}, path="/oauth/device/code", times=0)
    tenant_process.tenant(device_interval=0.8)
    return tenant_process


@pytest.fixture
def vaulted(rig, upstream, authority, tenant):
    """An operator whose account is in a Token Vault that nobody has filled."""
    rig.host(API, upstream, authority.ca_file).host(TENANT, tenant)
    rig._accounts.append(f'[[account]]\nname = "calendar"\n{VAULT_ACCOUNT}\n')
    rig.secrets["corp-client"] = SECRET
    rig.extra(f'[tenant.acme]\ndomain = "{TENANT}"\nclient_id = "desk"\nclient_secret = {{ item = "corp-client" }}')
    return rig.configure()


@pytest.mark.parametrize("flow", ["device", "browser"])
def test_token_vault_is_filled_by_a_login_and_a_connection(rig, vaulted, upstream, tenant, authority, flow):
    browser = Browser(tenant, authority)
    connecting = Connecting(rig, "calendar", "--flow", flow, "--no-browser")
    if flow == "device":
        tenant.approve_device(connecting.user_code(), user=USER)
    else:
        assert browser.open(connecting.address()).status_code == 200
    connecting.read_until("now the account itself")
    connecting.text = ""
    assert browser.open(connecting.address()).status_code == 200

    assert connecting.finish() == 0, connecting.errors
    account, = tenant.accounts(USER)
    assert account["scopes"] == SCOPES and account["connection"] == "google-oauth2"
    assert tenant.is_alive(use(rig, upstream))
    assert record(rig)["received"] == SCOPES
    told = the_account(rig)
    assert told["provider"] == "tenant acme" and told["consented"] == SCOPES


def test_a_user_who_is_logged_in_connects_without_a_second_login(rig, vaulted, upstream, tenant, authority):
    rig.secrets["alice"] = tenant.refresh_token("desk", USER)
    rig.configure()
    connecting = Connecting(rig, "calendar", "--scopes", "read", "--no-browser")
    assert Browser(tenant, authority).open(connecting.address()).status_code == 200
    assert connecting.finish() == 0, connecting.errors
    assert " login " not in connecting.text.split("\n  notes ")[1], connecting.text
    assert tenant.accounts(USER)[0]["scopes"] == ["calendar.readonly"]
    use(rig, upstream)


def test_a_dead_token_of_the_user_is_replaced_by_a_login(rig, vaulted, upstream, tenant, authority):
    rig.secrets["alice"] = "dead-canary-0123456789"
    rig.configure()
    connecting = Connecting(rig, "calendar", "--flow", "device")
    tenant.approve_device(connecting.user_code(), user=USER)
    connecting.read_until("now the account itself")
    Browser(tenant, authority).open(connecting.address())
    assert connecting.finish() == 0, connecting.errors
    use(rig, upstream)


@pytest.mark.parametrize("case", ["refused", "no such connection", "no scope", "elsewhere"])
def test_a_tenant_that_does_not_connect_says_why(rig, vaulted, tenant, authority, case):
    rig.secrets["alice"] = tenant.refresh_token("desk", USER)
    rig.configure()
    words = {"refused": "access_denied", "no such connection": "check `connection`",
             "no scope": "activate the My Account API", "elsewhere": "no address of its own"}[case]
    if case == "no such connection":
        text = (rig.configuration / "config.toml").read_text()
        rig.write(rig.configuration / "config.toml", text.replace('"google-oauth2"', '"googel"'), 0o600)
    elif case == "no scope":
        tenant.fail("status", status=403, body='{"status": 403, "title": "Forbidden", "detail": "Insufficient scope"}',
                    content_type="application/problem+json", path="/me/v1/")
    elif case == "elsewhere":
        tenant.fail("fields", fields={"connect_uri": "https://evil.test/connect"}, path="/me/v1/")
    tenant.tenant(deny=case == "refused")
    connecting = Connecting(rig, "calendar", "--no-browser")
    if case == "refused":
        Browser(tenant, authority).open(connecting.address())
    assert connecting.finish() == 1 and words in connecting.errors, connecting.errors
    assert tenant.accounts(USER) == [] and not (rig.data / "consents").exists()


# ---- the README -----------------------------------------------------------------------------------------------------

def test_the_readmes_walk_through_happens_as_it_is_written(rig, provider):
    section = (SOURCE / "README.md").read_text().split("\n## Connecting an account\n")[1].split("\n## ")[0]
    configuration, = re.findall(r"```toml\n(.*?)```", section, re.DOTALL)
    transcript, = re.findall(r" {3}```\n(.*?) {3}```", section, re.DOTALL)
    command, *expected = [line[3:] for line in transcript.splitlines()]
    rig.host(NAME, provider, provider.ca_file)
    rig._accounts.append(configuration.partition("[provider")[0])
    rig.extra("[provider" + configuration.partition("[provider")[2])
    rig.secrets["corp-client"] = SECRET
    rig.configure()

    connecting = Connecting(rig, *command.split()[3:])
    code = connecting.user_code()
    provider.approve_device(code)

    assert connecting.finish() == 0, connecting.errors
    told = connecting.text.replace(code, "GQSP-WJTV").replace(str(rig.data), "/home/me/.local/share/sanctum")
    assert told.splitlines() == expected
