# SPDX-License-Identifier: Apache-2.0
"""OpenBao and Kubernetes as sources: what a mission makes there, how narrow it is, and that nothing of it stays. The
servers are the doubles of tests/doubles."""

import base64
import hashlib
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from authority import Authority
from rig import API, mission_head

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "doubles"))

from kubernetes_double import claims_of  # noqa: E402
from providers import kubernetes_double, openbao_double  # noqa: E402

BAO, KUBE = "bao.test", "kube.test"
RETIRE_PATHS = ("auth/token/revoke-accessor", "sys/leases/revoke")

PROFILE = mission_head("servers") + f"""\
[[service]]
name = "api"
catalog = "http-bearer"
account = "api"
grant = ["read", "write"]
"""

ACCOUNT = f'catalog = "http-bearer"\nhosts = ["{API}"]\n'
READER = ('engine = "dynamic"\npath = "database/creds/reader"\nfield = "password"\nretire_policy = "sanctum-retire"\n'
          'policies = ["db-reader"]\n')
STORED = 'engine = "kv"\npath = "app/key"\nfield = "token"\npolicies = ["kv-app"]\n'
ITSELF = 'engine = "token"\nretire_policy = "sanctum-retire"\nscope_names = { read = "db-reader", write = "kv-app" }\n'

CALL = f"curl -sS --fail https://{API}/describe >/dev/null"
WAIT = f"set -e\n{CALL}\necho held\nexec cat"


def sha256(token):
    return hashlib.sha256(token.encode()).hexdigest()


def lease_ends(outcome):
    """The last record of each lease."""
    return list({record["lease"]: record for record in outcome.of_type("lease.changed")}.values())


def injected(upstream):
    return [exchange.header("authorization").removeprefix("Bearer ") for exchange in upstream.exchanges]


def receipt_leases(outcome):
    return json.loads(base64.b64decode(outcome.receipt["payload"]))["leases"]


def lock_store(rig):
    """From here on nothing of the rig opens the store."""
    rig.key_file.rename(rig.folder / "away.key")


def unlock_store(rig):
    (rig.folder / "away.key").rename(rig.key_file)


# ---- OpenBao ---------------------------------------------------------------------------------------------------------

@pytest.fixture
def bao(tmp_path, authority):
    with openbao_double(tmp_path / "bao", authority) as double:
        double.policy("mint", "auth/token/create")
        double.policy("sanctum-retire", *RETIRE_PATHS)
        double.policy("db-reader", "database/creds/reader")
        double.policy("kv-app", "secret/data/app/key")
        double.role("database/creds/reader")
        double.secret("app/key", token="stored-credential", number=7)
        yield double


POLICIES = ("mint", "sanctum-retire", "db-reader", "kv-app")


class Operator:
    """An operator whose account `api` is at the server; makes the profile."""

    def __init__(self, rig, upstream, authority, bao):
        self.rig, self.bao = rig, bao
        rig.host(API, upstream, authority.ca_file).host(BAO, bao)

    def by_token(self, text, token=None):
        token = token or self.bao.token(*POLICIES)
        return self._account(f'login = "token"\n{text}', token)

    def by_role(self, text, *policies, secret_id=None, ttl=3600, **uses):
        role_id = self.bao.app_role("agents", *(policies or POLICIES), ttl=ttl)
        secret_id = secret_id or self.bao.secret_id(role_id, **uses)
        return self._account(f'login = "approle"\nrole_id = "{role_id}"\n{text}', secret_id)

    def _account(self, text, secret):
        self.rig.account("api", f'{ACCOUNT}source = "openbao"\naddress = "https://{BAO}"\nitem = "login"\n{text}',
                         secret=secret, item="login")
        return self.rig.configure().profile(PROFILE)


@pytest.fixture
def operator(rig, upstream, authority, bao):
    return Operator(rig, upstream, authority, bao)


def alive(bao):
    """Kinds of what is alive of all that the server gave out over the wire."""
    given = bao.issued()
    return sorted(token.kind for token in bao.tokens.values() if token.is_alive and token.sha256 in given)


