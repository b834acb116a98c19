# SPDX-License-Identifier: Apache-2.0
"""Where credentials come from besides the store and Auth0: programs, files, variables, units and Google. Each one is
used by a real request, is nowhere where the agent could look, and ends as the record and the receipt say."""

import base64
import hashlib
import json
import os
import signal
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

import identity as identities
from rig import API
from test_secrets_stay import places_of, roles_of
from upstream import RecordingUpstream

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "doubles"))

from providers import google_double  # noqa: E402

HEAD = """\
schema = 1

[mission]
name = "sources"
agent = "test"
purpose = "Show one claim"
ttl = "2m"

[sandbox]
workspace = "."
"""

SERVICE = """
[[service]]
name = "api"
catalog = "http-bearer"
account = "api"
grant = ["read", "write"]
"""

LOOK = f"env; cat /proc/1/environ; curl -sS --fail https://{API}/disclose"


def sha256(token):
    return hashlib.sha256(token.encode()).hexdigest()


def lease_ends(outcome):
    """The last record of each lease."""
    return list({record["lease"]: record for record in outcome.of_type("lease.changed")}.values())


def told_by_receipt(outcome):
    """(state, thumbprint) of each lease of the receipt."""
    receipt = json.loads(base64.b64decode(outcome.receipt["payload"]))
    return [(lease["state"], lease["thumbprint"]) for lease in receipt["leases"]]


def bearers(upstream):
    return [exchange.header("authorization").removeprefix("Bearer ") for exchange in upstream.exchanges]


def expect_nothing_ran(rig, outcome, *words):
    assert outcome.code == 125, outcome
    assert not (rig.work / "ran").exists(), outcome
    for word in words:
        assert word in outcome.errors, outcome


@pytest.fixture
def account(rig, upstream, authority):
    """account(TOML) → profile: one API behind a bearer token whose account is of that source; no store is needed."""
    def make(toml, **stored):
        rig.host(API, upstream, authority.ca_file)
        rig.account("api", f'catalog = "http-bearer"\nhosts = ["{API}"]\n{toml}')
        rig.secrets.clear()
        rig.secrets.update(stored)
        rig.configure()
        return rig.profile(HEAD + SERVICE)
    return make


# ---- programs -------------------------------------------------------------------------------------------------------

# Makes a token of its own for each run; what it is told and what it is given back goes to a log, as hashes.
MINT = """\
#!/bin/sh
log=$(dirname "$0")/log; : >> "$log"
case "$1" in
issue) number=$(grep -c issue "$log")
       echo "issue $SANCTUM_SCOPES" >> "$log"
       printf '{"secret":"minted-%s-%s"%s,"handle":"key-%s"}' "$SANCTUM_MISSION" "$number" "$2" "$number" ;;
retire) echo "retire $SANCTUM_HANDLE $(sha256sum | cut -c -64)" >> "$log"; [ ! -e "$(dirname "$0")/fails" ] || exit 7 ;;
esac
"""


@pytest.fixture
def mint(rig):
    return rig.write(rig.folder / "mint", MINT, 0o755)


def log_of(rig):
    return (rig.folder / "log").read_text().splitlines()


def test_a_program_mints_for_the_scopes_of_a_call_and_takes_back_what_it_made(rig, account, upstream, mint):
    profile = account(f'source = "command"\ncommand = ["{mint}", "issue", ",\\"expires_in\\":900"]\n'
                      f'revoke = ["{mint}", "retire"]')

    outcome = rig.run("sh", "-c", f"{LOOK}; curl -sS --fail https://{API}/describe; "
                                  f"curl -sS --fail -d x=1 https://{API}/describe", profile=profile)

    assert outcome.code == 0, outcome
    first, again, second = bearers(upstream)
    assert first == again != second and first.startswith("minted-")
    rig.secrets.update(first=first, second=second)
    assert log_of(rig)[:2] == ["issue read", "issue write"]
    assert sorted(log_of(rig)[2:]) == [f"retire key-0 {sha256(first)}", f"retire key-1 {sha256(second)}"]
    for lease in lease_ends(outcome):
        assert (lease["state"], lease["retire"]) == ("gone", "self") and f"given back by {mint}" in lease["detail"]
    assert sorted(told_by_receipt(outcome)) == sorted([("gone", sha256(first)), ("gone", sha256(second))])


