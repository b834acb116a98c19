# SPDX-License-Identifier: Apache-2.0
"""A refresh token that every use replaces, shared by the missions of a machine. A provider that sees an old one again
ends the whole consent; so whatever dies or breaks between its answer and the new one's place in the store, no token is
ever sent twice, and the account works afterwards or the operator is told what to do."""

import json
import re
import subprocess

import pytest

import identity as identities
from rig import API
from test_connect import ACCOUNT, NAME, PROFILE, PROVIDER, SECRET, SCOPES, provider, provider_process  # noqa: F401

USER = "user|alice"
ASK = f"curl -sS -o /dev/null -w '%{{http_code}}\\n' https://{API}/describe"
ASK_AT_WORD = f"while read -r word; do {ASK}; done"

# what the vault does to which file when it is killed, before that is done → does the account work without a person?
MOMENTS = {
    "before it is noted that the token leaves": ("pwrite64", "store.sealed.alice.lock", True),
    "before the token leaves": ("fdatasync", "store.sealed.alice.lock", False),
    "before the new token is in the store": ("flock", "store.sealed.lock", False),
    "when the new token is in the store": ("fsync", "", True),
}


@pytest.fixture
def operator(rig, upstream, authority, provider):  # noqa: F811
    """An operator whose account has a refresh token that rotates; returns the profile."""
    rig.host(API, upstream, authority.ca_file).host(NAME, provider)
    rig.account("calendar", ACCOUNT, secret=consent(provider), item="alice")
    rig.secrets["corp-client"] = SECRET
    rig.extra(PROVIDER)
    rig.configure()
    return rig.profile(PROFILE)


def consent(provider):  # noqa: F811
    return provider.refresh_token("desk", USER, scope=" ".join([*SCOPES, "offline_access"]), audiences=[])


def renew(rig, provider):  # noqa: F811
    """What the operator is told to do."""
    rig.secrets["alice"] = consent(provider)
    rig.expect_ok(rig.sanctum("vault", "add", "--replace", "alice", input=rig.secrets["alice"].encode()))


def sent(provider):  # noqa: F811
    """The refresh tokens that the provider saw, and that it saw each once."""
    subjects = [entry["subject"] for entry in provider.log(grant="refresh_token")]
    assert len(subjects) == len(set(subjects)), f"one was sent twice: {subjects}"
    return subjects


def ask(running):
    running.send("go\n")
    return running.read_line()


def end(running):
    running.process.stdin.close()
    running.process.stdin = None
    return running.finish()


def refusals(outcome):
    return [record["detail"] for record in outcome.of_type("exchange.refused")]


def start_killed(rig, profile, calls, name):
    """A mission whose vault is killed when it is about to make one of `calls` on a file of the data folder."""
    user = rig.identity
    become = ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"] if user.uid else []
    trace = rig.write(rig.folder / "trace", "")
    path = rig.data / name if name else rig.data
    wrap = ["strace", "-f", "-qq", "-o", str(trace), "-P", str(path), "-e", f"trace={calls}",
            "-e", f"inject={calls}:signal=KILL:when=1", *become]
    return rig.start("sh", "-c", ASK, profile=profile, stdin=subprocess.DEVNULL, wrap=wrap, user=None, group=None,
                     extra_groups=None), trace


def test_two_missions_take_turns_and_each_sends_what_the_other_left(rig, operator, provider, upstream):  # noqa: F811
    both = [rig.start("sh", "-c", ASK, profile=operator, stdin=subprocess.DEVNULL) for _ in range(2)]
    third = rig.start("sh", "-c", ASK_AT_WORD, profile=operator).wait_until_started()
    outcomes = [running.finish() for running in both]
    assert [outcome.text for outcome in outcomes] == ["200\n"] * 2, [refusals(outcome) for outcome in outcomes]
    assert ask(third) == "200" and end(third).code == 0
    assert len(sent(provider)) == 3 and len(upstream.exchanges) == 3


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_vault_that_is_killed_while_a_token_rotates_costs_no_consent_unawares(rig, operator, provider,  # noqa: F811
                                                                                moment):
    identities.require_program("strace")
    calls, name, works = MOMENTS[moment]
    rig.expect_ok(rig.sanctum("reap"))
    other = rig.start("sh", "-c", ASK_AT_WORD, profile=operator).wait_until_started()
    killed, trace = start_killed(rig, operator, calls, name)
    killed.finish()
    assert re.search(rf" ({calls})\(.*= \?", trace.read_text()), trace.read_text()
    rig.expect_ok(rig.sanctum("reap"))

    status = ask(other)
    outcome = end(other)

    assert status == ("200" if works else "503"), trace.read_text()
    if not works:
        [told] = refusals(outcome)
        assert told.startswith("consent_lost: ") and "run `sanctum connect calendar`" in told, told
        again = rig.run("sh", "-c", ASK, profile=operator)
        assert again.text == "503\n", "and so it stays until a person acts"
        renew(rig, provider)
        assert rig.run("sh", "-c", ASK, profile=operator).text == "200\n"
    sent(provider)


@pytest.mark.parametrize("fault", ["lost", "half"])
def test_a_token_whose_answer_was_lost_is_never_sent_again(rig, operator, provider, fault):  # noqa: F811
    provider.fail(fault, grant="refresh_token")
    first = rig.run("sh", "-c", ASK, profile=operator)
    second = rig.run("sh", "-c", ASK, profile=operator)

    assert (first.text, second.text) == ("503\n", "503\n")
    assert re.match(r"no_answer|protocol", refusals(first)[0]) and "consent_lost" in refusals(second)[0]
    assert [record["state"] for record in first.of_type("lease.changed")] == ["orphaned"], "it may have been made"
    assert second.of_type("lease.changed") == [], "nothing was asked for"
    alive = [json.loads(line) for line in rig.sanctum("leases", "--json").stdout.splitlines()]
    assert [lease["state"] for lease in alive] == ["orphaned"]
    assert len(sent(provider)) == 1


def test_a_token_that_the_provider_did_not_take_is_sent_again(rig, operator, provider):  # noqa: F811
    provider.fail("rate_limited", grant="refresh_token", form="none")
    assert rig.run("sh", "-c", ASK, profile=operator).text == "503\n"
    provider.down()
    try:
        assert rig.run("sh", "-c", ASK, profile=operator).text == "503\n"
    finally:
        provider.up()
    assert rig.run("sh", "-c", ASK, profile=operator).text == "200\n"
