# SPDX-License-Identifier: Apache-2.0
"""No token of any source is unaccounted for, whatever dies and at which step of the journal: the vault before it writes
a step and before what the step announces, the launcher and the interceptor right after one is written.

What the steps are is counted in a first mission. After each kill `sanctum reap` runs without the store, and accounts.py
compares the provider's log, the upstream's, and the record with the journal behind it. A plain run takes one point for
each process, at random (as a user for one of them); `scripts/test --soak` takes all. GitHub's installation tokens are
test_lease_faults.py's.
"""

import hashlib
import json
import os
import random
import sys
import traceback
import urllib.parse
from pathlib import Path

import pytest

import accounts
import processes
import test_logins
from fault_machine import Machine
from login_client import CLIENTS
from rig import API
from test_connect import ACCOUNT, NAME, PROVIDER, SECRET, provider, provider_process  # noqa: F401
from test_connect import PROFILE as CONNECTED
from test_rotation_faults import consent
from test_sources import STORAGE, USER, account, ada, files, google, robot, robot_key  # noqa: F401
from test_vault_servers import POLICIES, READER, Operator, bao  # noqa: F401
from test_vaults import app_key, auth0, auth0_process, github, github_user, mission_tokens  # noqa: F401
from test_vaults import ISSUES

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "doubles"))

from double_base import random_text  # noqa: E402
from providers import CLAUDE, CODEX, LoginDouble  # noqa: E402

TAKES_ALL = os.environ.get("SANCTUM_FAULT_POINTS") == "all"
SEED = os.environ.get("SANCTUM_KILL_SEED")  # that a failure told
ROLES = ("vault", "launcher", "interceptor")


def call(url, *more):
    return " ".join(["curl -sS -o /dev/null", *more, f"'{url}'\n"])


DESCRIBE = f"https://{API}/describe"
READ_AND_WRITE = call(DESCRIBE) + call(DESCRIBE, "-d event=1")


class World:
    """One source: its provider, a profile, what the agent calls, and what is the case there (accounts.Source)."""

    beside, shared = frozenset(), frozenset()
    stored = frozenset()  # kinds that are kept in the store for the next mission, where `probe` shows it
    probe = ""            # one call
    covers = staticmethod(accounts.is_orphan)

    def __init__(self, rig, request):
        self.rig, self.upstream = rig, request.getfixturevalue("upstream")
        self.seen = 0
        self.provider, self.profile = self.make(request.getfixturevalue)

    def make(self, fixture):
        """(provider, profile)"""
        raise NotImplementedError

    def calls(self):
        """What the agent does; called before each mission."""
        return READ_AND_WRITE

    def used(self, entries):
        """What the API saw since the last time."""
        tokens = [exchange.header("authorization") for exchange in self.upstream.exchanges[self.seen:]]
        self.seen += len(tokens)
        return {hashlib.sha256(token.removeprefix("Bearer ").encode()).hexdigest() for token in tokens if token}

    def over(self, entries):
        """What ended without being taken back."""
        return frozenset()

    def check_harm(self, entries):
        """What belongs to the owner was not touched, and nothing came twice that may come once."""

    def replace(self, item, secret):
        """The owner was asked again."""
        self.rig.secrets[item] = secret
        self.rig.expect_ok(self.rig.sanctum("vault", "add", "--replace", item, input=secret.encode()))


class Auth0Mission(World):
    """A refresh token for each mission. Three exchanges, two of which bring more than what they are made for; what
    Token Vault gives is its own copy, which others get as well."""

    beside, shared = frozenset({"access_token", "id_token"}), frozenset({"provider_token"})

    def make(self, fixture):
        profile, self.user = fixture("mission_tokens")(reaps=True)
        return fixture("auth0"), profile

    def check_harm(self, entries):
        assert self.provider.is_alive(self.user), "the user's own token"


class GithubUser(World):
    """A user's tokens of an App, renewed by each of these missions, and what is narrowed from them."""

    beside = stored = frozenset({"user_token", "refresh_token"})
    probe = call(ISSUES, "-w '%{http_code}'")

    def make(self, fixture):
        github_double = fixture("github")
        return github_double, fixture("github_user")(github_double.user_token()[1], reaps=True)

    def calls(self):
        self.replace("octocat", self.provider.user_token()[1])
        return call(ISSUES) + call(ISSUES, "-d '{}'")

    def used(self, entries):
        return credentials(entries, "/repos/")

    def check_harm(self, entries):
        assert not [entry for entry in entries if entry["error"] == "bad_refresh_token"], "an old one came again"


