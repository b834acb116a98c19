# SPDX-License-Identifier: Apache-2.0
"""What a process of the mission is, whom it sees, and that all of it ends."""

import os
import select
import signal
import subprocess
import time

import pytest


def test_the_first_action_of_the_command_is_confined(box):
    status = box.probe("probe_process", "status").only
    nothing = "0" * 16
    assert [status[name] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")] == [nothing] * 4
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    assert "0" not in status["Uid"].split()


def test_nobody_else_can_be_become(box):
    assert box.probe("probe_process", "become", "0").only["errno"] in ("EINVAL", "EPERM")
    assert box.probe("probe_process", "become", "1").only["errno"] in ("EINVAL", "EPERM")


def test_init_shows_nothing_of_the_launcher(box):
    seen = box.probe("probe_process", "init").only
    assert seen["readable"] == [] and seen["cmdline"] == ""


def test_no_link_of_proc_leads_out(box):
    assert box.probe("probe_process", "links").only["outside"] == []


@pytest.mark.parametrize("target", ["0", "-1", "1"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_signals_reach_nobody_of_ours(box, target, number):
    ended = box.probe("probe_process", "kill", target, str(int(number)))
    assert ended.code == 0 and ended.only["op"] == "kill"


def test_the_agents_death_by_its_own_signal_is_told(box):
    assert box.run("/bin/sh", "-c", "kill -9 -1; kill -9 $$").code == 128 + signal.SIGKILL
    assert box.run("/bin/sh", "-c", "exit 37").code == 37


def processes_of(marker):
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as command:
                if marker.encode() in command.read():
                    found.append(int(name))
        except OSError:
            continue
    return found


def wait_until_gone(marker, seconds=20):
    deadline = time.monotonic() + seconds
    for process in processes_of(marker):
        try:
            handle = os.pidfd_open(process)
        except ProcessLookupError:
            continue
        gone, _, _ = select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
        os.close(handle)
        assert gone, process
    assert processes_of(marker) == []


def test_daemons_end_with_the_agent(box):
    assert box.probe("probe_process", "daemons", "50").only["result"] == "done"
    wait_until_gone(os.path.join(box.folder, "bin", "probe_process"))


def start_sleeper(box, options=()):
    program = os.path.join(box.folder, "bin", "probe_process")
    running = subprocess.Popen(box.command(program, "sleep", options=options), cwd=box.workspace,
                               env=box.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               start_new_session=True, **box.who.popen)
    assert running.stdout.readline().startswith(b'{"op":"sleep"')
    return running, program


def test_the_tree_dies_with_the_launcher(box):
    running, program = start_sleeper(box)
    running.kill()
    running.wait()
    wait_until_gone(program)
    running.stdout.close()


def test_inits_own_timer_ends_a_tree_that_nobody_ends(box):
    running, program = start_sleeper(box, options=("--ttl", "3000"))  # and five seconds more
    assert running.wait(60) == 124
    wait_until_gone(program)
    running.stdout.close()


FORKS_UNTIL_REFUSED = """
import os, signal
count = 0
try:
    while count < 400:
        if os.fork() == 0:
            signal.pause()
        count += 1
except OSError:
    pass
print('{"op":"forked","n":%d}' % count)
"""

TAKES_600_MEBIBYTES = """
try:
    taken = bytearray(600 << 20)
    print('{"op":"got"}')
except MemoryError:
    print('{"op":"no"}')
"""


def test_limits_hold(box):
    python = "/usr/bin/python3"
    assert 5 < box.run(python, "-c", FORKS_UNTIL_REFUSED, options=("--limit", "processes=40")).only["n"] < 45
    ended = box.run(python, "-c", TAKES_600_MEBIBYTES, options=("--limit", "memory=268435456"))
    assert ended.code != 0 or ended.only["op"] == "no"
    assert box.run(python, "-c", TAKES_600_MEBIBYTES).only["op"] == "got"
