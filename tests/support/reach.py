# SPDX-License-Identifier: Apache-2.0
"""Attempts to reach something; run by the wall test inside a mission and, as the twin that must succeed, outside.

    reach.py JSON     JSON: {"name": ["attempt", argument, ...], ...}; prints {"name": "result", ...}

A result is `ok` (it was reached) or the name of the error. The same code runs on both sides of the wall, so a broken
attempt cannot pass as a refused one.
"""

import ctypes
import errno
import json
import os
import socket
import sys

WAIT_SECONDS = 3
libc = ctypes.CDLL(None, use_errno=True)


def name_of(error):
    return errno.errorcode.get(getattr(error, "errno", None), type(error).__name__)


def call(number, *arguments):
    ctypes.set_errno(0)
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
    return "ok"


def connect(family, address, port=None):
    target = address if port is None else (address, port)
    with socket.socket(getattr(socket, family), socket.SOCK_STREAM) as made:
        made.settimeout(WAIT_SECONDS)
        made.connect(target.replace("@", "\0", 1) if isinstance(target, str) else target)
        return "ok"


def answered_udp(family, address, port):
    with socket.socket(getattr(socket, family), socket.SOCK_DGRAM) as made:
        made.settimeout(WAIT_SECONDS)
        made.connect((address, port))
        made.send(b"are you there")
        return "ok" if made.recv(100) else "empty"


def fast_open(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:  # blocking: the answer is the connect's
        made.sendto(b"hello", 0x20000000, (address, port))
        return "ok"


def make(family, kind, protocol=0):
    socket.socket(family, kind, protocol).close()
    return "ok"


def read(path):
    with open(path, "rb") as file:
        file.read(1)
    return "ok"


def write(path):
    with open(path, "ab"):
        return "ok"


def see(path):
    os.lstat(path)
    return "ok"


def signal_to(pid):
    os.kill(pid, 0)
    return "ok"


def inherited(descriptor):
    os.fstat(descriptor)
    return "ok"


def syscall(name, *arguments):
    numbers = {"x86_64": {"io_uring_setup": 425, "unshare": 272, "clone3": 435, "bpf": 321, "add_key": 248,
                          "keyctl": 250,
                          "mount": 165, "open_tree": 428, "fsopen": 430, "perf_event_open": 298, "userfaultfd": 323,
                          "process_vm_readv": 310, "ptrace": 101, "pidfd_getfd": 438, "kexec_load": 246,
                          "init_module": 175, "open_by_handle_at": 304, "setns": 308, "reboot": 169, "swapon": 167,
                          "chroot": 161, "open_tree_attr": 467, "shmat": 30, "unknown": 9999},
               "aarch64": {"io_uring_setup": 425, "unshare": 97, "clone3": 435, "bpf": 280, "add_key": 217,
                           "keyctl": 219,
                           "mount": 40, "open_tree": 428, "fsopen": 430, "perf_event_open": 241, "userfaultfd": 282,
                           "process_vm_readv": 270, "ptrace": 117, "pidfd_getfd": 438, "kexec_load": 104,
                           "init_module": 105, "open_by_handle_at": 265, "setns": 268, "reboot": 142, "swapon": 224,
                           "chroot": 51, "open_tree_attr": 467, "shmat": 196, "unknown": 9999}}
    return call(numbers[os.uname().machine][name], *[argument.encode() if isinstance(argument, str) else argument
                                                     for argument in arguments])


def main():
    results = {}
    for name, (attempt, *arguments) in json.loads(sys.argv[1]).items():
        try:
            results[name] = globals()[attempt](*arguments)
        except Exception as error:  # whatever goes wrong is the result
            results[name] = name_of(error)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
