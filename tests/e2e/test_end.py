# SPDX-License-Identifier: Apache-2.0
"""End means end: whatever kills a mission, no process of its tree is left, each lease has its end, the ledger verifies.

`check_everything` of the rig runs after each test and looks for what was left; these tests only arrange the end.
"""

import os
import random
import signal
import threading

import pytest

import processes
from rig import API

# Keeps two requests in flight, a process in a session of its own, one that ignores every signal, and an orphan.
BUSY = f"""
trap '' HUP INT TERM
setsid sh -c 'trap "" HUP INT TERM; while :; do read x </dev/zero; done' &
(sh -c 'exec sleep 600' &) ; sh -c 'sleep 600 & exit'
for i in 1 2; do (while :; do curl -fsS https://{API}/describe >/dev/null; done) & done
echo ready
wait
"""

ROLES = ["launcher", "interceptor", "dialler", "vault", "init"]


@pytest.fixture
def busy(rig, service, upstream):
    """A mission with work in flight; returns it with all its processes noted."""
    running = rig.start("bash", "-c", BUSY, profile=service).wait_until_started()
    assert running.read_line() == "ready"
    upstream.wait_for(3, "/describe")
    running.everyone = processes.descendants_of(running.pid)
    assert len(running.everyone) >= 8
    return running


def expect_everybody_gone(running):
    for pid in running.everyone:
        assert processes.wait_for_end(pid), f"{pid} {processes.command_of(pid)} outlived its mission"


def finish_after_death(rig, running):
    """What an operator does after a crash: `sanctum reap`; then the record must be whole."""
    running.process.wait()
    expect_everybody_gone(running)
    rig.expect_ok(rig.sanctum("reap"))
    outcome = running.finish()
    assert outcome.ended is not None, outcome.records[-3:]
    assert outcome.receipt and outcome.receipt["signatures"]
    return outcome


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("moment", range(3))
def test_sigkill_of_a_process_ends_everything(rig, busy, upstream, role, moment):
    """The moment is random: after a random number of further requests have arrived."""
    pid = busy.roles()[role]
    seed = random.randrange(1 << 30)
    upstream.wait_for(len(upstream.exchanges) + random.Random(seed).randrange(1, 40), "/describe")

    os.kill(pid, signal.SIGKILL)
    outcome = finish_after_death(rig, busy)

    assert busy.process.returncode != 0
    expected = {"launcher": ("lost",), "init": ("signal", "lost")}.get(role, ("lost", "signal", "setup"))
    assert outcome.ended["reason"] in expected, (outcome.ended, seed)


def test_sigkill_of_all_trusted_processes_at_once(rig, busy):
    for pid in busy.roles().values():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # the first kills may have ended the others

    assert finish_after_death(rig, busy).ended["reason"] == "lost"


@pytest.mark.parametrize("left", [(), ("ledger.jsonl",), ("ledger.jsonl", "reserve", "mission.json.new-0123456789ab")])
def test_what_a_launcher_left_that_died_before_its_first_record_goes_away(rig, service, left):
    assert rig.run("true", profile=service).code == 0
    folder = rig.make("state/sanctum/missions/01m8a0heqmvzbc0g1fe8rrftrq", 0o700)
    for name in left:
        rig.write(folder / name, "", 0o600)

    rig.expect_ok(rig.sanctum("reap"))

    assert not folder.exists()
    rig.expect_ok(rig.sanctum("audit", "verify"))


def test_a_mission_without_a_ledger_whose_receipt_is_there_is_left_as_evidence(rig, service):
    outcome = rig.run("true", profile=service)
    (outcome.folder / "ledger.jsonl").rename(rig.folder / "ledger.jsonl")

    rig.sanctum("reap")

    assert (outcome.folder / "receipt.json").exists()
    assert rig.sanctum("audit", "verify").returncode == 3
    (rig.folder / "ledger.jsonl").rename(outcome.folder / "ledger.jsonl")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_to_the_launchers_whole_group(rig, service, upstream, number):
    running = rig.start("bash", "-c", BUSY, profile=service, start_new_session=True).wait_until_started()
    assert running.read_line() == "ready"
    running.everyone = processes.descendants_of(running.pid)

    os.killpg(running.pid, number)
    if number != signal.SIGKILL and number != signal.SIGHUP:
        os.killpg(running.pid, number)
        rig.sanctum("revoke", running.mission)
    elif number == signal.SIGHUP:
        rig.sanctum("revoke", running.mission)
    finish_after_death(rig, running)


def test_the_end_of_time_ends_a_tree_that_ignores_signals(rig, service, upstream):
    running = rig.start("bash", "-c", BUSY, profile=service, options=["--ttl", "10s"]).wait_until_started()
    assert running.read_line() == "ready"
    running.everyone = processes.descendants_of(running.pid)

    outcome = running.finish()

    assert outcome.code == 124 and outcome.ended["reason"] == "ttl", outcome
    expect_everybody_gone(running)