def test_a_password_managers_plain_output_is_used_and_honestly_stays_valid(rig, account, upstream):
    script = rig.write(rig.folder / "pass", "#!/bin/sh\nprintf 'canary-%s\\n' \"$SANCTUM_MISSION\"\n", 0o755)

    outcome = rig.run("sh", "-c", LOOK, profile=account(f'source = "command"\ncommand = ["{script}", "show"]'))

    token, = bearers(upstream)
    rig.secrets["token"] = token
    assert outcome.code == 0 and token.startswith("canary-"), outcome
    lease, = lease_ends(outcome)
    assert (lease["state"], lease["retire"], lease["narrowed_by"]) == ("gone", "none", "proxy")
    assert "may stay valid" in lease["detail"]


def test_output_that_breaks_the_contract_is_a_refusal_that_names_its_key(rig, account, upstream, mint):
    profile = account(f'source = "command"\ncommand = ["{mint}", "issue", ",\\"expires\\":900"]\n'
                      f'revoke = ["{mint}", "retire"]')

    outcome = rig.run("curl", "-sS", f"https://{API}/describe", profile=profile)

    told = json.loads(outcome.stdout)
    assert (told["reason_code"], told["rule"]) == ("credential_unavailable", "protocol"), outcome
    assert "`expires` is none of" in outcome.of_type("exchange.refused")[0]["detail"]
    assert upstream.exchanges == []
    assert [line.split()[0] for line in log_of(rig)] == ["issue", "retire"], "what was minted does not stay"


def test_a_rotated_credential_is_issued_once_for_a_mission_and_retired_once(rig, account, upstream, mint):
    profile = account(f'source = "rotate"\nissue = ["{mint}", "issue"]\nretire = ["{mint}", "retire"]')

    outcome = rig.run("sh", "-c", f"{LOOK}; curl -sS --fail -d x=1 https://{API}/describe", profile=profile)

    assert outcome.code == 0, outcome
    token, second = bearers(upstream)
    rig.secrets["token"] = token
    assert token == second
    assert log_of(rig) == ["issue ", f"retire key-0 {sha256(token)}"]
    assert [lease["state"] for lease in lease_ends(outcome)] == ["gone", "gone"]
    assert all(f"given back by {mint}" in lease["detail"] for lease in lease_ends(outcome))
    assert told_by_receipt(outcome) == [("gone", sha256(token))] * 2


def test_what_a_program_does_not_retire_is_said_and_listed_until_a_reap_retires_it(rig, account, upstream, mint):
    profile = account(f'source = "rotate"\nissue = ["{mint}", "issue"]\nretire = ["{mint}", "retire"]')
    rig.write(rig.folder / "fails", "")

    outcome = rig.run("curl", "-sS", "--fail", f"https://{API}/describe", profile=profile)

    rig.secrets["token"], = bearers(upstream)
    assert outcome.code == 0, outcome
    lease, = lease_ends(outcome)
    assert lease["state"] == "parked" and f"not given back: {mint} ended with exit status 7" in lease["detail"]
    assert told_by_receipt(outcome) == [("parked", sha256(rig.secrets["token"]))]
    listed = rig.sanctum("leases", "--json").stdout.splitlines()
    assert [json.loads(line)["thumbprint"] for line in listed] == [sha256(rig.secrets["token"])]
    (rig.folder / "fails").unlink()
    rig.expect_ok(rig.sanctum("reap"))
    assert rig.sanctum("leases").stdout == b"No credential is out.\n"
    assert log_of(rig)[1:] == [f"retire key-0 {sha256(rig.secrets['token'])}"] * 2


