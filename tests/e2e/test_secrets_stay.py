# SPDX-License-Identifier: Apache-2.0
"""What an identity provider issued is in the vault and, while it is leased, in the interceptor; what the operator
stored is in the vault alone. Every other process of a mission is searched, and no process may leave a core."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import identity as identities
import leak_sweep
import processes
from process_memory import memory_of
from test_bound_certificates import (  # noqa: F401
    BOUND, CAN_ASK, GET, WITH_CERTIFICATE, corp, corp_process, desk, make_api, make_operator)
from test_vaults import WAIT, app_key, auth0, auth0_process, github, operator  # noqa: F401


@pytest.fixture
def mission(rig, operator):  # noqa: F811
    identities.require(os.geteuid() == 0, "needs root to look into the processes")
    running = rig.start("sh", "-c", WAIT, profile=operator).wait_until_started()
    assert running.read_line() == "held"
    yield running
    if running.process.poll() is None:
        running.process.stdin.close()
        running.process.stdin = None
        running.finish()


def roles_of(running):
    """Role → pids; what has no role of its own in `sanctum show` is a helper of the launcher or the agent's."""
    named = running.roles()
    everyone = {running.pid, *processes.descendants_of(running.pid)}
    others = everyone - set(named.values())
    return {**{role: [pid] for role, pid in named.items() if pid in everyone}, "others": sorted(others)}


def places_of(secret, pids):
    return [f"{pid} {place}" for pid in pids for place, data in memory_of(pid)
            if leak_sweep.find_in_bytes(data, secret)]


def stored_secrets(rig):
    """Whole items, and of a key in PEM a line of its body."""
    for secret in rig.secrets.values():
        yield secret.splitlines()[2].encode() if secret.startswith("-----BEGIN") else secret.encode()


def test_what_was_issued_is_in_the_vault_and_the_interceptor_alone(rig, mission, github):  # noqa: F811
    token = next(token.value for token in github.tokens.values() if token.kind == "installation_token").encode()
    roles = roles_of(mission)
    assert len(roles["others"]) >= 2 and len(roles) >= 6, roles

    holders = {role for role, pids in roles.items() if places_of(token, pids)}

    assert holders == {"vault", "interceptor"}, {role: places_of(token, roles[role]) for role in holders}


def test_what_the_operator_stored_is_in_the_vault_alone(rig, mission):
    roles = roles_of(mission)
    for secret in stored_secrets(rig):
        holders = {role for role, pids in roles.items() if places_of(secret, pids)}
        assert holders <= {"vault"}, {role: places_of(secret, roles[role]) for role in holders}


def test_a_credential_that_was_given_back_is_forgotten_while_the_mission_goes_on(rig, operator, github):  # noqa: F811
    """Of a service that gets a new one for each request. The interceptor alone still knows the old one: it looks for
    it in answers, because a server may keep it and take it for longer than it says."""
    identities.require(os.geteuid() == 0, "needs root to look into the processes")
    single = rig.profile(operator.read_text().replace('account = "bot"', 'account = "bot"\nreuse = false'), "single")
    running = rig.start("sh", "-c", WAIT, profile=single).wait_until_started()
    assert running.read_line() == "held"
    token = next(token for token in github.tokens.values() if token.kind == "installation_token")
    deadline = time.monotonic() + 30
    while not token.is_revoked and time.monotonic() < deadline:
        processes.wait_for_end(running.pid, 0.02)
    assert token.is_revoked

    found = {role: places_of(token.value.encode(), pids) for role, pids in roles_of(running).items()}
    running.process.stdin.close()
    running.process.stdin = None
    running.finish()

    assert {role for role, places in found.items() if places} <= {"interceptor"}, found


@pytest.fixture
def bound(rig, make_operator, make_api, desk):  # noqa: F811
    """A mission with a token that is bound to the certificate of the operator's client, whose key is with it."""
    identities.require(os.geteuid() == 0, "needs root to look into the processes")
    profile = make_operator(make_api(), BOUND + CAN_ASK, WITH_CERTIFICATE, desk)
    running = rig.start("sh", "-c", f"{GET} >/dev/null; echo held; exec cat", profile=profile).wait_until_started()
    assert running.read_line() == "held"
    yield running
    running.finish()


def holders_of_key(running, pair):
    """(roles that have a line of the key's PEM, roles that have its number as OpenSSL or DER keep it)."""
    pem = pair[1].read_bytes()
    number = load_pem_private_key(pem, None).private_numbers().private_value.to_bytes(32, "big")
    forms = number, number[::-1]
    roles = roles_of(running)
    assert len(roles["others"]) >= 2 and len(roles) >= 6, roles
    texts, numbers = set(), set()
    for role, pids in roles.items():
        for data in (data for pid in pids for _, data in memory_of(pid)):
            texts |= {role} if pem.splitlines()[2] in data else set()
            numbers |= {role} if any(form in data for form in forms) else set()
    return texts, numbers


def test_a_clients_own_key_is_in_the_vault_and_while_it_is_leased_in_the_interceptor(rig, bound, desk):  # noqa: F811
    """A connection of the interceptor's forgets it after the handshake, so that what is left while a token is leased is
    the text for the next connection, and after that nothing."""
    texts, numbers = holders_of_key(bound, desk)
    assert texts == {"vault", "interceptor"} and numbers <= {"vault"}, (texts, numbers)

    rig.expect_ok(rig.sanctum("revoke", "--service", "things"))

    texts, numbers = holders_of_key(bound, desk)
    assert texts == {"vault"} and numbers <= {"vault"}, (texts, numbers)


def test_no_process_of_a_mission_leaves_a_core(mission):
    for role, pids in roles_of(mission).items():
        for pid in pids:
            limits = Path(f"/proc/{pid}/limits").read_text()
            assert re.search(r"Max core file size +0 +0", limits), (role, pid, limits)


def test_neither_files_nor_output_hold_what_was_issued(rig, mission, github):  # noqa: F811
    """Also after the worst end: the vault is killed and the reaper finishes what it left."""
    os.kill(mission.roles()["vault"], signal.SIGKILL)
    outcome = mission.finish()
    tokens = [token.value.encode() for token in github.tokens.values()]
    assert tokens

    for path in rig.folder.rglob("*"):
        if path.is_symlink() or not path.is_file():
            continue
        for token in tokens:
            assert not leak_sweep.find_in_bytes(path.read_bytes(), token), path
    for token in tokens:
        assert not leak_sweep.find_in_bytes(outcome.stdout + outcome.stderr, token)
