# SPDX-License-Identifier: Apache-2.0
"""Missions whose processes are killed, stopped or failed at the N-th thing that is done to the journal, and the
comparison of all logs after each. strace does it; nothing in the programs is made for it."""

import base64
import json
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass

import accounts
import identity as identities
import processes
from rig import BIN

AS_ROOT = {"user": None, "group": None, "extra_groups": None}  # what the identity would have said
STOP_SECONDS = 20
LOOK_SECONDS = 0.005  # between two looks at the trace
FRAME_HEAD_BYTES = 24  # of a page in SQLite's log; the page follows in a write of its own


def require():
    """What these tests need of a machine."""
    identities.require_program("strace")
    identities.require(os.geteuid() == 0, "needs root to trace a vault")


def points(count, identity):
    """Every one as root; every third as a user, for whom only the rights of files are different."""
    return range(1, count + 1, 1 if identity.name == "root" else 3)


class Machine:
    """An operator, one profile, and what its agent calls; `provider` is a double."""

    def __init__(self, rig, provider, profile, calls):
        require()
        self.rig, self.provider, self.profile, self._calls = rig, provider, profile, calls
        self.total, self.trace = accounts.Count(), rig.folder / "trace"
        self.entries, self.missions = 0, set()

    def calls(self):
        """A shell's script: what the agent of the next mission does. That a call is refused is no failure."""
        return self._calls

    def journal(self):
        done = self.rig.expect_ok(self.rig.sanctum("leases", "--all", "--json"))
        return [json.loads(line) for line in done.stdout.splitlines()]

    # ---- faults ----------------------------------------------------------------------------------------------------
    def strace(self, calls, *options, file=None):
        """The command line of a tracer that sees only what is done to the journal, or to `file`."""
        self.rig.write(self.trace, "")
        path = str(file or self.rig.state / "state.db-wal")
        user = self.rig.identity
        # The tracer is root: the files of a vault, which keeps others from looking in, are nothing that a user can see.
        become = ["setpriv", f"--reuid={user.uid}", f"--regid={user.gid}", "--clear-groups"] if user.uid else []
        return ["strace", "-f", "-qq", "-ttt", "-o", str(self.trace), "-P", path, "-e", f"trace={calls}", *options,
                *become]

    def run(self, *options, calls="pwrite64"):
        return self.start(*options, calls=calls).finish()

    def start(self, *options, calls="pwrite64"):
        return self.rig.start("sh", "-c", self.calls(), profile=self.profile, stdin=subprocess.DEVNULL,
                              wrap=self.strace(calls, *options), **AS_ROOT)

    def run_and_kill_vault(self, call, number):
        """(outcome, was it killed): the vault dies instead of doing this."""
        outcome = self.run("-e", f"inject={call}:signal=KILL:when={number}", calls=call)
        return outcome, "killed by SIGKILL" in self.trace.read_text()

    def run_and_kill_neighbour(self, role, call, number):
        """The same for a neighbour, while the vault has done this and nothing after it."""
        running = self.start("-e", f"inject={call}:signal=STOP:when={number}", calls=call)
        neighbour = pid_of(role, running.pid) if wait_for_stop(self.trace, running.process) else None
        if neighbour:
            kill_if_there(neighbour)
        go_on(self.trace, running.process)
        return running.finish(), bool(neighbour)

    def steps(self):
        """What a whole mission does to the journal, which is there before."""
        assert self.rig.run("true", profile=self.profile).code == 0
        outcome = self.run("-xx", "-s", str(FRAME_HEAD_BYTES), calls="pwrite64,fdatasync,fsync")
        assert outcome.code == 0 and not outcome.refused, outcome
        steps = steps_of(self.trace.read_text())
        self.settle()
        return steps

    # ---- afterwards ------------------------------------------------------------------------------------------------
    def settle(self):
        """What an operator does after a crash, and then the comparison of what was new since the last time. Nothing
        of it opens the store."""
        away = self.rig.folder / "away.key"
        self.rig.key_file.rename(away)
        self.rig.expect_ok(self.rig.sanctum("reap"))
        leases = [lease for lease in self.journal() if lease["mission"] not in self.missions]
        away.rename(self.rig.key_file)
        entries = self.provider.log()[self.entries:]
        count = self.compare(entries, leases)
        for mission in {lease["mission"] for lease in leases}:
            records = self.rig.records_of(self.rig.state / "missions" / mission)
            accounts.check_record(records, [lease for lease in leases if lease["mission"] == mission])
        self.entries += len(entries)
        self.missions |= {lease["mission"] for lease in leases}
        self.total.add(count)
        return count

    def compare(self, entries, leases):
        return accounts.check(entries, leases)

    def receipt_of(self, mission):
        """The payload of a mission's receipt, which is there whatever died."""
        receipt = json.loads((self.rig.state / "missions" / mission / "receipt.json").read_text())
        return json.loads(base64.b64decode(receipt["payload"]))

    def evidence(self):
        """The three logs of what is new since the last comparison, for whoever reads a failure."""
        lines = ["--- provider", *map(json.dumps, self.provider.log()[self.entries:]), "--- journal"]
        leases = [lease for lease in self.journal() if lease["mission"] not in self.missions]
        lines += map(json.dumps, leases)
        for mission in sorted({lease["mission"] for lease in leases}):
            folder = self.rig.state / "missions" / mission
            lines.append(f"--- record of {mission}: {sorted(os.listdir(folder)) if folder.exists() else 'none'}")
            if (folder / "ledger.jsonl").exists():
                lines += (folder / "ledger.jsonl").read_text(errors="replace").splitlines()
        adopted = [f"{pid} {processes.command_of(pid)}" for pid in processes.children_of(os.getpid())
                   if pid not in processes.expected]
        return "\n".join([*lines, "--- processes", *adopted])

    def reap(self, calls, *options, file=None):
        """`sanctum reap` under the tracer."""
        return subprocess.run([*self.strace(calls, *options, file=file), str(BIN / "sanctum"), "reap"],
                              cwd=self.rig.work, env=self.rig.environment, capture_output=True, check=False)


