# SPDX-License-Identifier: Apache-2.0
"""without_namespaces.py UID COMMAND…: runs COMMAND as UID in a user namespace of root's in which every id is itself and
no further user namespace may be made. What an operator who forbids them has, without touching the machine's setting."""

import ctypes
import os
import sys

CLONE_NEWUSER = 0x10000000


def main():
    uid, command = int(sys.argv[1]), sys.argv[2:]
    asked_read, asked_write = os.pipe()
    mapped_read, mapped_write = os.pipe()
    child = os.getpid()
    # The ids of a namespace are written from the one around it: the parent of the namespace is a fork that ends then.
    if os.fork() == 0:
        os.read(asked_read, 1)
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{child}/{name}", "w", encoding="ascii") as ids:
                ids.write("0 0 65536")
        os.write(mapped_write, b"x")
        os._exit(0)
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER) != 0:
        sys.exit(f"unshare: {os.strerror(ctypes.get_errno())}")
    os.write(asked_write, b"x")
    os.read(mapped_read, 1)
    os.wait()
    with open("/proc/sys/user/max_user_namespaces", "w", encoding="ascii") as limit:
        limit.write("0")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    os.execvp(command[0], command)


main()
