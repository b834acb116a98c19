# SPDX-License-Identifier: Apache-2.0
"""No credential is unaccounted for, whatever dies and whenever: the vault and its neighbours are killed at every write
of the journal, power fails between two syncs, the disk is full, the journal is busy, and everything dies at random.

strace stops, kills and fails at the N-th write; nothing in the programs is made for it. After each fault
`sanctum reap` runs as a later process, without the store, and accounts.py compares what the provider issued and took
back, what was used upstream, and what the journal and the record say.
"""

import os
import random
import re
import signal
import sqlite3
import subprocess
import time
import traceback
from pathlib import Path

import pytest
import accounts
import processes
from fault_machine import LOOK_SECONDS, STOP_SECONDS, Machine, kill_if_there, points, require
from rig import mission_head
from test_vaults import app_key, github, github_app_account  # noqa: F401

ISSUES = "https://api.github.com/repos/acme/api/issues"
PROFILE = mission_head("faults") + """\
[[service]]
name = "github"
catalog = "github"
account = "bot"
grant = ["issues:write"]
resources = { repo = ["acme/api"] }
"""
# Two needs, so two leases; a refusal is no failure of these tests.
CALLS = f"""
curl -sS -o /dev/null {ISSUES}
curl -sS -o /dev/null -d '{{"title":"t"}}' {ISSUES}
curl -sS -o /dev/null {ISSUES}
"""
HOLD = f"curl -sS -o /dev/null {ISSUES}; echo held; exec cat"
KILL_RUNS = int(os.environ.get("SANCTUM_KILL_RUNS", "25"))
KILL_SEED = os.environ.get("SANCTUM_KILL_SEED")  # that a failure told


class GithubMachine(Machine):
    """An operator whose one account is a GitHub App."""

    def leave_dead(self):
        """A mission all of whose processes died at once while a credential was out."""
        running = self.rig.start("sh", "-c", HOLD, profile=self.profile).wait_until_started()
        assert running.read_line() == "held"
        os.kill(running.pid, signal.SIGSTOP)  # nobody is asked to finish what the others leave
        for pid in [*processes.descendants_of(running.pid), running.pid]:
            kill_if_there(pid)
        running.finish()
        assert processes.wait_for_adopted(self.rig._known)

    def writes(self):
        """How often a mission writes the journal, which is there before."""
        assert self.rig.run("true", profile=self.profile).code == 0
        assert self.run().code == 0
        self.settle()
        return len(re.findall(r" pwrite64\(", self.trace.read_text()))


@pytest.fixture
def machine(rig, authority, github, app_key):  # noqa: F811
    require()
    rig.host("api.github.com", github, authority.ca_file)
    github_app_account(rig, app_key)
    rig.configure()
    return GithubMachine(rig, github, rig.profile(PROFILE), CALLS)


def test_an_undisturbed_mission_gives_back_what_it_was_issued(machine):
    outcome = machine.run()
    count = machine.settle()

    assert outcome.code == 0, outcome
    assert (count.issued, count.used, count.revoked, count.orphans) == (2, 2, 2, 0)


def test_the_vault_is_killed_at_each_write_of_its_journal(machine):
    tried, killed = points(machine.writes(), machine.rig.identity), 0
    for point in tried:
        outcome, was_killed = machine.run_and_kill_vault("pwrite64", point)
        count = machine.settle()
        killed += was_killed
        # Success is said only where everything had been given back before.
        assert outcome.code != 0 or (count.issued, count.revoked) == (2, 2), (point, outcome)

    print(f"{len(tried)} writes, {killed} kills: {machine.total}")
    assert killed > len(tried) // 4 and 0 < machine.total.revoked < machine.total.issued


@pytest.mark.parametrize("role", ["launcher", "interceptor", "dialler"])
def test_a_neighbour_is_killed_while_the_vault_is_at_each_write(machine, role):
    tried, killed = points(machine.writes(), machine.rig.identity), 0
    for point in tried:
        killed += machine.run_and_kill_neighbour(role, "pwrite64", point)[1]
        machine.settle()

    print(f"{len(tried)} writes, {killed} kills: {machine.total}")
    assert killed > len(tried) // 4 and machine.total.issued > 0