@pytest.mark.parametrize("is_told", [True, False])
def test_an_engine_that_has_to_be_told_something_is_told_it(rig, operator, upstream, bao, is_told):
    bao.role("kubernetes/creds/agents", needs=["kubernetes_namespace"])
    bao.policy("db-reader", "kubernetes/creds/agents")
    text = READER.replace("database/creds/reader", "kubernetes/creds/agents")
    told = 'parameters = { kubernetes_namespace = "ci" }\n' if is_told else ""

    outcome = rig.run("sh", "-c", CALL, profile=operator.by_token(text + told))

    assert (outcome.code == 0) is is_told and len(upstream.exchanges) == is_told, outcome
    assert alive(bao) == []


def test_a_password_is_made_for_the_mission_and_gone_with_it_and_all_tell_the_same(rig, operator, upstream, bao):
    parent = bao.token(*POLICIES)
    outcome = rig.run("sh", "-c", f"{CALL}; {CALL}", profile=operator.by_token(READER, parent))

    assert outcome.code == 0, outcome
    # The server: one token that may only revoke, one that may only read, for two uses; then the password.
    births = bao.log(path="/v1/auth/token/create")
    assert [(entry["returned"], entry.get("uses")) for entry in births] == \
        [(["sanctum-retire"], None), (["db-reader"], 2)]
    assert len(bao.log(path="/v1/database/creds/reader")) == 1
    mission = outcome.folder.name
    made = [token for token in bao.tokens.values() if (token.more.get("meta") or {}).get("sanctum_mission") == mission]
    assert len(made) == 2 and all(0 < token.more["explicit_max_ttl"] <= 180 for token in made), "the mission's time"
    # The upstream saw it, and nothing of it is alive; who logged in is.
    password = injected(upstream)
    assert len(password) == 2 and len(set(password)) == 1 and sha256(password[0]) in bao.issued("credential")
    assert alive(bao) == [] and bao.is_alive(parent)
    ended = bao.log(path="/v1/sys/leases/revoke")[0]
    assert [token["sha256"] for token in ended["revoked"]] == [sha256(password[0])]
    # Record and receipt.
    lease = lease_ends(outcome)[0]
    assert (lease["thumbprint"], lease["state"], lease["retire"], lease["narrowed_by"]) == \
        (sha256(password[0]), "gone", "accessor", "both")
    assert lease["received"] == ["db-reader"] and "revoked at OpenBao" in lease["detail"]
    assert [(told["thumbprint"], told["state"], told["uses"]) for told in receipt_leases(outcome)] == \
        [(lease["thumbprint"], "gone", 2)]
    assert password[0] not in outcome.text


def test_an_app_role_logs_in_for_one_lease_and_its_login_ends_with_it(rig, operator, upstream, bao):
    outcome = rig.run("sh", "-c", CALL, profile=operator.by_role(READER))

    assert outcome.code == 0, outcome
    assert [entry["user"] for entry in bao.log(path="/v1/auth/approle/login")] == ["agents"]
    ends = bao.log(path="/v1/auth/token/revoke-accessor")
    assert len(ends) == 1 and len(ends[0]["revoked"]) == 3, "the login, and under it both children"
    assert alive(bao) == [] and lease_ends(outcome)[0]["state"] == "gone"


def test_a_stored_secret_is_read_with_a_token_for_that_one_use(rig, operator, upstream, bao):
    outcome = rig.run("sh", "-c", CALL, profile=operator.by_token(STORED))

    assert outcome.code == 0, outcome
    assert injected(upstream) == ["stored-credential"]
    births = bao.log(path="/v1/auth/token/create")
    assert [(entry["returned"], entry["uses"]) for entry in births] == [(["kv-app"], 1)]
    assert alive(bao) == [], "used up"
    lease = lease_ends(outcome)[0]
    assert (lease["state"], lease["retire"]) == ("gone", "none")
    assert "the stored secret itself stays valid" in lease["detail"]


