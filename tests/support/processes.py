# SPDX-License-Identifier: Apache-2.0
"""Looking at processes from outside: children, descendants, waiting for ends without sleeping."""

import os
import select
import signal
import time

expected = set()  # processes that tests started and still need (servers)
END_SECONDS = 20  # a mission's processes must be gone by then, whatever killed them


def stat_fields(pid):
    """Fields of /proc/PID/stat after the name (index 0 is the state), or None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as stat:
            return stat.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children_of(parent):
    children = []
    for pid in all_pids():
        fields = stat_fields(pid)
        if fields and int(fields[1]) == parent:
            children.append(pid)
    return children


def descendants_of(parent):
    """All live descendants, nearest first."""
    found, queue = [], [parent]
    parents = {pid: int(fields[1]) for pid in all_pids() if (fields := stat_fields(pid))}
    while queue:
        current = queue.pop(0)
        below = [pid for pid, above in parents.items() if above == current]
        found += below
        queue += below
    return found


def is_alive(pid):
    fields = stat_fields(pid)
    return fields is not None and fields[0] not in "ZX"


def wait_for_end(pid, seconds=END_SECONDS):
    """True when `pid` (any process, not only a child) ended within the time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000)) or not is_alive(pid)
    finally:
        os.close(descriptor)


def reap(pids):
    """Collects those of `pids` that are our children and have ended."""
    for pid in pids:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            pass


def wait_for_adopted(known):
    """Waits until all processes that lost their own parent have ended: what a mission leaves behind to finish its work,
    and that work's own children. True when they did within END_SECONDS."""
    deadline = time.monotonic() + END_SECONDS
    while True:
        left = [pid for pid in children_of(os.getpid()) if pid not in known and pid not in expected]
        if not left:
            return True
        if not wait_for_end(left[0], max(0, deadline - time.monotonic())):
            return False
        reap(left)


def left_behind(known):
    """Adopted children (see identity.adopt_orphans) that are none of `known` and do not end within END_SECONDS."""
    deadline = time.monotonic() + END_SECONDS
    known = known | expected
    left = [pid for pid in children_of(os.getpid()) if pid not in known]
    for pid in left:
        wait_for_end(pid, max(0, deadline - time.monotonic()))
    reap(left)
    still = [pid for pid in children_of(os.getpid()) if pid not in known and is_alive(pid)]
    named = [f"{pid} {command_of(pid)}" for pid in still]
    for pid in still:
        os.kill(pid, signal.SIGKILL)
    reap(still)
    return named


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
            return cmdline.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return "?"