def test_power_fails_between_any_two_syncs(machine):
    """The journal as a disk has it that dropped everything since the last sync, for each of them: whatever the
    provider had issued until the next sync began, and whatever was used, the journal must know of."""
    machine.writes()
    before = {name: (machine.rig.state / name).read_bytes() for name in ("state.db", "state.db-wal")
              if (machine.rig.state / name).exists()}
    outcome = machine.run("-xx", "-s", "65536", calls="pwrite64,fdatasync,fsync")
    events = read_trace(machine.trace.read_text())
    entries = machine.provider.log()[machine.entries:]
    assert outcome.code == 0, outcome
    machine.settle()

    syncs = [number for number, event in enumerate(events) if event.data is None]
    seen = accounts.Count()
    for number, sync in enumerate(syncs):
        until = events[syncs[number + 1]].time if number + 1 < len(syncs) else float("inf")
        image = machine.rig.make(f"image{number}/sanctum", 0o700)
        write_image(image, before, [event for event in events[:sync] if event.data is not None])
        rows = rows_of(image / "state.db", outcome.folder.name)
        seen.add(expect_known(rows, [entry for entry in entries if entry["time"] < until]))
    print(f"{len(syncs)} images: {seen}")
    assert len(syncs) >= 4 and seen.issued > 2 and seen.used > 0


class Event:
    """A write to the journal's log, or (without data) a sync of it."""

    def __init__(self, moment, data=None, offset=None):
        self.time, self.data, self.offset = moment, data, offset


def read_trace(text):
    events = []
    for line in text.splitlines():
        write = re.match(r'\d+\s+([\d.]+) pwrite64\(\d+, "((?:\\x..)*)", \d+, (\d+)\)\s+= \d+', line)
        sync = re.match(r"\d+\s+([\d.]+) f(?:data)?sync\(\d+\)\s+= 0", line)
        if write:
            events.append(Event(float(write[1]), bytes.fromhex(write[2].replace("\\x", "")), int(write[3])))
        elif sync:
            events.append(Event(float(sync[1])))
    return events


def write_image(folder, before, writes):
    content = bytearray(before.get("state.db-wal", b""))
    for write in writes:
        content[write.offset:write.offset + len(write.data)] = write.data
    (folder / "state.db").write_bytes(before["state.db"])
    (folder / "state.db-wal").write_bytes(content)


def rows_of(database, mission):
    connection = sqlite3.connect(database)
    try:
        return connection.execute("SELECT state, thumbprint FROM leases WHERE mission=?", (mission,)).fetchall()
    finally:
        connection.close()


def expect_known(rows, entries):
    """Correlation before asking, handle before use."""
    issued = {token["sha256"] for entry in entries for token in entry["issued"]}
    used = {entry["credential"] for entry in entries if entry["path"].startswith("/repos/")}
    known = {thumbprint for _, thumbprint in rows if thumbprint}
    wanted = [state for state, thumbprint in rows if not thumbprint]
    assert used <= known, f"{used - known} were used before the journal was sure to know them: {rows}"
    assert len(issued - known) <= len(wanted), f"{issued - known} were issued and could have been lost: {rows}"
    return accounts.Count(len(issued), len(used))


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_the_journal_cannot_be_written_from_any_point_on(machine, error):
    writes = machine.writes()
    for point in points(writes, machine.rig.identity)[::2]:
        machine.run("-e", f"inject=pwrite64:error={error}:when={point}+")
        machine.settle()

    print(f"{writes} writes: {machine.total}")
    assert machine.total.issued > 0