def test_a_login_that_read_a_stored_secret_does_not_wait_for_the_missions_end(rig, operator, bao):
    running = rig.start("sh", "-c", WAIT, profile=operator.by_role(STORED)).wait_until_started()
    assert running.read_line() == "held"
    assert alive(bao) == []
    running.process.stdin.close()
    running.process.stdin = None
    assert running.finish().code == 0


def test_a_child_token_is_the_credential_and_has_the_policies_of_the_call(rig, operator, upstream, bao):
    calls = f"{CALL}; curl -sS --fail -d event=1 https://{API}/describe >/dev/null"
    outcome = rig.run("sh", "-c", calls, profile=operator.by_token(ITSELF + "num_uses = 5\n"))

    assert outcome.code == 0, outcome
    births = [entry for entry in bao.log(path="/v1/auth/token/create") if entry["returned"] != ["sanctum-retire"]]
    assert [(entry["returned"], entry["uses"]) for entry in births] == [(["db-reader"], 5), (["kv-app"], 5)]
    assert [sha256(token) for token in injected(upstream)] == [entry["issued"][0]["sha256"] for entry in births]
    assert alive(bao) == [] and {lease["state"] for lease in lease_ends(outcome)} == {"gone"}


def test_a_namespace_is_named_in_every_request(rig, operator, bao):
    bao.namespace = "org/team"
    profile = operator.by_role('namespace = "org/team"\n' + READER)
    assert rig.run("sh", "-c", CALL, profile=profile).code == 0
    assert alive(bao) == []


def test_a_wrapped_secret_id_serves_one_mission_and_is_missed_when_it_was_used(rig, operator, upstream, bao):
    role_id = bao.app_role("agents", *POLICIES)
    wrapped = bao.wrapped_secret_id(role_id)
    rig.account("api", f'{ACCOUNT}source = "openbao"\naddress = "https://{BAO}"\nitem = "login"\nlogin = "approle"\n'
                f'role_id = "{role_id}"\nwrapped = true\n{ITSELF}', secret=wrapped, item="login")
    profile = rig.configure().profile(PROFILE)
    calls = f"curl -sS --fail https://{API}/describe & curl -sS --fail -d event=1 https://{API}/describe; wait"
    outcome = rig.run("sh", "-c", calls, profile=profile)
    assert outcome.code == 0 and len(upstream.exchanges) == 2, outcome
    assert len(bao.log(path="/v1/sys/wrapping/unwrap")) == 1 and alive(bao) == []

    again = rig.run("curl", "-sS", f"https://{API}/describe", profile=profile)
    assert json.loads(again.stdout)["rule"] == "subject_expired", again
    assert "somebody else did" in again.of_type("exchange.refused")[0]["detail"]
    assert len(bao.log(path="/v1/sys/wrapping/unwrap")) == 1, "looked at first"


def test_a_wrapping_token_around_something_else_is_not_unwrapped(rig, operator, bao):
    role_id = bao.app_role("agents", *POLICIES)
    swapped = bao.wrap("cubbyhole/secret-id", {"data": {"secret_id": bao.secret_id(role_id)}})
    rig.account("api", f'{ACCOUNT}source = "openbao"\naddress = "https://{BAO}"\nitem = "login"\nlogin = "approle"\n'
                f'role_id = "{role_id}"\nwrapped = true\n{STORED}', secret=swapped, item="login")
    outcome = rig.run("curl", "-sS", f"https://{API}/describe", profile=rig.configure().profile(PROFILE))
    assert json.loads(outcome.stdout)["rule"] == "misconfigured", outcome
    assert "something else" in outcome.of_type("exchange.refused")[0]["detail"]
    assert bao.log(path="/v1/sys/wrapping/unwrap") == [] and bao.log(path="/v1/auth/approle/login") == []