class Rotating(World):
    """A refresh token that each use replaces, and access tokens that are left to expire."""

    beside = stored = frozenset({"refresh_token"})
    probe = call(DESCRIBE, "-w '%{http_code}'")

    def make(self, fixture):
        corp = fixture("provider")
        self.rig.host(API, self.upstream, corp.ca_file).host(NAME, corp)
        self.rig.account("calendar", ACCOUNT, secret=consent(corp), item="alice")
        self.rig.secrets["corp-client"] = SECRET
        self.rig.extra(PROVIDER)
        return corp, self.rig.configure().profile(CONNECTED.replace('["read"]', '["read", "write"]'))

    def calls(self):
        self.replace("alice", consent(self.provider))
        return READ_AND_WRITE

    def over(self, entries):
        return frozenset(entry["subject"] for entry in entries if entry.get("subject") and entry["status"] == 200)

    def check_harm(self, entries):
        subjects = [entry["subject"] for entry in entries if entry["grant"] == "refresh_token"]
        assert len(subjects) == len(set(subjects)), f"one was sent twice: {subjects}"


class Login(World):
    """A login that the agent does and renews, and that is renewed once more before its first use. The lease of one that
    cannot be taken back stands for all that came of it."""

    beside = frozenset({"access_token", "refresh_token", "id_token"})
    dialect = CODEX

    def make(self, fixture):
        double = LoginDouble(fixture("tmp_path") / "login", fixture("authority"), self.dialect)
        self.rig.secrets["other"] = "canary-that-makes-a-store-91c2"
        return double, test_logins.World(self.rig, double).account().profile()

    def calls(self):
        double, known = self.provider, CLIENTS[self.provider.name]
        double.mend()
        double.fail("mint", life=60, path=self.dialect.token, times=2)  # about to end when they come
        verifier = random_text(64)
        body = {"grant_type": "authorization_code", "client_id": known["id"], "redirect_uri": known["redirect"],
                "code_verifier": verifier, "code": double.code_for(verifier, known["redirect"], known["scope"], "s")}
        if known["kind"] == "json":
            data = f"--json '{json.dumps({**body, 'state': 's'})}'"
        else:
            data = f"-d '{urllib.parse.urlencode(body)}'"
        renewal = {"grant_type": "refresh_token", "client_id": known["id"], "refresh_token": "held-by-sanctum"}
        return call(known["token"], data) + call(known["token"], f"--json '{json.dumps(renewal)}'") + \
            2 * call(test_logins.API[double.name])

    @staticmethod
    def covers(lease):
        is_lasting = lease["asked"] == ["login"] and lease["state"] == "parked" and not lease["expires_unix_ms"]
        return is_lasting or accounts.is_orphan(lease)

    def used(self, entries):
        return credentials(entries, test_logins.api_path(self.provider))

    def over(self, entries):
        return frozenset(token.sha256 for token in self.provider.tokens.values() if not token.is_alive)

    def check_harm(self, entries):
        assert not [entry for entry in entries if entry["status"] == 400], "an old refresh token came again"


class LastingLogin(Login):
    dialect = CLAUDE


class Openbao(World):
    """A password made with a token for that alone, and a token that may only revoke."""

    beside = frozenset({"token"})

    def make(self, fixture):
        double, authority = fixture("bao"), fixture("authority")
        self.parent = double.token(*POLICIES)
        return double, Operator(self.rig, self.upstream, authority, double).by_token(READER, self.parent)

    def check_harm(self, entries):
        assert self.provider.is_alive(self.parent), "who logged in"


class Google(World):
    """Tokens of a user's consent, which nothing but the end of the consent takes back."""

    def make(self, fixture):
        self.user = fixture("ada")
        return fixture("google"), fixture("account")(USER, ada=self.user, client="google-secret")

    def check_harm(self, entries):
        assert self.provider.is_alive(self.user), "the user's consent"