@pytest.mark.parametrize("is_full", [True, False])
def test_a_record_stays_open_where_the_reaper_of_a_dead_vault_fails(machine, is_full):
    """The disk is full for the reaper alone, which the launcher's standby starts; nothing that it prints says so."""
    machine.writes()
    running = machine.rig.start("sh", "-c", f"curl -sS -o /dev/null {ISSUES}; echo held; exec cat",
                                profile=machine.profile).wait_until_started()
    assert running.read_line() == "held"
    roles = running.roles()
    [standby] = set(processes.children_of(running.pid)) - set(roles.values())
    fault = ["-e", "inject=pwrite64:error=ENOSPC"] if is_full else []
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-p", str(standby), "-o", str(machine.trace), "-P",
                               str(machine.rig.state / "state.db-wal"), "-e", "trace=pwrite64", *fault])
    while f"TracerPid:\t{tracer.pid}\n" not in Path(f"/proc/{standby}/status").read_text():
        assert not processes.wait_for_end(tracer.pid, LOOK_SECONDS), "strace cannot see the standby"

    os.kill(roles["vault"], signal.SIGKILL)
    left = running.finish()
    tracer.wait(STOP_SECONDS)

    assert bool(left.receipt) is not is_full, left
    assert ("how its leases ended is not known" in left.errors) is is_full, left.errors
    count = machine.settle()
    assert (count.issued, count.revoked) == (1, 1)
    records = machine.rig.records_of(left.folder)
    assert [record["state"] for record in records if record["type"] == "lease.changed"][-1] == "gone"
    assert (left.folder / "receipt.json").exists()


def test_a_busy_journal_mints_nothing_and_says_so(machine):
    machine.writes()
    other = sqlite3.connect(machine.rig.state / "state.db", isolation_level=None)
    running = machine.rig.start("sh", "-c", f"read go; curl -sS {ISSUES}", profile=machine.profile)
    running.wait_until_started()
    other.execute("BEGIN IMMEDIATE")
    try:
        running.send("go\n")
        outcome = running.finish()
    finally:
        other.execute("ROLLBACK")
        other.close()

    count = machine.settle()
    assert "credential_unavailable" in outcome.text and "state.db" in outcome.records[-3]["detail"], outcome.records
    assert (count.issued, count.used) == (0, 0)


# file in the state folder → the calls that write it
WRITES = {"state.db-wal": "pwrite64", "ledger.jsonl": "write,pwrite64,writev"}


@pytest.mark.parametrize("name", WRITES)
def test_a_reaper_is_killed_at_each_of_its_writes_and_the_next_one_finishes(machine, name):
    """Of the journal, and of the record that it closes. What the provider took back before is not taken back twice."""
    machine.writes()
    step, killed, point = (1 if machine.rig.identity.name == "root" else 3), 0, 1
    while True:
        machine.leave_dead()
        folder = machine.rig.state if name == "state.db-wal" else max((machine.rig.state / "missions").iterdir())
        done = machine.reap(WRITES[name], "-e", f"inject={WRITES[name]}:signal=KILL:when={point}", file=folder / name)
        was_killed = "killed by SIGKILL" in machine.trace.read_text()
        count = machine.settle()
        assert (count.issued, count.revoked, count.orphans) == (1, 1, 0), (point, done)
        if not was_killed:
            break
        killed, point = killed + 1, point + step
    print(f"{killed} kills of the reaper: {machine.total}")
    assert killed >= 1 and done.returncode == 0, done


def test_a_disk_that_is_full_for_the_reaper_is_said_and_the_next_one_finishes(machine):
    machine.writes()
    machine.leave_dead()
    done = machine.reap("pwrite64", "-e", "inject=pwrite64:error=ENOSPC")
    assert done.returncode != 0 and b"state.db" in done.stderr and b"make room" in done.stderr, done
    count = machine.settle()
    assert (count.issued, count.revoked, count.orphans) == (1, 1, 0)