def test_the_reaper_runs_no_program_but_the_one_that_the_configuration_names(rig, account, upstream, mint):
    profile = account(f'source = "rotate"\nissue = ["{mint}", "issue"]\nretire = ["{mint}", "retire"]')
    rig.write(rig.folder / "fails", "")
    rig.run("curl", "-sS", "--fail", f"https://{API}/describe", profile=profile)
    rig.secrets["token"], = bearers(upstream)
    config = rig.configuration / "config.toml"
    rig.write(config, config.read_text().replace('source = "rotate"', 'source = "file"').replace(
        f'issue = ["{mint}", "issue"]', f'file = "{rig.write(rig.folder / "key", "k", 0o600)}"').replace(
        f'retire = ["{mint}", "retire"]', ""), 0o600)
    (rig.folder / "fails").unlink()

    done = rig.sanctum("reap")

    assert b"has no program any more that gives back what account api had" in done.stderr, done
    assert len(log_of(rig)) == 2, "issued, and retired in vain at the end"


def test_a_killed_vault_leaves_nothing_alive_that_a_program_can_retire(rig, account, upstream, mint):
    profile = account(f'source = "rotate"\nissue = ["{mint}", "issue"]\nretire = ["{mint}", "retire"]')
    calls = f"curl -sS --fail https://{API}/describe >/dev/null; curl -sS --fail -d x=1 https://{API}/describe >/dev/null"
    running = rig.start("sh", "-c", f"{calls}; echo held; exec cat", profile=profile).wait_until_started()
    assert running.read_line() == "held"
    os.kill(running.roles()["vault"], signal.SIGKILL)

    outcome = running.finish()

    first, second = bearers(upstream)
    rig.secrets["token"] = first
    assert first == second
    assert log_of(rig) == ["issue ", f"retire key-0 {sha256(first)}"], "once for both leases"
    for lease in lease_ends(outcome):
        assert lease["state"] == "gone" and "the vault ended" in lease["detail"] and "by the reaper" in lease["detail"]


# ---- files ----------------------------------------------------------------------------------------------------------

def test_a_file_is_read_again_when_it_changes_and_the_agent_cannot_open_it(rig, account, upstream):
    token = rig.write(rig.make("keys", 0o700) / "token", "file-canary-1f1e33\n", 0o600)
    profile = account(f'source = "file"\nfile = "{token}"', first="file-canary-1f1e33", second="file-canary-2f2e44")
    script = f"{LOOK}; cat {token}; echo; echo done; " \
             f"while read go; do curl -sS https://{API}/describe >/dev/null; echo done; done"

    running = rig.start("sh", "-c", script, profile=profile).wait_until_started()
    while running.read_line() != "done":
        pass
    rig.write(rig.folder / "keys" / "new", "file-canary-2f2e44\n", 0o600).rename(token)
    for _ in range(200):     # calls until the vault has heard of it
        running.send("go\n")
        assert running.read_line() == "done"
        if bearers(upstream)[-1] == "file-canary-2f2e44":
            break
    outcome = running.finish()
    token.unlink()

    assert outcome.code == 0, outcome
    assert bearers(upstream)[0] == "file-canary-1f1e33" and bearers(upstream)[-1] == "file-canary-2f2e44"
    old, new = lease_ends(outcome)
    assert "its source has another one now" in old["detail"] and "may stay valid" in new["detail"]
    assert told_by_receipt(outcome) == [("gone", sha256("file-canary-1f1e33")), ("gone", sha256("file-canary-2f2e44"))]
    assert b"No such file" in outcome.stderr, "the file is not there inside"


@pytest.mark.parametrize("wrong", ["readable", "writable folder", "missing", "granted"])
def test_a_file_that_others_could_have_is_no_credential(rig, account, wrong):
    token = rig.write(rig.make("keys", 0o700) / "token", "file-canary-1f1e33\n", 0o600)
    profile = account(f'source = "file"\nfile = "{token}"')
    options = []
    if wrong == "readable":
        token.chmod(0o644)
    elif wrong == "writable folder":
        token.parent.chmod(0o777)
    elif wrong == "missing":
        token.unlink()
    else:
        options = ["-c", f'sandbox.read=["{token.parent}"]']

    outcome = rig.run("touch", "ran", profile=profile, options=options)

    word = {"readable": "can be read by other users", "writable folder": "can be changed by other users",
            "missing": "token", "granted": "which is the credential of an account (move it)"}[wrong]
    expect_nothing_ran(rig, outcome, word)
    token.unlink(missing_ok=True)