# What goes wrong → the reason that the agent reads, and words of the operator's remedy.
BAO_FAULTS = {
    "sealed": ("unavailable", "the server is sealed"),
    "read denied": ("misconfigured", "must allow `read` on database/creds/reader"),
    "create denied": ("misconfigured", "must allow `update` on auth/token/create"),
    "no such policy": ("misconfigured", "lacks a policy"),
    "no retire policy": ("misconfigured", "`retire_policy`"),
    "dead token": ("subject_expired", "store a new one"),
    "wrong mount": ("misconfigured", "no engine serves"),
    "entity has more": ("scope_too_wide", "group"),
    "no such field": ("misconfigured", "has no text `passphrase`"),
    "rate limited": ("rate_limited", "asked too often"),
    "half an answer": ("protocol", ""),
    "down": ("unavailable", "refused"),
    "expired certificate": ("unavailable", "certificate"),
}


def break_bao(bao, operator, name):
    text, policies = READER, list(POLICIES)
    if name == "sealed":
        bao.is_sealed = True
    elif name == "read denied":
        bao.policy("db-reader", "elsewhere/")
    elif name == "create denied":
        policies.remove("mint")
    elif name == "no such policy":
        policies.remove("db-reader")
    elif name == "no retire policy":
        policies.remove("sanctum-retire")
    elif name == "wrong mount":
        bao.policy("db-reader", "db/")
        text = READER.replace("database/", "db/")
    elif name == "entity has more":
        bao.identity = ["group"]
    elif name == "no such field":
        text = READER.replace('"password"', '"passphrase"')
    elif name == "rate limited":
        bao.fail("rate_limited", form="seconds", seconds=30, path="/v1/auth/token/create", times=0)
    elif name == "half an answer":
        bao.fail("half", path="/v1/database/creds", times=0)
    elif name == "down":
        bao.down()
    elif name == "expired certificate":
        bao.certificate("expired")
    token = bao.token(*policies)
    if name == "dead token":
        bao.tokens[token].is_revoked = True
    return operator.by_token(text, token)


@pytest.mark.parametrize("name", BAO_FAULTS)
def test_what_fails_at_the_server_is_a_refusal_with_its_remedy_and_leaves_nothing(rig, operator, upstream, bao, name):
    outcome = rig.run("curl", "-sS", f"https://{API}/describe", profile=break_bao(bao, operator, name))

    reason, remedy = BAO_FAULTS[name]
    told = json.loads(outcome.stdout)
    assert (told["status"], told["reason_code"], told["rule"]) == (503, "credential_unavailable", reason), outcome
    assert "bao" not in told["detail"].lower() and "database" not in told["detail"], "the agent learns of no server"
    detail = outcome.of_type("exchange.refused")[0]["detail"]
    assert detail.startswith(f"{reason}: ") and "account api" in detail and remedy in detail, detail
    assert upstream.exchanges == []
    assert [lease for lease in lease_ends(outcome) if lease["state"] != "failed"] == []
    assert alive(bao) == [], "what was made by then does not stay"


def test_a_password_whose_answer_was_lost_is_gone_and_its_tokens_with_it(rig, operator, bao):
    bao.fail("lost", path="/v1/database/creds", times=0)
    outcome = rig.run("curl", "-sS", f"https://{API}/describe", profile=operator.by_token(READER))
    assert json.loads(outcome.stdout)["rule"] == "unavailable", outcome
    assert len(bao.issued("credential")) == 1 and alive(bao) == []
    assert [lease["state"] for lease in lease_ends(outcome) if lease["state"] != "failed"] == []


def test_a_child_whose_answer_was_lost_is_counted_unless_a_login_takes_it_along(rig, operator, bao):
    bao.fail("lost", path="/v1/auth/token/create", skip=1)
    outcome = rig.run("curl", "-sS", f"https://{API}/describe", profile=operator.by_token(READER))
    assert json.loads(outcome.stdout)["rule"] == "no_answer", outcome
    assert [lease["state"] for lease in lease_ends(outcome)] == ["orphaned"] and alive(bao) == ["token"]


