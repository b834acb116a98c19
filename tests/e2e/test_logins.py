# SPDX-License-Identifier: Apache-2.0
"""Agents with a subscription: a login that the agent does by itself is done by the vault in its place, and one that the
operator did before is used without any login; the agent has placeholders. The providers are doubles, the client in the
mission sends what Claude Code and Codex send. The two themselves: test_agents_login.py."""

import base64
import contextlib
import json
import os
import signal
import sys
import urllib.parse
from pathlib import Path

import httpx
import pytest

import identity as identities
import leak_sweep
import processes
from process_memory import memory_of
from rig import SUPPORT, mission_head
from test_connect import Connecting

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "doubles"))

from providers import CLAUDE, CODEX, LoginDouble  # noqa: E402

API = {"claude": "https://api.anthropic.com/v1/models", "codex": "https://chatgpt.com/backend-api/codex/models"}
SCOPE = {"claude": "messages", "codex": "responses"}
TOKEN = {"claude": "https://platform.claude.com/v1/oauth/token", "codex": "https://auth.openai.com/oauth/token"}
FILES = {"claude": ".claude/.credentials.json", "codex": ".codex/auth.json"}
TOKEN_NAMES = {"claude": ("access_token", "refresh_token"), "codex": ("access_token", "refresh_token", "id_token")}


class World:
    """An operator with one account whose source is a login, and the mission's client inside."""

    def __init__(self, rig, double):
        self.rig, self.double, self.name = rig, double, double.name
        for host in double.dialect.hosts:
            rig.host(host, double, double.ca_file)
        rig.write(rig.work / "login_client.py", (SUPPORT / "login_client.py").read_text())

    def account(self, item=False):
        text = f'catalog = "{self.name}"\nsource = "login"\n' + (f'item = "{self.name}"\n' if item else "")
        self.rig._accounts.append(f'[[account]]\nname = "{self.name}"\n{text}')
        if item:
            self.rig.secrets["other"] = "canary-that-makes-a-store-0b1f"
        self.rig.configure()
        return self

    def profile(self, login='login = "capture"', grant=(), name="mission"):
        scopes = json.dumps([SCOPE[self.name], *grant])
        return self.rig.profile(mission_head("logins") + f'[[service]]\nname = "model"\ncatalog = "{self.name}"\n'
                                f'account = "{self.name}"\ngrant = {scopes}\n{login}\n', name)

    def start(self, profile=None):
        return Inside(self, self.rig.start("python3", "login_client.py", self.name, profile=profile or self.profile())
                      .wait_until_started())

    @property
    def real(self):
        """Everything that the provider ever issued and that is good for something."""
        return [token.value for token in self.double.tokens.values() if token.kind != "login"]

    def connect(self):
        """`sanctum connect`, with a person who consents."""
        connecting = Connecting(self.rig, self.name, "--no-browser")
        answer = httpx.get(self.double.person(connecting.address()), trust_env=False)
        assert answer.status_code == 200 and "Sanctum has the answer" in answer.text
        assert connecting.finish() == 0, connecting.errors
        return connecting


class Inside:
    """The client within a mission that runs."""

    def __init__(self, world, running):
        self.world, self.running = world, running

    def step(self, line):
        self.running.send(line + "\n")
        return json.loads(self.running.read_line())

    def log_in(self):
        return self.step("code " + self.world.double.person(self.step("address")["address"]))

    def ask(self):
        return self.step("ask " + API[self.world.name])

    def end(self):
        with contextlib.suppress(OSError):
            self.running.send("end\n")
        outcome = self.running.finish()
        said = outcome.stdout + outcome.stderr
        for token in self.world.real:
            assert not leak_sweep.find_in_bytes(said, token.encode()), "a token was printed"
        return outcome


@pytest.fixture(params=[CLAUDE, CODEX], ids=["claude", "codex"])
def double(request, tmp_path, authority):
    with LoginDouble(tmp_path / "login", authority, request.param) as made:
        yield made


@pytest.fixture
def world(rig, double):
    made = World(rig, double)
    yield made
    for path in rig.folder.rglob("*"):
        if path.is_symlink() or not path.is_file() or path.name in ("store.sealed", "store.key"):
            continue
        for token in made.real:
            assert not leak_sweep.find_in_bytes(path.read_bytes(), token.encode()), path