# ---- variables and units --------------------------------------------------------------------------------------------

def test_a_variable_is_taken_from_the_launcher_and_from_everything_that_it_starts(rig, account, upstream):
    profile = account('source = "environment"\nvariable = "MY_API"', token="variable-canary-77aa10")
    script = f"{LOOK}; echo; echo held; exec cat"

    running = rig.start("sh", "-c", script, profile=profile,
                        environment={"MY_API": "variable-canary-77aa10"}).wait_until_started()
    seen = []
    while not seen or seen[-1] != "held":
        seen.append(running.read_line())
    processes = {"launcher": running.pid, **running.roles()}
    for role, pid in processes.items():
        if os.geteuid() == 0:
            assert b"variable-canary" not in Path(f"/proc/{pid}/environ").read_bytes(), role
    running.send("\n")
    outcome = running.finish()

    assert outcome.code == 0, outcome
    assert bearers(upstream) == ["variable-canary-77aa10"]
    assert "MY_API" not in "".join(seen)
    lease, = lease_ends(outcome)
    assert (lease["state"], lease["retire"]) == ("gone", "none") and "stays valid" in lease["detail"]


def test_a_variable_that_is_a_credential_is_never_passed_on(rig, account):
    profile = account('source = "environment"\nvariable = "MY_API"', token="variable-canary-77aa10")
    given = {"environment": {"MY_API": "variable-canary-77aa10"}}

    for options in (["-c", 'sandbox.environment.pass=["MY_API"]'], ["-e", "MY_API"]):
        outcome = rig.run("touch", "ran", profile=profile, options=options, **given)
        expect_nothing_ran(rig, outcome, "`MY_API` is the credential of account `api`, and an agent never holds one")
    expect_nothing_ran(rig, rig.run("touch", "ran", profile=profile), "the variable MY_API is not set")
    assert rig.run("true", profile=profile, **given).code == 0


def test_a_credential_of_a_unit_is_used_and_its_absence_is_said(rig, account, upstream):
    folder = rig.make("credentials", 0o700)
    secret = rig.write(folder / "api-token", "unit-canary-90fe21", 0o440)
    profile = account('source = "systemd"\ncredential = "api-token"', token="unit-canary-90fe21")
    unit = {"CREDENTIALS_DIRECTORY": str(folder)}

    outcome = rig.run("sh", "-c", f"{LOOK}; ls {folder} 2>&1", profile=profile, environment=unit)

    assert outcome.code == 2 and bearers(upstream) == ["unit-canary-90fe21"], outcome
    assert "No such file" in outcome.text and "CREDENTIALS_DIRECTORY" not in outcome.text
    lease, = lease_ends(outcome)
    assert lease["state"] == "gone" and "stays valid" in lease["detail"]
    granted = rig.run("touch", "ran", profile=profile, environment=unit, options=["-c", f'sandbox.read=["{folder}"]'])
    expect_nothing_ran(rig, granted, "which is the credential of an account")
    secret.chmod(0o444)
    expect_nothing_ran(rig, rig.run("touch", "ran", profile=profile, environment=unit), "can be read by other users")
    secret.unlink()
    expect_nothing_ran(rig, rig.run("touch", "ran", profile=profile, environment=unit), "LoadCredential=api-token:PATH")
    expect_nothing_ran(rig, rig.run("touch", "ran", profile=profile), "CREDENTIALS_DIRECTORY is not set")


