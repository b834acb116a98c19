# SPDX-License-Identifier: Apache-2.0
"""The operator's witness (`[ledger] witness`): told of every signed head, and said plainly when it was not."""

import base64
import json
import os
import signal

import pytest

import processes
import verify_ledger

TELLING = "#!/bin/sh\ncat >>{heads}\n"


@pytest.fixture
def witnessed(rig, service):
    """Gives a function that installs a witness with this script and configures it; returns where heads are kept."""
    def install(script, mode=0o755, folder="bin"):
        heads = rig.make("heads", 0o700) / "heads.jsonl"
        program = rig.write(rig.make(folder) / "publish-head", script.format(heads=heads), mode)
        rig.extra(f'[ledger]\nwitness = "command:{program}"').configure()
        return heads
    return install


def heads_of(outcome):
    return [(record["mission"], record["head_seq"], record["head"], record["signature"])
            for record in outcome.of_type("head.signed")]


def payload_of(outcome):
    return json.loads(base64.b64decode(outcome.receipt["payload"]))


def test_the_witness_gets_every_head_of_the_ledger(rig, service, witnessed):
    heads = witnessed(TELLING)

    outcome = rig.run("true", profile=service)

    assert outcome.code == 0, outcome
    told = [json.loads(line) for line in heads.read_text().splitlines()]
    assert [(line["mission"], line["head_seq"], line["head"], line["signature"]) for line in told] == heads_of(outcome)
    assert len(told) >= 2 and {line["key"] for line in told} == {outcome.records[0]["key"]}
    assert {line["v"] for line in told} == {1}
    assert outcome.ended["witness"] == {"told": len(told) - 1, "of": len(told) - 1}
    assert payload_of(outcome)["witness"] == {"told": len(told), "of": len(told)}
    assert "witness" not in outcome.errors
    shown = rig.expect_ok(rig.sanctum("show", outcome.folder.name)).stdout.decode()
    assert f"told {len(told)} of {len(told)} signed heads" in shown


def test_without_a_witness_nothing_is_said_about_one(rig, service):
    outcome = rig.run("true", profile=service)

    assert outcome.code == 0, outcome
    assert "witness" not in outcome.ended and "witness" not in payload_of(outcome)


@pytest.mark.parametrize("code", [0, 7])
def test_a_failing_witness_is_said_loudly_and_the_code_is_the_commands(rig, service, witnessed, code):
    witnessed("#!/bin/sh\nexit 3\n")

    outcome = rig.run("sh", "-c", f"exit {code}", profile=service, options=["-q"])

    assert outcome.code == code, outcome
    of = len(heads_of(outcome))
    assert f"sanctum-run: witness: told 0 of {of} heads (command {rig.folder}/bin/publish-head: exit status 3)" \
        in outcome.errors
    assert outcome.ended["witness"] == {"told": 0, "of": of - 1}
    assert payload_of(outcome)["witness"] == {"told": 0, "of": of}


def test_a_witness_that_hangs_is_killed_with_what_it_started(rig, service, witnessed):
    witnessed("#!/bin/sh\nsleep 600 &\nwait\n")

    outcome = rig.run("true", profile=service)

    assert outcome.code == 0, outcome
    assert "witness: told 0 of 2 heads" in outcome.errors, outcome
    rig.check_no_process_is_left()


def test_a_changed_count_is_found_by_both_verifiers(rig, service, witnessed):
    witnessed("#!/bin/sh\nexit 3\n")
    outcome = rig.run("true", profile=service)
    ledger = outcome.folder / "ledger.jsonl"
    whole = ledger.read_bytes()
    forged = whole.replace(b'"witness":{"told":0,"of":1}', b'"witness":{"told":1,"of":1}')
    assert forged != whole

    ledger.write_bytes(forged)
    done = rig.sanctum("audit", "verify", outcome.folder.name)
    with pytest.raises(AssertionError, match="verify_ledger"):
        rig.check_with_independent_verifier(outcome.folder)
    ledger.write_bytes(whole)

    assert done.returncode == 3, done


@pytest.mark.parametrize("ended, receipt, holds", [
    ((1, 1), (2, 2), True), ((1, 1), (1, 2), True), ((0, 1), (2, 2), True),  # told of the last head, not, a late answer
    ((1, 1), (0, 2), False), ((1, 1), (3, 2), False), ((1, 1), (2, 3), False), ((0, 1), (1, 1), False),
    (None, (2, 2), False), ((1, 1), None, False),
])
def test_the_second_verifier_lets_a_receipt_count_the_last_head_and_nothing_else(ended, receipt, holds):
    def count(pair):
        return pair and {"told": pair[0], "of": pair[1]}

    assert verify_ledger.counts_last_head(count(ended), count(receipt)) is holds


@pytest.mark.parametrize("witness, holds", [
    ({"told": 1, "of": 2}, True), ({"told": 2, "of": 2}, True), ({"told": 3, "of": 2}, False),
    ({"told": 1, "of": 1}, False), ({"told": -1, "of": 2}, False), ({"told": 1}, False), (None, False),
])
def test_the_second_verifier_counts_the_heads_itself(witness, holds):
    assert verify_ledger.is_count(witness, 2) is holds


def test_a_link_to_the_witness_may_change_and_what_was_looked_at_runs(rig, service, witnessed):
    heads = witnessed(TELLING)
    (rig.folder / "bin" / "publish-head").rename(rig.folder / "bin" / "real")
    link = rig.work / "publish-head"
    link.symlink_to(rig.folder / "bin" / "real")
    (rig.folder / "bin" / "publish-head").symlink_to(link)

    outcome = rig.run("sh", "-c", "ln -sf /bin/false publish-head", profile=service)

    assert outcome.code == 0, outcome
    assert len(heads.read_text().splitlines()) == len(heads_of(outcome))


def test_a_lost_mission_has_no_count_and_no_witness_is_left(rig, service, witnessed):
    witnessed(TELLING)
    running = rig.start("sh", "-c", "echo up; exec sleep 600", profile=service).wait_until_started()
    assert running.read_line() == "up"

    everyone = processes.descendants_of(running.pid)

    os.kill(running.roles()["launcher"], signal.SIGKILL)
    running.process.wait()
    # What still lives finishes its own work; a reaper that comes earlier leaves the mission alone.
    assert all(processes.wait_for_end(pid) for pid in everyone)
    rig.expect_ok(rig.sanctum("reap"))
    outcome = running.finish()

    assert outcome.ended["reason"] == "lost"
    assert "witness" not in outcome.ended and "witness" not in payload_of(outcome)


@pytest.mark.parametrize("fault, mode, folder, remedy", [
    ("missing", None, "bin", "install the program"),
    ("not executable", 0o644, "bin", "chmod u+x"),
    ("written by others", 0o777, "bin", "chmod go-w"),
    ("written by the agent", 0o755, "home/work/bin", "where the agent may write"),
])
def test_an_unusable_witness_is_125_and_nothing_ran(rig, service, witnessed, fault, mode, folder, remedy):
    witnessed("#!/bin/sh\nexit 0\n", mode or 0o755, folder)
    if mode is None:
        (rig.folder / folder / "publish-head").unlink()

    outcome = rig.run("sh", "-c", "echo ran; touch ran", profile=service)

    assert outcome.code == 125, outcome
    assert outcome.text == "" and not (rig.work / "ran").exists()
    assert "[ledger] witness" in outcome.errors and remedy in outcome.errors, outcome
    assert "config.toml" in outcome.errors
