# SPDX-License-Identifier: Apache-2.0
"""Every system call of the set-up fails once: the command never runs, or runs fully confined."""

import os
import re
import shutil
import subprocess

import identity
import pytest
import sandbox

# What the set-up does its work with. The reading of facts before the plan is not here: it decides nothing by failing.
CALLS = """
clone3 clone unshare pipe2 socketpair setsockopt prctl setgroups setresuid setresgid setsid setpgid
sethostname setdomainname socket bind listen sendto recvfrom mount open_tree mount_setattr
move_mount openat2 mkdirat symlinkat fchdir pivot_root umount2 chdir sendmsg recvmsg keyctl
setrlimit prlimit64 capset capget landlock_create_ruleset landlock_add_rule landlock_restrict_self
close_range seccomp timerfd_create timerfd_settime signalfd4 dup2 symlink rt_sigprocmask execve
pidfd_open memfd_create fcntl write
""".split()
# Those that it makes no more or only as root; so that each of the others is seen to fail.
NEVER_MADE = {"root": {"unshare", "setpgid", "setrlimit"},
              "user": {"unshare", "setpgid", "setrlimit", "setgroups", "setresuid", "setresgid"}}
ERRORS = ["EPERM"]
TRIES_MAX = 400
EVERY = int(os.environ.get("SANCTUM_FAULTS_EVERY", "1"))


@pytest.fixture(params=["root", "user"])
def box(request):
    identity.require(shutil.which("strace") is not None, "strace is not installed (scripts/setup test)")
    made = sandbox.make(request.param)
    yield made
    sandbox.unmake(made)


def run_with_fault(box, call, error, number):
    """spawn_probe under strace; (exit code, output, whether the fault was injected)."""
    log = os.path.join(box.folder, "trace")
    program = os.path.join(box.folder, "bin", "probe_process")
    command = ["strace", "-f", "-qq", "-o", log, "-e", f"trace={call}", "-e",
               f"inject={call}:error={error}:when={number}", *box.command(program, "status")]
    ended = subprocess.run(command, cwd=box.workspace, env=box.environment(), stdin=subprocess.DEVNULL,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, start_new_session=True,
                           **box.who.popen)
    with open(log, encoding="utf-8", errors="replace") as trace:
        injected = "(INJECTED)" in trace.read()
    return ended, injected


def is_fully_confined(output):
    return re.search(rb'"CapPrm":"0{16}","CapEff":"0{16}","CapBnd":"0{16}","CapAmb":"0{16}","NoNewPrivs":"1",'
                     rb'"Seccomp":"2"', output) is not None


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("error", ERRORS)
def test_a_failed_call_never_lets_an_unconfined_command_run(box, call, error):
    # Per process strace counts on its own, so one number fails that occurrence in launcher, init and agent alike.
    for number in range(1, TRIES_MAX, EVERY):
        ended, injected = run_with_fault(box, call, error, number)
        if not injected:
            assert number > 1 or call in NEVER_MADE[box.who.name], f"{call} was never made to fail"
            return
        if b'"op":"status"' in ended.stdout:
            assert is_fully_confined(ended.stdout), (call, number, ended.stdout)
        else:
            # A library that finds its call failed may abort the launcher, which is before anything ran.
            assert ended.returncode < 0 or ended.returncode in (1, 3, 125, 126, 127, 134, 137), (call, number, ended)