@pytest.mark.parametrize("source", ["environment", "file", "systemd", "command"])
def test_what_was_taken_is_in_the_vault_and_the_interceptor_alone(rig, account, upstream, source):
    """Of every process of the mission all memory is searched: what the launcher was started with as well."""
    identities.require(os.geteuid() == 0, "needs root to look into the processes")
    secret = f"{source}-canary-5d5d01"
    stored = rig.write(rig.make("keys", 0o700) / "token", secret, 0o600)
    printer = rig.write(rig.folder / "printer", f"#!/bin/sh\ncat {stored}\n", 0o755)
    profile = account({"environment": 'source = "environment"\nvariable = "MY_API"',
                       "file": f'source = "file"\nfile = "{stored}"',
                       "systemd": 'source = "systemd"\ncredential = "token"',
                       "command": f'source = "command"\ncommand = ["{printer}"]'}[source], token=secret)
    given = {"environment": {"MY_API": secret}, "systemd": {"CREDENTIALS_DIRECTORY": str(stored.parent)}}

    running = rig.start("sh", "-c", f"curl -sS --fail https://{API}/describe >/dev/null; echo held; exec cat",
                        profile=profile, environment=given.get(source)).wait_until_started()
    assert running.read_line() == "held" and bearers(upstream) == [secret]
    roles = roles_of(running)
    found = {role: places_of(secret.encode(), pids) for role, pids in roles.items()}
    running.process.stdin.close()
    running.process.stdin = None
    outcome = running.finish()
    stored.unlink()

    assert outcome.code == 0 and roles["others"], outcome
    assert {role for role, places in found.items() if places} == {"vault", "interceptor"}, \
        {role: places for role, places in found.items() if places}


# ---- Google ---------------------------------------------------------------------------------------------------------

READ = "https://www.googleapis.com/auth/calendar.readonly"
WRITE = "https://www.googleapis.com/auth/calendar.events"
ROBOT = "robot@project.iam.gserviceaccount.com"
SCOPES = f'scope_names = {{ read = "{READ}", write = "{WRITE}" }}'
USER = f"""source = "google"
item = "ada"
client_id = "google-client"
client_secret = {{ item = "client" }}
{SCOPES}
"""


@pytest.fixture
def google(rig, tmp_path, authority):
    with google_double(tmp_path / "google", authority) as double:
        for host in ("oauth2.googleapis.com", "sts.googleapis.com"):
            rig.host(host, double)
        yield double


@pytest.fixture
def ada(google):
    return google.user_grant("ada", [READ, WRITE])


@pytest.fixture(scope="session")
def robot_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def robot(google, robot_key):
    """A service account's key file."""
    google.service_account(ROBOT, robot_key.public_key())
    pem = robot_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                  serialization.NoEncryption()).decode()
    return json.dumps({"type": "service_account", "project_id": "project", "private_key_id": "kid-1",
                       "private_key": pem, "client_email": ROBOT, "client_id": "1",
                       "token_uri": "https://oauth2.googleapis.com/token"}, indent=2)


BOTH = f"{LOOK}; curl -sS --fail -d x=1 https://{API}/describe"


def test_a_users_tokens_are_narrowed_by_the_refresh_and_left_to_expire(rig, account, upstream, google, ada):
    profile = account(USER, ada=ada, client="google-secret")

    outcome = rig.run("sh", "-c", BOTH, profile=profile)

    assert outcome.code == 0, outcome
    assert [(entry["asked"], entry["returned"]) for entry in google.log(path="/token")] == \
        [([READ], [READ]), ([WRITE], [WRITE])]
    assert [sha256(token) for token in bearers(upstream)] == list(google.issued("access_token"))
    for token in bearers(upstream):
        assert google.is_alive(token) and token not in outcome.text
    assert google.log(path="/revoke") == [] and google.is_alive(ada), "nobody's consent was touched"
    for lease in lease_ends(outcome):
        assert (lease["state"], lease["retire"], lease["narrowed_by"]) == ("parked", "kills-grant", "both")
        assert "would end the user's whole consent" in lease["detail"]
    assert {state for state, _ in told_by_receipt(outcome)} == {"parked"}


def test_on_exit_revoke_ends_the_consent_when_the_mission_is_over_and_not_before(rig, account, upstream, google, ada):
    profile = account(USER + 'on_exit = "revoke"', ada=ada, client="google-secret")

    outcome = rig.run("sh", "-c", BOTH + f"; curl -sS --fail https://{API}/describe", profile=profile)

    assert outcome.code == 0 and len(upstream.exchanges) == 3, outcome
    assert len(google.log(path="/revoke")) == 1
    assert not google.is_alive(ada) and not any(google.is_alive(token) for token in bearers(upstream))
    for lease in lease_ends(outcome):
        assert lease["state"] == "gone" and "the user's consent is revoked at Google" in lease["detail"]
    again = rig.run("curl", "-sS", f"https://{API}/describe", profile=profile)
    assert json.loads(again.stdout)["rule"] == "consent_lost", again