def test_a_login_takes_along_a_child_whose_answer_was_lost(rig, operator, bao):
    bao.fail("lost", path="/v1/auth/token/create", skip=1)
    outcome = rig.run("curl", "-sS", f"https://{API}/describe", profile=operator.by_role(READER))
    assert json.loads(outcome.stdout)["rule"] == "unavailable", outcome
    assert alive(bao) == []


def end_of(running):
    running.process.stdin.close()
    running.process.stdin = None
    return running.finish()


def reap_with_locked_store(rig):
    lock_store(rig)
    done = rig.sanctum("reap", "--json")
    leases = [json.loads(line) for line in rig.sanctum("leases", "--all", "--json").stdout.splitlines()]
    unlock_store(rig)
    assert done.returncode == 0, done
    return done, leases


@pytest.mark.parametrize("login", ["by_token", "by_role"])
def test_what_a_server_that_is_down_keeps_is_given_back_by_a_later_reap(rig, operator, bao, login):
    profile = getattr(operator, login)(READER)
    running = rig.start("sh", "-c", WAIT, profile=profile).wait_until_started()
    assert running.read_line() == "held"
    bao.down()
    outcome = end_of(running)
    assert [lease["state"] for lease in lease_ends(outcome)] == ["parked"], outcome
    assert "credential" in alive(bao)

    still, leases = reap_with_locked_store(rig)
    assert leases[0]["state"] == "parked" and b"refused" in still.stderr, "not while it is down"
    bao.up()
    _, leases = reap_with_locked_store(rig)
    assert leases[0]["state"] == "gone" and alive(bao) == []
    by = {entry["client"] for entry in bao.log(path="/v1/sys/leases/revoke")}
    revoker = next(token for token in bao.tokens.values() if token.more.get("policies") == ["sanctum-retire"])
    assert by == {revoker.more["accessor"]}, "the reaper has a token that can do nothing but revoke"


def test_a_database_that_is_down_keeps_the_lease_on_record_until_it_is_back(rig, operator, bao):
    running = rig.start("sh", "-c", WAIT, profile=operator.by_token(READER)).wait_until_started()
    assert running.read_line() == "held"
    bao.engine_is_down = True
    outcome = end_of(running)
    ended = lease_ends(outcome)[0]
    assert ended["state"] == "parked" and "status 500" in ended["detail"], ended
    bao.engine_is_down = False
    _, leases = reap_with_locked_store(rig)
    assert leases[0]["state"] == "gone" and alive(bao) == []


def test_a_killed_vault_leaves_no_password_alive(rig, operator, bao):
    running = rig.start("sh", "-c", WAIT, profile=operator.by_role(READER)).wait_until_started()
    assert running.read_line() == "held"
    os.kill(running.roles()["vault"], signal.SIGKILL)
    outcome = running.finish()
    assert alive(bao) == []
    assert [lease["state"] for lease in lease_ends(outcome)] == ["gone"]
    assert "by the reaper" in lease_ends(outcome)[0]["detail"]


@pytest.mark.parametrize("allowed", [True, False])
def test_a_role_that_is_sanctums_alone_is_emptied_at_the_end_where_a_policy_allows_it(rig, operator, bao, allowed):
    prefix = "sys/leases/revoke-prefix/database/creds/reader"
    bao.policy("sanctum-retire", *RETIRE_PATHS, sudo=[prefix] if allowed else [])
    other = bao.token("db-reader")
    left = bao.generate_for(other, "database/creds/reader")
    outcome = rig.run("sh", "-c", CALL, profile=operator.by_token(READER + "revoke_prefix = true\n"))
    ended = lease_ends(outcome)[0]
    assert bao.is_alive(left) is not allowed
    if allowed:
        assert ended["state"] == "gone" and alive(bao) == [], ended
    else:
        assert ended["state"] == "parked"
        assert f"the policy sanctum-retire must allow `update` and `sudo` on {prefix}" in ended["detail"]


def test_what_others_made_with_the_same_role_stays(rig, operator, bao):
    left = bao.generate_for(bao.token("db-reader"), "database/creds/reader")
    assert rig.run("sh", "-c", CALL, profile=operator.by_token(READER)).code == 0
    assert bao.is_alive(left)


