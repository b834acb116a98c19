# SPDX-License-Identifier: Apache-2.0
"""Keeping house with the real programs: old records leave, the sealed store comes back from its copy, and whatever is
in use or asked for by nobody stays."""

import json
import time

import pytest

from rig import API

WAIT_SECONDS = 60  # for a `prune --older 1s` to find something: a mission is old enough after a second


def prune(rig, *options):
    done = rig.expect_ok(rig.sanctum("prune", "--json", *options))
    return {row["mission"]: row["action"] for row in map(json.loads, done.stdout.decode().splitlines())}


def prune_once_old(rig):
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := prune(rig, "--older", "1s")):
        assert time.monotonic() < deadline
    return found


def test_an_old_mission_is_pruned_while_a_running_one_stays(rig, service, upstream):
    ended = rig.run("curl", "-fsS", f"https://{API}/describe", profile=service)
    assert ended.code == 0, ended
    running = rig.start("sh", "-c", "echo ready; read line", profile=service).wait_until_started()
    assert running.read_line() == "ready"
    assert prune(rig) == {}, "400 days is what nobody has to name"

    actions = prune_once_old(rig)

    assert actions == {ended.folder.name: "pruned"}
    assert not ended.folder.exists()
    verdicts = rig.expect_ok(rig.sanctum("audit", "verify", "--json")).stdout.decode().splitlines()
    states = {row["mission"]: row["state"] for row in map(json.loads, verdicts)}
    assert states == {ended.folder.name: "pruned", running.mission: "open"}
    shown = json.loads(rig.expect_ok(rig.sanctum("show", ended.folder.name, "--json")).stdout)
    assert shown["ledger"] == "pruned" and shown["receipt"]["counts"]["verdicts"] == {"allow": 1}
    gone = rig.sanctum("explain", f"{ended.folder.name}-e1")
    assert gone.returncode == 1 and b"was pruned on" in gone.stderr
    listed = rig.expect_ok(rig.sanctum("audit", "list", "--agent", "test", "--since", "1h", "--json"))
    rows = [json.loads(line) for line in listed.stdout.decode().splitlines()]
    assert [(row["mission"], row["state"]) for row in rows] == list(states.items())
    assert rows[0]["allowed"] == 1 and rows[0]["end"] == "exit"
    running.send("\n")
    assert running.finish().code == 0


@pytest.mark.parametrize("decision", ["accept", "remove"])
def test_a_mission_is_kept_until_somebody_has_decided_about_the_files_that_it_holds_back(rig, service, decision):
    left = rig.run("sh", "-c", "echo evil > .envrc; echo fine > notes", profile=service)
    held = rig.work / ".envrc.sanctum-held"
    assert left.code == 0 and held.exists(), left
    mission = left.folder.name

    rows = prune_once_old(rig)

    assert rows == {mission: "kept"} and left.folder.exists()
    told = rig.expect_ok(rig.sanctum("prune", "--older", "1s")).stdout.decode()
    assert f"it holds back {rig.work / '.envrc'} (sanctum accept {mission}, or remove" in told
    if decision == "accept":
        rig.expect_ok(rig.sanctum("accept", mission))
        assert (rig.work / ".envrc").read_text() == "evil\n"
    else:
        held.unlink()
    assert prune(rig, "--older", "1s") == {mission: "pruned"}
    assert not held.exists() and not left.folder.exists()


def test_a_store_that_was_lost_serves_missions_again_after_restore(rig, service, upstream):
    copy = rig.folder / "copy.sealed"
    rig.expect_ok(rig.sanctum("vault", "backup", str(copy)))
    for secret in rig.secrets.values():
        assert secret.encode() not in copy.read_bytes()
    (rig.data / "store.sealed").unlink()
    without = rig.run("true", profile=service)
    assert without.code == 125 and "store" in without.errors

    rig.expect_ok(rig.sanctum("vault", "restore", str(copy)))

    again = rig.run("curl", "-fsS", f"https://{API}/describe", profile=service)
    assert again.code == 0, again
    refused = rig.sanctum("vault", "restore", str(copy))
    assert refused.returncode == 1 and b"--replace" in refused.stderr


def test_a_lost_data_folder_comes_back_with_both_keys_and_nothing_is_recorded_with_a_new_one(rig, service, upstream):
    copy, lost = rig.folder / "copy.sealed", rig.folder / "lost"
    rig.expect_ok(rig.sanctum("vault", "backup", str(copy)))
    first = rig.run("curl", "-fsS", f"https://{API}/describe", profile=service)
    assert first.code == 0, "there was no key and nothing that it should have signed"
    chain = (rig.state / "receipts.jsonl").read_bytes()
    rig.data.rename(lost)
    rig.expect_ok(rig.sanctum("vault", "restore", str(copy)))

    without = rig.run("curl", "-fsS", f"https://{API}/describe", profile=service)

    assert without.code == 125 and without.folder is None, without
    for named in (rig.data / "ledger.key", rig.data / "ledger.pub", rig.state / "receipts.jsonl"):
        assert str(named) in without.errors
    assert not (rig.data / "ledger.key").exists() and (rig.state / "receipts.jsonl").read_bytes() == chain
    examined = rig.sanctum("doctor", "--json")
    keys = [row for row in json.loads(examined.stdout)["findings"] if row["what"].startswith("ledger key")]
    assert examined.returncode == 3 and [row["health"] for row in keys] == ["bad"], keys
    assert rig.sanctum("audit", "verify").returncode != 0

    for name in ("ledger.key", "ledger.pub"):
        (lost / name).rename(rig.data / name)
    again = rig.run("curl", "-fsS", f"https://{API}/describe", profile=service)
    assert again.code == 0, again
    verdicts = rig.expect_ok(rig.sanctum("audit", "verify", "--json")).stdout.decode().splitlines()
    assert [row["state"] for row in map(json.loads, verdicts)] == ["sealed", "sealed"]