def holds(text, token):
    """Whether a token, or enough of it to matter, is in a text."""
    parts = [token] + [part for part in token.split(".")[1:] if len(part) > 20]
    return any(leak_sweep.find_in_bytes(text.encode(), part.encode()) for part in parts)


def login_lease(outcome):
    records = [record for record in outcome.of_type("lease.changed") if record["asked"] == ["login"]]
    return records[-1] if records else None


# ---- a login within a mission ---------------------------------------------------------------------------------------

def test_what_a_login_brings_stays_outside_and_works_all_the_same(world, double):
    world.account()
    inside = world.start()
    assert inside.ask()["status"] == 503, "nobody is logged in yet"

    told = inside.log_in()

    assert told["status"] == 200, told
    answer = json.loads(told["text"])
    issued = {token.kind: token.value for token in double.tokens.values()}
    for name in TOKEN_NAMES[world.name]:
        assert answer[name] != issued[name] and "held-by-sanctum" in answer[name], answer
        assert not holds(told["text"], issued[name])
        assert len(answer[name]) >= len(issued[name])
    assert (answer["expires_in"], answer["token_type"]) == (double.dialect.life, "Bearer")
    called = inside.ask()
    assert called["status"] == 200, called
    outcome = inside.end()
    assert outcome.code == 0, outcome
    asked = double.log(grant="authorization_code")
    assert len(asked) == 1 and asked[0]["status"] == 200
    used = [entry["credential"] for entry in double.log(method="GET") if entry.get("credential")]
    assert used == [double.tokens[issued["access_token"]].sha256], "the real token, and only that, went out"
    logins = [record for record in outcome.of_type("exchange.intent") if record["operation"] == "login/token"]
    ends = {record["exchange"]: record for record in outcome.of_type("exchange.outcome")}
    assert [(record["risk"], ends[record["exchange"]]["evidence"]) for record in logins] == \
        [("medium", {"answered_by": "vault"})]


def test_placeholders_have_the_tokens_shape_and_none_of_their_bytes(world, double):
    world.account()
    inside = world.start()
    answer = json.loads(inside.log_in()["text"])
    outcome = inside.end()
    assert outcome.code == 0
    if world.name == "claude":
        assert answer["access_token"].startswith("sk-ant-oat01-held-by-sanctum")
        assert answer["refresh_token"].startswith("sk-ant-ort01-held-by-sanctum")
        assert answer["account"]["email_address"] == "ada@example.org" and answer["organization"]["uuid"]
        return
    header, payload, signature = answer["id_token"].split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"alg": "none", "typ": "JWT"}
    assert claims["https://api.openai.com/auth"]["chatgpt_plan_type"] == "pro" and "jti" not in claims
    assert signature.startswith("held-by-sanctum")
    assert answer["refresh_token"].startswith("rt_")


def test_a_renewal_is_answered_from_the_vault_and_done_outside(world, double):
    world.account()
    double.fail("fields", fields={"expires_in": 60}, path=double.dialect.token)  # about to end when it comes
    inside = world.start()
    first = json.loads(inside.log_in()["text"])

    second = inside.step("refresh")

    assert second["status"] == 200, second
    renewed = json.loads(second["text"])
    assert renewed["refresh_token"] != first["refresh_token"] and "held-by-sanctum" in renewed["refresh_token"]
    assert len(double.log(grant="refresh_token")) == 1
    assert inside.step("refresh")["status"] == 200
    assert len(double.log(grant="refresh_token")) == 1, "an agent in a loop asks nobody"
    assert inside.ask()["status"] == 200
    assert inside.end().code == 0


def test_a_token_that_is_about_to_end_is_renewed_before_it_is_used(world, double):
    world.account()
    double.fail("fields", fields={"expires_in": 60}, path=double.dialect.token)
    inside = world.start()
    inside.log_in()
    assert inside.ask()["status"] == 200
    outcome = inside.end()
    assert outcome.code == 0
    renewed = double.log(grant="refresh_token")
    assert len(renewed) == 1
    access = [token["sha256"] for token in renewed[0]["issued"] if token["kind"] == "access_token"]
    assert [entry["credential"] for entry in double.log(method="GET") if entry.get("credential")] == access


def api_path(double):
    return urllib.parse.urlsplit(API[double.name]).path


