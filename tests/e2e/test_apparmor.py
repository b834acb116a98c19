# SPDX-License-Identifier: Apache-2.0
"""The AppArmor profile of an installation compiles where AppArmor knows `userns` (version 4), and its twin with a
mistake does not."""

import shutil
import subprocess
from pathlib import Path

import pytest

from rig import BIN


def compile_profile(text, tmp_path):
    file = tmp_path / "profile"
    file.write_text(text)
    return subprocess.run(["apparmor_parser", "--skip-kernel-load", "--skip-cache", file], capture_output=True,
                          text=True, check=False)


def test_it_compiles_and_a_mistake_in_it_does_not(tmp_path):
    if shutil.which("apparmor_parser") is None or not Path("/etc/apparmor.d/abi/4.0").exists():
        pytest.skip("AppArmor 4 is not installed")
    prefix = tmp_path / "pre fix [1]{a,b}*"
    subprocess.run(["cmake", "--install", BIN.parent, "--prefix", prefix, "--component", "sanctum"], check=True,
                   capture_output=True)
    profile = (prefix / "share/sanctum/apparmor/sanctum-run").read_text()
    good = compile_profile(profile, tmp_path)
    assert good.returncode == 0, good.stderr
    assert compile_profile(profile.replace("userns,", "usernamespaces,"), tmp_path).returncode != 0