def test_on_exit_revoke_holds_when_the_vault_is_killed(rig, account, google, ada):
    profile = account(USER + 'on_exit = "revoke"', ada=ada, client="google-secret")
    running = rig.start("sh", "-c", f"curl -sS --fail https://{API}/describe >/dev/null; echo held; exec cat",
                        profile=profile).wait_until_started()
    assert running.read_line() == "held" and google.is_alive(ada)
    os.kill(running.roles()["vault"], signal.SIGKILL)

    outcome = running.finish()

    assert not google.is_alive(ada)
    lease, = lease_ends(outcome)
    assert lease["state"] == "gone" and "by the reaper" in lease["detail"]


def test_a_service_account_signs_for_the_scopes_of_each_call(rig, account, upstream, google, robot):
    profile = account(f'source = "google"\ngrant_type = "service-account"\nitem = "robot"\n{SCOPES}', robot=robot)

    outcome = rig.run("sh", "-c", BOTH, profile=profile)

    assert outcome.code == 0, outcome
    assert [(entry["asked"], entry["user"]) for entry in google.log(path="/token")] == \
        [([READ], ROBOT), ([WRITE], ROBOT)]
    assert [sha256(token) for token in bearers(upstream)] == list(google.issued("access_token"))
    for lease in lease_ends(outcome):
        assert (lease["state"], lease["retire"], lease["narrowed_by"]) == ("parked", "expires", "both")
        assert "Google cannot take it back alone" in lease["detail"]


# what is wrong → the reason that the agent reads, and a word of the operator's remedy
@pytest.mark.parametrize("wrong, rule, remedy", [
    ("secret", "misconfigured", "invalid_client"), ("scope", "scope_unavailable", "not connected with these scopes"),
    ("consent", "consent_lost", "connect the account again"), ("wider", "scope_too_wide", "nobody asked for")])
def test_what_google_refuses_is_a_refusal_with_its_own_reason(rig, account, upstream, google, wrong, rule, remedy):
    held = google.user_grant("ada", [WRITE] if wrong == "scope" else [READ, WRITE])
    if wrong == "wider":
        google.fail("wider", scopes=[READ, WRITE], path="/token", times=0)
    profile = account(USER, ada="1//0dead" if wrong == "consent" else held,
                      client="another-secret" if wrong == "secret" else "google-secret")

    outcome = rig.run("curl", "-sS", f"https://{API}/describe", profile=profile)

    told = json.loads(outcome.stdout)
    assert (told["status"], told["reason_code"], told["rule"]) == (503, "credential_unavailable", rule), outcome
    assert remedy in outcome.of_type("exchange.refused")[0]["detail"]
    assert upstream.exchanges == [] and google.log(path="/revoke") == []


def test_a_key_file_that_is_none_is_said_before_anything_runs(rig, account, google, robot):
    profile = account('source = "google"\ngrant_type = "service-account"\nitem = "robot"',
                      robot=robot.replace("https://oauth2.googleapis.com/token", "https://oauth2.evil.test/token"))

    expect_nothing_ran(rig, rig.run("touch", "ran", profile=profile), "store item `robot`", "`token_uri` is not")


FILES = """
[[service]]
name = "files"
catalog = "google-storage"
account = "files"
grant = ["objects:read", "objects:list"]
resources = { bucket = ["data"], object = ["in/**"] }
"""
STORAGE = "https://storage.googleapis.com"
BOUNDARY = """catalog = "google-storage"
source = "google"
grant_type = "service-account"
item = "robot"
scope_names = { "objects:read" = "https://www.googleapis.com/auth/devstorage.read_only", \
                "objects:list" = "https://www.googleapis.com/auth/devstorage.read_only" }
boundary = { "objects:read" = "roles/storage.objectViewer", "objects:list" = "roles/storage.objectViewer" }
""".replace("\\\n", "")


