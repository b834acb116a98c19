# SPDX-License-Identifier: Apache-2.0
"""System calls: the live filter against the table that the evaluator checks, and the special ways around a filter."""

import os
import pty
import re
import subprocess

import pytest

X86 = os.uname().machine == "x86_64"
# The kernel passes its own probe trampolines by every filter; called from anywhere else they end the caller (SIGILL).
PASSED_BY_THE_KERNEL = {335, 336} if X86 else set()
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "unit", "launcher", "golden",
                     f"calls-{'x86_64' if X86 else 'arm64'}.txt")


def table():
    """number → verdict of a call whose arguments are all ones."""
    with open(TABLE, encoding="ascii") as lines:
        rows = (line.split() for line in lines if not line.startswith("#"))
        return {int(row[0]): row[2] for row in rows}


def test_what_the_kernel_answers_is_in_the_table(box):
    known = table()
    reached = box.probe("probe_kernel", "reached", "0", "1023").only["numbers"]
    assert len(reached) > 200, "the probe reached next to nothing: it is broken"
    for number in set(reached) - PASSED_BY_THE_KERNEL:
        assert known.get(number, "ENOSYS") != "ENOSYS", f"call {number} is answered and not in the table"


@pytest.mark.skipif(not X86, reason="a foreign architecture of x86-64")
def test_a_foreign_architecture_is_killed(box):
    assert box.probe("probe_kernel", "int80").only == {"op": "int80", "result": "killed", "signal": "SIGSYS"}


@pytest.mark.skipif(not X86, reason="numbers of x86-64")
def test_x32_does_not_exist(box):
    assert box.probe("probe_kernel", "x32").only["errno"] == "ENOSYS"


@pytest.mark.parametrize("op", ["unshare", "clone", "setns"])
def test_nested_namespaces_are_refused(box, op):
    assert box.probe("probe_kernel", op).only["errno"] == "EPERM"


@pytest.mark.parametrize("number,errno", [
    (425, "ENOSYS"), (426, "ENOSYS"), (427, "ENOSYS"),              # io_uring
    (428, "EPERM"), (429, "EPERM"), (430, "EPERM"), (431, "EPERM"), (432, "EPERM"), (433, "EPERM"), (442, "EPERM"),
    (467, "EPERM"),                                                  # mounts, new interface
    (435, "ENOSYS"), (437, "ENOSYS"), (438, "EPERM"), (447, "ENOSYS"), (440, "ENOSYS"),
    (457, "ENOSYS"), (458, "ENOSYS"), (460, "ENOSYS"),
])
def test_new_calls_are_refused_by_number(box, number, errno):
    assert box.probe("probe_kernel", "call", str(number)).only["errno"] == errno


@pytest.mark.skipif(not X86, reason="numbers of x86-64")
@pytest.mark.parametrize("name,words,errno", [
    ("keyctl", ("250", "0", "-3", "0"), "ENOSYS"),
    ("add_key", ("248",), "ENOSYS"),
    ("request_key", ("249",), "ENOSYS"),
    ("bpf", ("321",), "EPERM"),
    ("perf_event_open", ("298",), "EPERM"),
    ("userfaultfd", ("323",), "EPERM"),
    ("ptrace", ("101", "16", "1"), "EPERM"),
    ("process_vm_readv", ("310", "1"), "EPERM"),
    ("mount", ("165",), "EPERM"),
    ("pivot_root", ("155",), "EPERM"),
    ("chroot", ("161",), "EPERM"),
    ("init_module", ("175",), "EPERM"),
    ("open_by_handle_at", ("304",), "EPERM"),
    ("modify_ldt", ("154",), "ENOSYS"),
    ("clock_settime", ("227",), "EPERM"),
    ("syslog", ("103", "3"), "EPERM"),
    ("quotactl", ("179",), "EPERM"),
    ("kcmp", ("312",), "EPERM"),
    ("move_pages", ("279",), "ENOSYS"),
    ("personality without randomisation", ("135", "0x40000"), "EPERM"),
    ("prctl of the memory map", ("157", "35"), "EINVAL"),
])
def test_old_calls_are_refused(box, name, words, errno):
    assert box.probe("probe_kernel", "call", *words).only["errno"] == errno, name


@pytest.mark.skipif(not X86, reason="numbers of x86-64")
def test_the_personality_can_be_asked_for(box):
    assert box.probe("probe_kernel", "call", "135", "0xffffffff").only["result"] == "done"


def run_on_terminal(box, *words):
    """The agent on a terminal of the test's; gives back what the probe printed and what was typed into the terminal."""
    master, slave = pty.openpty()
    program = os.path.join(box.folder, "bin", "probe_kernel")
    process = subprocess.Popen(
        ["/usr/bin/setsid", "--ctty", "--wait", *box.command(program, *words)], cwd=box.workspace,
        env=box.environment(), stdin=slave, stdout=slave, stderr=slave, **box.who.popen)
    process.wait(60)
    os.close(slave)
    shown = b""
    try:
        while chunk := os.read(master, 4096):
            shown += chunk
    except OSError:
        pass
    os.close(master)
    return shown.decode(errors="replace")


@pytest.mark.parametrize("bits", [(), ("high",)])
def test_nothing_is_typed_into_the_callers_terminal(box, bits):
    shown = run_on_terminal(box, "inject", *bits)
    assert re.search(r'"op":"inject","result":"refused","errno":"EPERM"', shown), shown
    assert "!" not in shown
