# SPDX-License-Identifier: Apache-2.0
"""Who a test runs as: root, and an ordinary user without any privilege. Each end-to-end claim is shown as both."""

import ctypes
import os
import shutil
import tempfile
from dataclasses import dataclass

import pytest

ORDINARY_UID = 61234  # an id of nobody: no password entry, no groups, no subordinate ids
PR_SET_CHILD_SUBREAPER = 36
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18


@dataclass(frozen=True)
class Identity:
    name: str
    uid: int
    gid: int

    @property
    def popen(self):
        """Arguments for subprocess.Popen that make the child this identity."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path):
        if self.uid != os.geteuid():
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def identity_of(name):
    """The identity called `root` or `user`; skips (fails where everything is required) when it cannot be had."""
    if name == "user":
        if os.geteuid() == 0:
            return Identity("user", ORDINARY_UID, ORDINARY_UID)
        return Identity("user", os.geteuid(), os.getegid())
    if os.geteuid() != 0:
        require(False, "run as root (or with sudo) to show this claim for root as well")
    return Identity("root", 0, 0)


def require(condition, why):
    """A missing requirement skips on a developer's machine and fails where SANCTUM_REQUIRE_ALL is set."""
    if condition:
        return
    if os.environ.get("SANCTUM_REQUIRE_ALL") == "1":
        pytest.fail(f"required here: {why}")
    pytest.skip(why)


def require_program(name):
    require(shutil.which(name) is not None, f"{name} is not installed (scripts/setup test)")
    return shutil.which(name)


def make_folder(identity, prefix):
    """A temporary folder of `identity` that it can reach, whoever made it."""
    folder = tempfile.mkdtemp(prefix=prefix, dir="/tmp")
    os.chmod(folder, 0o755)
    identity.own(folder)
    return folder


def leave_mount_namespace():
    """Root only: mounts that tests make are seen by nobody else and go away with this process."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0 and libc.unshare(CLONE_NEWNS) == 0:
        libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None)


def adopt_orphans():
    """Makes this process the parent of every process that loses its own: what a mission leaves behind shows here."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