def test_a_revoker_that_may_not_revoke_is_said_with_the_policy_that_is_missing(rig, operator, bao):
    bao.policy("sanctum-retire", "auth/token/revoke-accessor")
    ended = lease_ends(rig.run("sh", "-c", CALL, profile=operator.by_token(READER)))[0]
    assert ended["state"] == "parked"
    assert "the policy sanctum-retire must allow `update` on sys/leases/revoke" in ended["detail"]


def test_a_user_name_that_comes_with_the_password_goes_with_it(rig, upstream, authority, bao):
    rig.host("git.sanctum.test", upstream, authority.ca_file).host(BAO, bao)
    certificate = authority.issue("git.sanctum.test")
    with type(upstream)(*certificate) as git:
        rig.host("git.sanctum.test", git)
        rig.account("api", f'catalog = "git-http"\nhosts = ["git.sanctum.test"]\nsource = "openbao"\nitem = "login"\n'
                    f'address = "https://{BAO}"\nlogin = "token"\n{READER}'
                    'username_field = "username"\n', secret=bao.token(*POLICIES), item="login")
        profile = rig.configure().profile(PROFILE.replace("http-bearer", "git-http").replace(
            'grant = ["read", "write"]', 'grant = ["fetch"]\nresources = { repo = ["demo.git"] }'))
        rig.run("curl", "-sS", "https://git.sanctum.test/demo.git/info/refs?service=git-upload-pack", profile=profile)
        name, password = base64.b64decode(git.exchanges[0].header("authorization").split()[1]).decode().split(":")
    assert name.startswith("u-") and sha256(password) in bao.issued("credential")


# ---- Kubernetes ------------------------------------------------------------------------------------------------------

TOKENS = "/api/v1/namespaces/ci/serviceaccounts/mission/token"
SECRETS = "/api/v1/namespaces/ci/secrets"
MISSION = 'namespace = "ci"\nservice_account = "mission"\naudiences = ["api.example"]\n'


@pytest.fixture
def kube(tmp_path, authority):
    with kubernetes_double(tmp_path / "kube", authority) as double:
        double.service_account("ci", "mission")
        double.service_account("ci", "retire")
        double.role("ci", "retire", "DELETE secrets")
        yield double


class Cluster:
    """An operator whose account `api` is a service account."""

    def __init__(self, rig, upstream, authority, kube):
        self.rig, self.kube = rig, kube
        rig.host(API, upstream, authority.ca_file).host(KUBE, kube)

    def account(self, text=MISSION + 'retire_as = "retire"\n', secret=None):
        self.rig.account("api", f'{ACCOUNT}source = "kubernetes"\nserver = "https://{KUBE}"\nitem = "caller"\n{text}',
                         secret=secret or self.kube.caller, item="caller")
        return self.rig.configure().profile(PROFILE)


@pytest.fixture
def cluster(rig, upstream, authority, kube):
    return Cluster(rig, upstream, authority, kube)


def nothing_is_left(kube):
    return kube.secrets == {} and not [token for token in kube.tokens.values() if token.is_alive]


def test_a_token_is_bound_to_the_leases_secret_and_dies_with_it(rig, cluster, upstream, kube):
    outcome = rig.run("sh", "-c", f"{CALL}; {CALL}", profile=cluster.account())

    assert outcome.code == 0, outcome
    tokens = set(injected(upstream))
    assert len(tokens) == 1
    token = tokens.pop()
    claims = claims_of(token)
    assert claims["aud"] == ["api.example"] and claims["sub"] == "system:serviceaccount:ci:mission"
    assert claims["exp"] - claims["iat"] == 600, "no longer than the server's least"
    bound = claims["kubernetes.io"]["secret"]["name"]
    # The server: a Secret of the lease, a token for the audience, and the end of both with the Secret.
    assert [entry["client"] for entry in kube.log(path=SECRETS)] == [f"ci/{bound}"]
    assert [(entry["asked"], entry["returned"]) for entry in kube.log(path=TOKENS)] == [(["api.example"],) * 2]
    ends = kube.log(method="DELETE")
    assert [entry["path"] for entry in ends] == [f"{SECRETS}/{bound}"] and ends[0]["user"] == "caller"
    assert sha256(token) in kube.revoked() and nothing_is_left(kube)
    # Record and receipt.
    lease = lease_ends(outcome)[0]
    assert (lease["thumbprint"], lease["state"], lease["retire"], lease["narrowed_by"]) == \
        (sha256(token), "gone", "accessor", "both")
    assert [(told["thumbprint"], told["state"], told["uses"]) for told in receipt_leases(outcome)] == \
        [(sha256(token), "gone", 2)]