def test_a_token_that_the_api_refuses_is_renewed_once_and_the_agent_never_notices(world, double):
    world.account()
    inside = world.start()
    inside.log_in()
    double.fail("status", status=401, path=api_path(double))
    assert inside.ask()["status"] == 200
    assert inside.ask()["status"] == 200
    assert inside.end().code == 0

    [renewed] = double.log(grant="refresh_token")
    [new] = [token["sha256"] for token in renewed["issued"] if token["kind"] == "access_token"]
    used = [entry["credential"] for entry in double.log(path=api_path(double))]
    assert used[0] != new and used[1:] == [new, new], "the request was sent again with the new one"


def test_an_api_that_refuses_every_token_makes_no_second_renewal(world, double):
    """The agent gets the API's own answer; the owner's login is not used up."""
    world.account()
    inside = world.start()
    inside.log_in()
    double.fail("status", status=401, path=api_path(double), times=0)
    assert [inside.ask()["status"] for _ in range(4)] == [401] * 4
    assert inside.end().code == 0
    assert len(double.log(grant="refresh_token")) == 1


def test_a_renewal_after_a_refusal_that_fails_has_the_providers_reason(world, double):
    world.account()
    inside = world.start()
    inside.log_in()
    double.fail("status", status=401, path=api_path(double), times=0)
    double.fail("status", status=400, body={"error": "invalid_grant", "error_description": "gone"},
                path=double.dialect.token, times=0)
    assert inside.ask()["status"] == 401, "the API's own answer"
    refused = inside.ask()
    assert refused["status"] == 503 and "consent_lost" in refused["text"], refused
    outcome = inside.end()
    assert "invalid_grant" in outcome.of_type("exchange.refused")[-1]["detail"]
    assert len(double.log(path=double.dialect.token, fault="status")) == 1


def test_a_refused_renewal_tells_the_agent_to_log_in_again(world, double):
    world.account()
    double.fail("fields", fields={"expires_in": 60}, path=double.dialect.token)
    inside = world.start()
    inside.log_in()
    double.fail("status", status=400, body={"error": "invalid_grant", "error_description": "gone"},
                path=double.dialect.token)
    refused = inside.step("refresh")
    assert (refused["status"], json.loads(refused["text"])["error"]) == (400, "invalid_grant"), refused
    assert inside.log_in()["status"] == 200, "which it can"
    assert inside.ask()["status"] == 200
    assert inside.end().code == 0


def test_without_a_login_a_renewal_is_refused_as_the_provider_would(world, double):
    world.account()
    inside = world.start()
    refused = inside.step("refresh")
    assert (refused["status"], json.loads(refused["text"])["error"]) == (400, "invalid_grant"), refused
    assert not double.log(path=double.dialect.token)
    assert inside.end().code == 0


def test_a_login_ends_with_its_mission(world, double):
    world.account()
    inside = world.start()
    inside.log_in()
    assert inside.ask()["status"] == 200
    outcome = inside.end()
    lease = login_lease(outcome)
    if world.name == "codex":
        assert lease["state"] == "gone" and "revoked" in lease["detail"], lease
        assert not any(double.is_alive(token) for token in world.real)
    else:
        assert lease["state"] == "parked" and "no way to take a login back" in lease["detail"], lease
    assert not (world.rig.data / "store.sealed").exists(), "nothing was kept"


@pytest.mark.parametrize("double", [CODEX], ids=["codex"], indirect=True)
def test_a_killed_vaults_login_is_taken_back_by_the_reaper(world, double):
    world.account()
    double.fail("fields", fields={"expires_in": 60}, path=double.dialect.token)
    inside = world.start()
    inside.log_in()
    assert inside.step("refresh")["status"] == 200, "the journal follows a token that rotates"
    os.kill(inside.running.roles()["vault"], signal.SIGKILL)
    outcome = inside.end()
    assert not any(double.is_alive(token) for token in world.real), outcome
    assert login_lease(outcome)["state"] == "gone"


def test_a_second_login_ends_the_first(world, double):
    world.account()
    inside = world.start()
    assert [inside.log_in()["status"] for _ in range(2)] == [200, 200]
    outcome = inside.end()
    ended = {record["lease"]: record for record in outcome.of_type("lease.changed") if record["asked"] == ["login"]}
    assert [("logged in again" in record["detail"]) for record in ended.values()] == [True, False], ended


# ---- what is no login -----------------------------------------------------------------------------------------------

