# SPDX-License-Identifier: Apache-2.0
"""Set-up cannot fail open: each system call of the set-up fails once, injected by strace. Then the command never runs,
or it runs exactly as confined as without the failure. (strace counts per process: the N-th call of each of them fails.)
"""

import json
import re

import pytest

import identity as identities

# What the command sees of its confinement. Printed as JSON; equal to the undisturbed run's or the test fails.
LOOK = r"""
import ctypes, json, os, socket
libc = ctypes.CDLL(None, use_errno=True)
status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
def tried(call, *arguments):
    ctypes.set_errno(0)
    return ctypes.get_errno() if libc[call](*arguments) < 0 else "allowed"
def opened(path, flags=os.O_RDONLY):
    try:
        os.close(os.open(path, flags)); return "opened"
    except OSError as error:
        return error.errno
def family(number):
    try:
        socket.socket(number, socket.SOCK_DGRAM).close(); return "made"
    except OSError as error:
        return error.errno
def table(name):
    path = "/proc/net/" + name
    return open(path).read().splitlines() if os.path.exists(path) else []
seen = {
    "ids": [status["Uid"].split(), status["Gid"].split(), status["Groups"].split()],
    "privileges": [status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs",
                                             "Seccomp")],
    "pid": os.getpid() < 5, "init": open("/proc/1/comm").read(),
    "interfaces": sorted(name for _, name in socket.if_nameindex()),
    "addresses": sorted(table("if_inet6")), "routes": [sorted(table("route")), sorted(table("fib_trie"))],
    "routes of IPv6": sorted((line.split()[:2], line.split()[-1]) for line in table("ipv6_route")),
    "root": sorted(os.listdir("/")), "home": opened(os.environ["HOME"]),
    "mounts": sorted((line.split()[4], line.split()[5]) for line in open("/proc/self/mountinfo")),
    "descriptors": sorted(os.listdir("/proc/self/fd"))[:4], "host": socket.gethostname(),
    "files": [opened(path) for path in ("/etc/shadow", "/etc/passwd", "/proc/1/environ", "/proc/kcore", "/dev/mem",
                                        "/root")],
    "writes": [opened(path, os.O_WRONLY) for path in ("/usr/bin/env", "/proc/sys/kernel/hostname", "/etc/passwd")],
    "calls": [tried("unshare", 0x10000000), tried("mount", 0, b"/", 0, 4096, 0), tried("ptrace", 0, 0, 0, 0),
              tried("setns", -1, 0), tried("chroot", b"/")],
    "families": [family(number) for number in (16, 17, 40, 2)],
    "limits": [line for line in open("/proc/self/limits")],
    "variables": sorted(name for name in os.environ),
    "keyring": libc.syscall(250, 0, -3, 0) < 0 if os.uname().machine == "x86_64" else True,
}
print(json.dumps(seen))
"""

SETUP_CALLS = [
    "clone", "clone3", "fork", "vfork", "unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "chdir",
    "fchdir", "mkdir",
    "mkdirat", "symlink", "symlinkat", "mknodat", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount",
    "mount_setattr", "sethostname", "setresuid", "setresgid", "setgroups", "setuid", "setgid", "capset", "prctl",
    "seccomp",
    "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "socket", "socketpair", "bind", "listen",
    "setsockopt", "sendmsg", "sendto", "recvmsg", "ioctl", "prlimit64", "setrlimit", "sched_setaffinity", "close_range",
    "dup2", "dup3", "fcntl", "pipe2", "eventfd2", "timerfd_create", "timerfd_settime", "signalfd4", "epoll_create1",
    "memfd_create", "ftruncate", "pidfd_open", "pidfd_getfd", "pidfd_send_signal", "keyctl", "setsid", "setpgid",
    "rt_sigprocmask", "umask", "write", "pwrite64", "flock", "fsync", "fdatasync", "renameat", "rename", "openat",
    "execve"]
POINTS_MAX = 6      # per call: the first ones, and then spread over the rest
PARTS = 6           # the calls are shared out over this many tests, so that they run side by side
ERRORS = {"clone": "EAGAIN", "clone3": "EAGAIN", "openat": "EMFILE", "write": "ENOSPC", "fsync": "EIO",
          "socket": "EMFILE"}


def strace(rig, profile, output, *options):
    command = ["strace", "-f", "-qq", "-o", str(output), *options]
    return rig.run("/usr/bin/python3", "-c", LOOK, profile=profile, wrap=command)


def counts_of(trace):
    """The largest number of calls that one process made, per system call, before the command ran."""
    per_process, largest = {}, {}
    for line in trace.read_text(errors="replace").splitlines():
        found = re.match(r"(\d+)\s+(\w+)\(", line)
        if not found:
            continue
        if found.group(2) == "execve" and "/usr/bin/python3" in line:
            continue
        key = found.groups()
        per_process[key] = per_process.get(key, 0) + 1
        largest[key[1]] = max(largest.get(key[1], 0), per_process[key])
    return largest


def points(count):
    if count <= POINTS_MAX:
        return list(range(1, count + 1))
    step = (count - 3) / (POINTS_MAX - 3)
    return sorted({1, 2, 3} | {round(3 + step * number) for number in range(1, POINTS_MAX - 2)})


@pytest.mark.parametrize("part", range(PARTS))
def test_a_failing_call_of_the_set_up_never_lets_the_command_run_less_confined(rig, service, part):
    identities.require_program("strace")
    trace = rig.write(rig.folder / "trace", "")
    calls = SETUP_CALLS[part::PARTS]
    undisturbed = strace(rig, service, trace, "-e", "trace=" + ",".join("?" + call for call in calls + ["execve"]))
    assert undisturbed.code == 0, undisturbed
    expected = json.loads(undisturbed.text)
    counts = counts_of(trace)
    tried = ran = 0

    for call in calls:
        for point in points(counts.get(call, 0)):
            rig.write(trace, "")
            injection = f"inject={call}:error={ERRORS.get(call, 'EPERM')}:when={point}"
            outcome = strace(rig, service, trace, "-e", f"trace={call}", "-e", injection)
            tried += "INJECTED" in trace.read_text(errors="replace")
            if outcome.stdout.strip():
                # It ran: then everything that confines must be as if nothing had failed.
                ran += 1
                try:
                    seen = json.loads(outcome.text)
                except ValueError:
                    continue  # the failure hit the command itself in the middle of its own output
                different = {key for key in expected if seen[key] != expected[key]}
                assert not different, (injection, {key: (expected[key], seen[key]) for key in different})
            else:
                assert outcome.code != 0, (injection, str(outcome))

    print(f"{tried} failures injected; {ran} times the command ran all the same, fully confined")
    assert tried > len([call for call in calls if counts.get(call)]) // 2, "the injection itself did not work"
    rig.sanctum("reap")


def test_without_strace_the_same_look_gives_the_same_picture(rig, service):
    """The twin: the tracer changes nothing that the look can see."""
    trace = rig.write(rig.folder / "trace", "")
    plain = rig.run("/usr/bin/python3", "-c", LOOK, profile=service)
    traced = strace(rig, service, trace, "-e", "trace=none")

    assert plain.code == traced.code == 0, (plain, traced)
    assert json.loads(plain.text) == json.loads(traced.text)
    assert json.loads(plain.text)["privileges"][:5] == ["0" * 16] * 5