def test_no_request_is_begun_with_a_credential_in_a_missions_last_moments(rig, service, upstream):
    """One request after another until the time is over: some are sent, and from the first that is refused on none."""
    upstream.routes["/number/*"] = upstream.routes["/describe"]
    outcome = rig.run("curl", "-sS", "--rate", "10/s", f"https://{API}/number/[1-1000]", profile=service,
                      options=["--ttl", "12s"])

    assert outcome.code == 124, outcome
    verdicts = [record["type"] for record in outcome.records if record["type"] in ("exchange.intent",
                                                                                 "exchange.refused")]
    sent = verdicts.index("exchange.refused")
    assert 0 < len(upstream.exchanges) == sent and "exchange.intent" not in verdicts[sent:], verdicts
    assert {reason for reason, _, _ in outcome.refused} == {"mission_ending"}, outcome


def test_a_revoke_ends_a_tree_that_ignores_signals(rig, busy):
    rig.expect_ok(rig.sanctum("revoke", busy.mission))

    outcome = busy.finish()

    assert outcome.code == 122 and outcome.ended["reason"] == "revoked", outcome
    expect_everybody_gone(busy)


def test_nothing_is_sent_upstream_after_a_revoke_was_confirmed(rig, busy, upstream):
    rig.expect_ok(rig.sanctum("revoke", busy.mission))
    arrived = len(upstream.exchanges)

    busy.finish()

    assert len(upstream.exchanges) <= arrived + 2, "at most what was already on its way"


@pytest.mark.parametrize("end", ["ttl", "revoke", "kill"])
def test_a_stopped_mission_ends_as_well(rig, service, upstream, end):
    options = ["--ttl", "10s"] if end == "ttl" else []
    running = rig.start("bash", "-c", BUSY, profile=service, options=options,
                        start_new_session=True).wait_until_started()
    assert running.read_line() == "ready"
    running.everyone = processes.descendants_of(running.pid)

    os.killpg(running.pid, signal.SIGSTOP)
    if end == "revoke":
        rig.expect_ok(rig.sanctum("revoke", running.mission))
    elif end == "kill":
        os.kill(running.pid, signal.SIGKILL)
    if end == "ttl":
        for pid in running.everyone:  # init's own timer needs no launcher
            if processes.command_of(pid).startswith(("sleep", "bash", "curl", "sh ")):
                assert processes.wait_for_end(pid), f"{pid} {processes.command_of(pid)} outlived its time"
        os.killpg(running.pid, signal.SIGCONT)

    outcome = finish_after_death(rig, running)
    assert outcome.code == {"ttl": 124, "revoke": 122, "kill": -signal.SIGKILL}[end], outcome


def test_the_end_of_the_command_ends_what_it_left_running(rig, service):
    script = "setsid sleep 600 & (sleep 600 &) ; nohup sleep 600 >/dev/null 2>&1 & exit 5"
    running = rig.start("bash", "-c", script, profile=service).wait_until_started()

    outcome = running.finish()

    assert outcome.code == 5, outcome


def test_requests_in_flight_at_the_end_have_an_outcome(rig, service, upstream):
    """The command ends while the server has not answered: the record says so, and the mission ends all the same."""
    release = threading.Event()

    def never(exchange):
        release.wait(30)
        exchange.close = True
    upstream.routes["/never"] = never
    running = rig.start("sh", "-c", f"curl -sS https://{API}/never & read go", profile=service).wait_until_started()
    upstream.wait_for(1, "/never")

    running.send("\n")
    outcome = running.finish()
    release.set()

    assert outcome.code == 0, outcome
    assert len(outcome.of_type("exchange.outcome")) == 1
    assert outcome.of_type("exchange.outcome")[0]["outcome"] in ("mission_ended", "agent_closed")


def test_the_receipt_tells_the_end_of_each_lease(rig, service):
    outcome = rig.run("curl", "-fsS", f"https://{API}/describe", profile=service)

    states = {record["lease"]: record["state"] for record in outcome.of_type("lease.changed")}
    assert states and set(states.values()) <= {"gone", "expired"}, states
    assert sum(outcome.ended["leases"].values()) == len(states)


def test_a_second_mission_at_the_same_time_is_its_own(rig, service, upstream):
    first = rig.start("sh", "-c", "echo up; read x", profile=service).wait_until_started()
    second = rig.start("sh", "-c", "echo up; read x", profile=service).wait_until_started()
    assert first.read_line() == second.read_line() == "up"

    rig.expect_ok(rig.sanctum("revoke", first.mission))
    assert first.finish().code == 122
    second.send("\n")

    assert second.finish().code == 0