# ---- what is done to the journal ------------------------------------------------------------------------------------

@dataclass
class Step:
    """One transaction, counted as strace counts: the first and the last of its writes, and the sync behind it
    (0: there is none; the next one that is durable takes it along)."""
    first: int = 0
    last: int = 0
    sync_call: str = ""
    sync: int = 0


def steps_of(text):
    """The transactions of the process that wrote most: a mission's vault, beside which reapers write a little."""
    writers = re.findall(r"^(\d+) .* pwrite64\(", text, re.MULTILINE)
    vault = max(set(writers), key=writers.count)
    steps, current, counts = [], Step(), {}
    for line in text.splitlines():
        found = re.match(rf'{vault}\s+[\d.]+ (\w+)\(\d+(?:, "((?:\\x..)*)"(?:\.\.\.)?, (\d+), \d+)?', line)
        if not found:
            continue
        call, head, size = found.groups()
        counts[call] = counts.get(call, 0) + 1
        if call != "pwrite64":
            if steps and not current.first and not steps[-1].sync:
                steps[-1].sync_call, steps[-1].sync = call, counts[call]
            continue
        current.first = current.first or counts[call]
        if current.last:  # the page behind the head that commits
            current.last = counts[call]
            steps.append(current)
            current = Step()
        elif int(size) == FRAME_HEAD_BYTES and bytes.fromhex(head.replace("\\x", ""))[4:8] != bytes(4):
            current.last = counts[call]
    return steps


def stopped_by(trace):
    return [int(pid) for pid in re.findall(r"^(\d+) .* stopped by SIGSTOP", trace.read_text(), re.MULTILINE)]


def wait_for_stop(trace, tracer):
    """True when the tracer has stopped somebody, False when the mission ended without."""
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        if stopped_by(trace):
            return True
        if processes.wait_for_end(tracer.pid, LOOK_SECONDS):
            return False
    raise AssertionError(f"neither stopped nor ended: {trace.read_text()}")


def go_on(trace, tracer):
    """Whoever was or will be stopped goes on (a reaper in the background writes the journal, too)."""
    continued, deadline = [], time.monotonic() + STOP_SECONDS
    while not processes.wait_for_end(tracer.pid, LOOK_SECONDS) and time.monotonic() < deadline:
        for pid in stopped_by(trace)[len(continued):]:
            kill_if_there(pid, signal.SIGCONT)
            continued.append(pid)


def pid_of(role, tracer):
    """The launcher is the tracer's child, interceptor and vault are the launcher's, the vault's dialler is its own;
    None when there is none any more."""
    launcher = next(iter(processes.children_of(tracer)), None)
    if role == "launcher" or not launcher:
        return launcher
    program = "sanctum-interceptor" if role == "interceptor" else "sanctum-vault"
    found = next((pid for pid in processes.children_of(launcher) if program in processes.command_of(pid)), None)
    if role == "interceptor" or not found:
        return found
    return next(iter(processes.children_of(found)), None)


def kill_if_there(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