def test_a_journal_that_is_busy_for_the_reaper_is_said_and_the_next_one_finishes(machine):
    machine.writes()
    machine.leave_dead()
    other = sqlite3.connect(machine.rig.state / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        done = machine.rig.sanctum("reap")
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert done.returncode != 0 and b"another Sanctum process holds it" in done.stderr, done
    count = machine.settle()
    assert (count.issued, count.revoked, count.orphans) == (1, 1, 0)


def test_a_network_that_is_silent_at_the_end_holds_it_up_within_a_bound_and_the_reaper_finishes(machine):
    """No refused connection, no answer: nothing says that it is useless to wait."""
    machine.writes()
    running = machine.rig.start("sh", "-c", HOLD, profile=machine.profile).wait_until_started()
    assert running.read_line() == "held"
    machine.provider.fail("slow", path="/installation/token", seconds=60, times=0)
    running.process.stdin.close()
    running.process.stdin = None
    outcome = running.finish()
    assert not machine.provider.log(fault="slow"), "it did not wait for the provider"
    assert outcome.code == 0 and outcome.receipt, outcome
    last = outcome.of_type("lease.changed")[-1]
    assert (last["state"], last["detail"]) == ("parked", "giving it back is not confirmed")

    machine.provider.mend()
    count = machine.settle()

    assert (count.issued, count.revoked, count.orphans) == (1, 1, 0)


def test_a_provider_that_is_down_for_longer_than_the_mission_is_said_and_nothing_is_left(machine):
    machine.writes()
    machine.provider.down()
    try:
        outcome = machine.run()
        count = machine.settle()
    finally:
        machine.provider.up()
    assert {reason for reason, _, _ in outcome.refused} == {"credential_unavailable"}, outcome
    assert all(record["detail"].startswith("unavailable: ") for record in outcome.of_type("exchange.refused"))
    assert (count.issued, count.used, count.orphans) == (0, 0, 0)


@pytest.mark.parametrize("fault", ["lost", "half", "wrong_type"])
def test_a_credential_whose_answer_is_of_no_use_is_counted_until_it_must_be_dead(machine, fault):
    machine.writes()
    machine.provider.fail(fault, path="/app/installations", times=0)
    machine.run()
    machine.provider.mend()
    count = machine.settle()
    assert (count.issued, count.used) == (2, 0) and count.orphans == 2, "each is shown, and none is called failed"


def test_everything_dies_at_random(machine):
    """`scripts/test --soak` sets the full number of runs."""
    seed = int(KILL_SEED or random.randrange(1 << 30))
    chance = random.Random(seed)
    began = time.monotonic()
    assert machine.rig.run("sh", "-c", CALLS, profile=machine.profile).code == 0
    longest = time.monotonic() - began
    machine.settle()
    for number in range(KILL_RUNS):
        story = [f"seed {seed}, run {number}"]
        try:
            die_at_random(machine, chance, longest, story)
        except Exception as error:
            story += [traceback.format_exc(), machine.evidence()]
            raise AssertionError("\n".join(story)) from error

    print(f"seed {seed}, {KILL_RUNS} kill runs, 0 unaccounted: {machine.total}")
    assert machine.total.issued > 0


def die_at_random(machine, chance, longest, story):
    running = machine.rig.start("sh", "-c", CALLS, profile=machine.profile, stdin=None)
    moment = chance.uniform(0.0, longest)
    processes.wait_for_end(running.pid, moment)
    below = processes.descendants_of(running.pid)
    victims = chance.sample([running.pid, *below], min(chance.choice([1, 1, 1, 2, 4]), len(below) + 1))
    story.append(f"killed after {moment:.3f} s of {longest:.3f} s: "
                 f"{[f'{pid} {processes.command_of(pid)}' for pid in victims]}")
    for pid in victims:
        kill_if_there(pid)
    outcome = running.finish()
    story.append(str(outcome))
    assert all(processes.wait_for_end(pid) for pid in below), "a vault outlives its mission only for its work"
    # Whoever finishes the work of the dead, also a process that was made after we looked, is done before the next step.
    assert processes.wait_for_adopted(machine.rig._known), "what finishes a mission's work ends"
    machine.settle()