class GoogleBoundary(World):
    """A bounded token, made from a wider one that is dropped."""

    beside = frozenset({"access_token"})

    def make(self, fixture):
        return fixture("google"), fixture("files")

    def calls(self):
        return call(f"{STORAGE}/data/in/x") + call(f"{STORAGE}/storage/v1/b/data/o?prefix=in/")

    def used(self, entries):
        return credentials(entries, "/data/") | credentials(entries, "/storage/")


SOURCES = [Auth0Mission, GithubUser, Rotating, Login, LastingLogin, Openbao, Google, GoogleBoundary]


def credentials(entries, path):
    """Where the provider is the API as well."""
    return {entry["credential"] for entry in entries if entry["path"].startswith(path) and entry.get("credential")}


class SourceMachine(Machine):
    """The machine of an operator with one account of a source."""

    def __init__(self, rig, world):
        super().__init__(rig, world.provider, world.profile, "")
        self.world, self.works = world, False

    def calls(self):
        return self.world.calls()

    def kill(self, role, call_, number):
        if role == "vault":
            return self.run_and_kill_vault(call_, number)[1]
        return self.run_and_kill_neighbour(role, call_, number)[1]

    def settle(self):
        assert processes.wait_for_adopted(self.rig._known), "what finishes a mission's work ends"
        self.works = bool(self.world.stored) and self.still_works()
        return super().settle()

    def still_works(self):
        """Does the store have what the last mission left there? Where its answer was lost, the operator is told."""
        outcome = self.rig.run("sh", "-c", self.world.probe, profile=self.profile)
        if outcome.text == "200":
            return True
        [refused] = outcome.of_type("exchange.refused")
        assert refused["detail"].startswith("consent_lost: ") and "sanctum connect" in refused["detail"], refused
        return False

    def compare(self, entries, leases):
        world = self.world
        over = world.over(entries)
        kept = frozenset(token["sha256"] for entry in entries for token in entry["issued"]
                         if self.works and token["kind"] in world.stored)
        source = accounts.Source(world.beside, world.shared, over, kept, world.covers)
        count = accounts.check(entries, leases, world.used(entries), source)
        revoked = {token["sha256"] for entry in entries for token in entry["revoked"] if token["kind"] != "unknown"}
        for mission in {lease["mission"] for lease in leases}:
            accounts.check_receipt(self.receipt_of(mission), revoked | over)
        world.check_harm(entries)
        return count


@pytest.fixture(params=SOURCES, ids=lambda source: source.__name__)
def machine(request, rig):
    made = request.param(rig, request)
    yield SourceMachine(rig, made)
    if isinstance(made, Login):
        made.provider.stop()


def points_of(role, steps):
    """(system call, its number) where somebody dies."""
    if role == "vault":
        unwritten = [("pwrite64", step.first) for step in steps]
        return unwritten + [(step.sync_call, step.sync) for step in steps if step.sync]
    return [("pwrite64", step.last) for step in steps]


def choose(steps, identity, chance):
    """(role, system call, its number): all, every third as a user, or some at random."""
    points = {role: points_of(role, steps) for role in ROLES}
    if TAKES_ALL:
        return [(role, *point) for role in ROLES for point in points[role][::1 if identity.name == "root" else 3]]
    roles = ROLES if identity.name == "root" else [chance.choice(ROLES)]
    return [(role, *chance.choice(points[role])) for role in roles]


def test_whoever_dies_at_whichever_step_every_token_is_accounted_for(machine):
    seed = int(SEED or random.randrange(1 << 30))
    steps = machine.steps()
    points, killed = choose(steps, machine.rig.identity, random.Random(seed)), 0
    for role, call_, number in points:
        try:
            killed += machine.kill(role, call_, number)
            machine.settle()
        except Exception as error:
            where = f"seed {seed}, {role} at {call_} {number} of {steps}"
            raise AssertionError("\n".join([where, traceback.format_exc(), machine.evidence()])) from error

    print(f"seed {seed}: {len(steps)} steps, {len(points)} points, {killed} kills: {machine.total}")
    # Towards the end the interceptor has gone by itself, and not every mission takes every step.
    assert killed > len(points) // 2 or not TAKES_ALL
    assert machine.total.issued > 0