def test_an_agent_that_may_not_log_in_gets_nothing_through(world, double):
    world.account(item=True).connect()
    before = len(double.log())
    inside = world.start(world.profile(login="", grant=["login"]))
    refused = inside.log_in()
    assert refused["status"] == 403 and "operation_unknown" in refused["text"], refused
    assert len(double.log()) == before, "no byte of it left"
    assert inside.step("refresh")["status"] == 200, "the twin: a renewal is the account's own business"
    assert inside.end().code == 0


@pytest.mark.parametrize("case", ["path", "method", "grant", "client", "twice", "text", "long", "key"])
def test_what_only_looks_like_a_login_is_refused(world, double, case):
    world.account()
    url, client = TOKEN[world.name], double.dialect.client
    body = {"grant_type": "authorization_code", "client_id": client, "code": "c"}
    steps = {"path": f"post {url}/x json {json.dumps(body)}", "method": f"ask {url}",
             "grant": f"post {url} json " + json.dumps({**body, "grant_type": "password"}),
             "client": f"post {url} json " + json.dumps({**body, "client_id": "other"}),
             "twice": f"post {url} json " + '{"grant_type":"authorization_code","client_id":"' + client + '"}',
             "text": f"post {url} form " + json.dumps({**body, "grant_type": "client_credentials"}),
             "long": f"post {url} json " + json.dumps({**body, "code": "c" * 20000}),
             "key": f"post https://{double.dialect.hosts[0]}/api/oauth/claude_cli/create_api_key json {{}}"}
    inside = world.start()
    refused = inside.step(steps[case])
    assert refused["status"] in (400, 403), refused
    assert not double.log(), "no byte of it left"
    assert inside.end().code == 0


def test_a_token_that_another_answer_echoes_is_scrubbed(world, double):
    world.account()
    inside = world.start()
    inside.log_in()
    token = next(token.value for token in double.tokens.values() if token.kind == "access_token")
    path = urllib.parse.urlsplit(API[world.name]).path
    double.fail("fields", fields={"echo": token}, path=path)
    echoed = inside.ask()
    assert echoed["status"] == 200 and not holds(echoed["text"], token), echoed
    assert '"echo"' in echoed["text"]
    assert inside.end().code == 0


@pytest.mark.parametrize("fault, details", [
    ("body", {"body": "<html>"}), ("body", {"body": '{"access_token": "a", "access_token": "b"}'}),
    ("body", {"body": "[]"}), ("wrong_type", {}), ("half", {}), ("lost", {}), ("large", {}),
    ("mint", {"length": 20000}), ("fields", {"fields": {"access_token": None}}),
    ("fields", {"fields": {"refresh_token": None}}), ("fields", {"fields": {"expires_in": "soon"}}),
    ("fields", {"fields": {"access_token": "a\r\nx-evil: 1"}}), ("fields", {"fields": {"token_type": "mac"}}),
    ("status", {"status": 503}), ("rate_limited", {})], ids=str)
def test_an_answer_that_breaks_the_form_is_no_login(world, double, fault, details):
    world.account()
    double.fail(fault, path=double.dialect.token, **details)
    inside = world.start()
    failed = inside.log_in()
    assert failed["status"] == 503, failed
    assert inside.ask()["status"] == 503, "and nothing of it is used"
    outcome = inside.end()
    assert outcome.code == 0
    assert "login_failed" in {record["outcome"] for record in outcome.of_type("exchange.outcome")}


@pytest.mark.parametrize("length", [9, 40, 333, 4001])
def test_a_token_of_any_length_has_a_placeholder(world, double, length):
    world.account()
    double.fail("mint", length=length, path=double.dialect.token)
    inside = world.start()
    told = inside.log_in()
    assert told["status"] == 200, told
    assert inside.ask()["status"] == 200
    assert inside.end().code == 0


def test_a_refused_code_is_told_as_the_provider_told_it(world, double):
    world.account()
    inside = world.start()
    inside.step("address")
    refused = inside.step("code http://localhost:1/?code=wrong&state=s")
    assert refused["status"] == 400, refused
    assert json.loads(refused["text"])["error"] in ("invalid_grant", "invalid_request")
    assert inside.end().code == 0


# ---- a login outside ------------------------------------------------------------------------------------------------