def test_without_an_audience_a_token_is_for_the_api_server_and_nobody_says_it_was_narrowed(rig, cluster, upstream,
                                                                                          kube):
    profile = cluster.account('namespace = "ci"\nservice_account = "mission"\n')
    outcome = rig.run("sh", "-c", CALL, profile=profile)
    assert claims_of(injected(upstream)[0])["aud"] == ["https://kubernetes.default.svc"]
    assert lease_ends(outcome)[0]["narrowed_by"] == "proxy" and nothing_is_left(kube)


@pytest.mark.parametrize("known", [True, False])
def test_a_client_certificate_asks_for_tokens_when_the_cluster_knows_its_authority(rig, cluster, authority, kube,
                                                                                   tmp_path, known):
    signer = authority if known else Authority(tmp_path / "stranger")
    certificate, key = signer.issue("sanctum-operator", usage=ExtendedKeyUsageOID.CLIENT_AUTH, label="kubeconfig")
    path = rig.write(rig.configuration / "kubeconfig.pem", certificate.read_bytes())
    profile = cluster.account(MISSION + f'retire_as = "retire"\ncertificate = "{path}"\n', secret=key.read_text())
    outcome = rig.run("curl", "-sS", f"https://{API}/describe", profile=profile)
    if known:
        assert {entry["user"] for entry in kube.log()} == {"sanctum-operator"} and nothing_is_left(kube)
        assert lease_ends(outcome)[0]["state"] == "gone"
    else:
        assert json.loads(outcome.stdout)["reason_code"] == "credential_unavailable", outcome
        assert kube.log() == []


@pytest.mark.parametrize("pinned", ["its own", "another"])
def test_a_cluster_is_believed_by_the_authority_that_is_pinned_to_it_and_by_no_other(rig, upstream, authority, tmp_path,
                                                                                    pinned):
    own = Authority(tmp_path / "cluster-ca")
    server_authority = own if pinned == "its own" else authority     # the second is among the operator's roots
    with kubernetes_double(tmp_path / "kube", server_authority) as kube:
        kube.service_account("ci", "mission")
        rig.host(KUBE, kube, pinned=own.ca_file).host(API, upstream, authority.ca_file)
        rig.account("api", f'{ACCOUNT}source = "kubernetes"\nserver = "https://{KUBE}"\nitem = "caller"\n{MISSION}',
                    secret=kube.caller, item="caller")
        outcome = rig.run("curl", "-sS", f"https://{API}/describe", profile=rig.configure().profile(PROFILE))
        if pinned == "its own":
            assert json.loads(outcome.stdout)["has_authorization"], outcome
        else:
            assert json.loads(outcome.stdout)["rule"] == "unavailable", outcome
            assert "certificate" in outcome.of_type("exchange.refused")[0]["detail"] and kube.log() == []


KUBE_FAULTS = {
    "caller unknown": ("subject_expired", "renew item `caller`"),
    "no secrets": ("misconfigured", "must allow `create` and `delete` on secrets in namespace ci"),
    "no tokens": ("misconfigured", "must allow `create` on serviceaccounts/token of mission"),
    "no such account": ("misconfigured", "no service account missing in namespace ci"),
    "no such retirer": ("misconfigured", "no service account missing in namespace ci"),
    "not bound": ("scope_too_wide", "not bound"),
    "more audiences": ("scope_too_wide", "everybody"),
    "rate limited": ("rate_limited", "asked too often"),
    "token lost": ("unavailable", ""),
    "secret lost": ("unavailable", ""),
    "down": ("unavailable", "refused"),
}