@pytest.fixture
def files(rig, authority, google, robot):
    """A bucket behind a service account whose tokens are bounded; returns the profile."""
    rig.host("storage.googleapis.com", google, authority.ca_file)
    rig.account("files", BOUNDARY, secret=robot, item="robot")
    rig.configure()
    return rig.profile(HEAD + FILES)


def status_of(url):
    return f"curl -sS -o /dev/null -w '%{{http_code}} ' '{url}'; "


def test_a_token_for_storage_is_bounded_to_the_missions_bucket_and_prefix(rig, files, google):
    listing = f"{STORAGE}/storage/v1/b/data/o?prefix="
    outcome = rig.run("sh", "-c", status_of(f"{STORAGE}/data/in/x") + status_of(f"{STORAGE}/data/in/y") +
                      status_of(listing + "in/") + status_of(listing + "out/") + status_of(f"{STORAGE}/data/out/x"),
                      profile=files)

    # The last but one is let through by us, who do not bound listings, and refused by Google, who does.
    assert outcome.code == 0 and outcome.text.split() == ["200", "200", "200", "403", "403"], outcome
    assert outcome.refused == [("resource_outside", "storage.googleapis.com", "/data/out/x")]
    exchanges = google.log(path="/v1/token")
    assert [entry["asked"] for entry in exchanges] == \
        [["//storage.googleapis.com/projects/_/buckets/data inRole:roles/storage.objectViewer"]] * 2
    children = list(google.issued("boundary_token"))
    used = [entry["credential"] for entry in google.log() if entry["path"].startswith(("/data/", "/storage/"))]
    assert used == [children[0]] * 2 + [children[1]] * 2, "one token for each scope, and never the wider one"
    for lease in lease_ends(outcome):
        assert (lease["state"], lease["retire"], lease["narrowed_by"]) == ("parked", "expires", "both")
        assert lease["asked"] in (["objects:read"], ["objects:list"]) and lease["thumbprint"] in children
    assert sorted(told_by_receipt(outcome)) == sorted(("parked", child) for child in children)
    wider = set(google.issued()) - set(children)
    told = json.loads(base64.b64decode(outcome.receipt["payload"]))["leases"]
    assert len(wider) == 2 and all(sum(parent in lease["detail"] for lease in told) == 1 for parent in wider), told
    rig.secrets.update({token.value[:8] + str(number): token.value for number, token in
                        enumerate(google.tokens.values())})


def test_a_boundary_that_google_refuses_gives_no_wider_token(rig, files, google):
    google.fail("status", status=400, body=json.dumps({"error": "invalid_request"}), content_type="application/json",
                path="/v1/token", times=0)

    outcome = rig.run("curl", "-sS", f"{STORAGE}/data/in/x", profile=files)

    assert json.loads(outcome.stdout)["reason_code"] == "credential_unavailable", outcome
    assert "Google's STS" in outcome.of_type("exchange.refused")[0]["detail"]
    assert google.log(path="/data/in/x") == []


def test_a_write_cannot_copy_from_another_bucket_or_publish(rig, authority, robot):
    with RecordingUpstream(*authority.issue("storage.googleapis.com")) as storage:
        rig.host("storage.googleapis.com", storage, authority.ca_file)
        rig.account("files", BOUNDARY.split("boundary =")[0], secret=robot, item="robot")
        rig.configure()
        profile = rig.profile(HEAD + FILES.replace('"objects:list"', '"objects:write"'))

        outcome = rig.run("curl", "-sS", "-X", "PUT", "-H", "x-goog-copy-source: /other/x", "-H",
                          "X-Goog-Acl: public-read", "-H", "x-goog-meta-kept: 1", f"{STORAGE}/data/in/x",
                          profile=profile)

        written, = storage.exchanges
        assert outcome.code == 0 and written.header("x-goog-meta-kept") == "1", outcome
        assert written.header("x-goog-copy-source") is None and written.header("x-goog-acl") is None
        assert written.header("authorization").startswith("Bearer ya29.")