def test_a_login_outside_needs_none_inside(world, double):
    world.account(item=True)
    connecting = world.connect()
    assert "refresh token, sealed, as item" in connecting.text
    note = (world.rig.data / "consents" / f"{world.name}.json").read_text()
    assert "held-by-sanctum" in note and not any(holds(note, token) for token in world.real)

    outcome = world.rig.run("sh", "-c", f'cat ~/{FILES[world.name]}; stat -c " %a" ~/{FILES[world.name]}; '
                            f'curl -sS --fail {API[world.name]}', profile=world.profile(login=""))

    assert outcome.code == 0, outcome
    shown = json.JSONDecoder().raw_decode(outcome.text)[0]
    if world.name == "claude":
        assert shown["claudeAiOauth"]["accessToken"].startswith("sk-ant-oat01-held-by-sanctum"), shown
        assert shown["claudeAiOauth"]["scopes"] == ["user:inference", "user:profile"]
    else:
        assert shown["tokens"]["account_id"] and "held-by-sanctum" in shown["tokens"]["access_token"], shown
    assert " 600" in outcome.text
    assert double.log(method="GET")[-1]["status"] == 200
    again = world.rig.run("curl", "-sS", "--fail", API[world.name], profile=world.profile(login=""))
    assert again.code == 0, "the store has the token that came in the place of the first"
    assert len(double.log(grant="refresh_token")) == 2


def test_a_kept_home_gets_the_file_of_each_mission_in_the_place_of_what_is_there(world, double):
    world.account(item=True).connect()
    profile = world.profile(login="")
    profile.write_text(profile.read_text().replace('workspace = "."', 'workspace = "."\nhome = "kept"'))
    world.rig.make("state/sanctum/homes/test", 0o700)
    place = FILES[world.name]
    trap = f"rm ~/{place}; ln -s {world.rig.work}/trapped ~/{place}"
    assert world.rig.run("sh", "-c", trap, profile=profile).code == 0

    outcome = world.rig.run("sh", "-c", f"test -L ~/{place} || cat ~/{place}", profile=profile)

    assert "held-by-sanctum" in outcome.text, outcome
    assert not (world.rig.work / "trapped").exists()


def test_connecting_an_agent_without_an_account_says_what_to_write(world, rig):
    rig.secrets["other"] = "canary-that-makes-a-store-77aa"
    rig.configure()
    done = rig.sanctum("connect", world.name)
    assert done.returncode == 2 and 'source = "login"' in done.stderr.decode(), done
    assert f'catalog = "{world.name}"' in done.stderr.decode()


def test_a_mission_without_any_login_says_how_to_get_one(world):
    world.account(item=True)
    outcome = world.rig.run("true", profile=world.profile(login=""))
    assert outcome.code == 125 and f"sanctum connect {world.name}" in outcome.errors, outcome


def test_a_login_is_captured_only_where_the_catalog_names_a_token_endpoint(rig):
    rig.account("api", 'catalog = "http-bearer"\nhosts = ["api.sanctum.test"]\nsource = "local"\nitem = "api"')
    rig.configure()
    profile = rig.profile(mission_head("logins") + '[[service]]\nname = "api"\ncatalog = "http-bearer"\n'
                          'account = "api"\ngrant = ["read"]\nlogin = "capture"\n')
    done = rig.sanctum("check", str(profile))
    assert done.returncode != 0
    said = (done.stdout + done.stderr).decode()
    assert "names no token endpoint" in said and "mission.toml:17:9:" in said, said


# ---- nothing of it inside -------------------------------------------------------------------------------------------

def test_no_process_but_vault_and_interceptor_has_a_token(world, double):
    identities.require(os.geteuid() == 0, "needs root to look into the processes")
    world.account()
    inside = world.start()
    inside.log_in()
    assert inside.ask()["status"] == 200
    roles = inside.running.roles()
    everyone = {inside.running.pid, *processes.descendants_of(inside.running.pid)}
    others = everyone - {roles["vault"], roles["interceptor"]}
    found = {pid: [place for place, data in memory_of(pid) for token in world.real if token.encode() in data]
             for pid in others}
    refresh = next(token.value for token in double.tokens.values() if token.kind == "refresh_token").encode()
    held = {role: any(refresh in data for _, data in memory_of(roles[role])) for role in ("vault", "interceptor")}
    assert inside.end().code == 0
    assert not any(found.values()), found
    assert held == {"vault": True, "interceptor": False}, "the twin: it is found where it is"