def break_kube(kube, cluster, name):
    text, secret = MISSION + 'retire_as = "retire"\n', None
    if name == "caller unknown":
        secret = "somebody-elses-token"
    elif name == "no secrets":
        kube.forbid("POST secrets")
    elif name == "no tokens":
        kube.forbid("POST tokens")
    elif name == "no such account":
        text = text.replace('"mission"', '"missing"')
    elif name == "no such retirer":
        text = text.replace('"retire"', '"missing"')
    elif name == "not bound":
        kube.binds = False
    elif name == "more audiences":
        kube.fail("wider", scopes=["everybody"], path=TOKENS, times=0)
    elif name == "rate limited":
        kube.fail("rate_limited", form="seconds", seconds=30, path=TOKENS, times=0)
    elif name == "token lost":
        kube.fail("lost", path=TOKENS, times=0)
    elif name == "secret lost":
        kube.fail("lost", path=SECRETS, method="POST", times=0)
    elif name == "down":
        kube.down()
    return cluster.account(text, secret)


@pytest.mark.parametrize("name", KUBE_FAULTS)
def test_what_fails_at_the_cluster_is_a_refusal_with_its_remedy_and_leaves_nothing(rig, cluster, upstream, kube, name):
    profile = break_kube(kube, cluster, name)
    outcome = rig.run("curl", "-sS", f"https://{API}/describe", profile=profile)

    reason, remedy = KUBE_FAULTS[name]
    told = json.loads(outcome.stdout)
    assert (told["status"], told["reason_code"], told["rule"]) == (503, "credential_unavailable", reason), outcome
    detail = outcome.of_type("exchange.refused")[0]["detail"]
    assert detail.startswith(f"{reason}: ") and "account api" in detail and remedy in detail, detail
    assert upstream.exchanges == [] and kube.secrets == {}
    unbound = [token for token in kube.tokens.values() if token.is_alive and token.more["secret"]]
    assert unbound == [] or name == "not bound"
    assert [lease for lease in lease_ends(outcome) if lease["state"] != "failed"] == []


def test_what_a_cluster_that_is_down_keeps_is_given_back_by_a_later_reap(rig, cluster, kube):
    running = rig.start("sh", "-c", WAIT, profile=cluster.account()).wait_until_started()
    assert running.read_line() == "held"
    kube.down()
    outcome = end_of(running)
    assert [lease["state"] for lease in lease_ends(outcome)] == ["parked"], outcome
    assert len(kube.secrets) == 1

    kube.up()
    _, leases = reap_with_locked_store(rig)
    assert leases[0]["state"] == "gone" and nothing_is_left(kube)
    assert kube.log(method="DELETE")[-1]["user"] == "system:serviceaccount:ci:retire", "not with the caller's token"


def test_without_a_retirer_the_reaper_has_nothing_to_send_and_says_until_when_it_lives(rig, cluster, kube):
    running = rig.start("sh", "-c", WAIT, profile=cluster.account(MISSION)).wait_until_started()
    assert running.read_line() == "held"
    os.kill(running.roles()["vault"], signal.SIGKILL)
    ended = lease_ends(running.finish())[0]
    assert ended["state"] == "parked" and "alive until it expires" in ended["detail"]
    assert kube.log(method="DELETE") == [] and len(kube.secrets) == 1


def test_a_killed_vault_leaves_no_token_alive_where_there_is_a_retirer(rig, cluster, kube):
    running = rig.start("sh", "-c", WAIT, profile=cluster.account()).wait_until_started()
    assert running.read_line() == "held"
    os.kill(running.roles()["vault"], signal.SIGKILL)
    assert [lease["state"] for lease in lease_ends(running.finish())] == ["gone"] and nothing_is_left(kube)
