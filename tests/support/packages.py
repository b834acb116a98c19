# SPDX-License-Identifier: Apache-2.0
"""The Debian package, made from the programs under test."""

import os
import subprocess

from rig import BIN

BUILD = BIN.parent


def build_package(folder, release, umask=-1, **environment):
    """Packs the programs into `folder` and returns the package's path; what is not built yet is built first."""
    done = subprocess.run(["cpack", "-B", folder, "-D", f"CPACK_DEBIAN_PACKAGE_RELEASE={release}"], cwd=BUILD,
                          capture_output=True, text=True, check=False, umask=umask, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    package, = folder.glob(f"sanctum_*-{release}_*.deb")
    return package
