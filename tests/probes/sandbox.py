# SPDX-License-Identifier: Apache-2.0
"""Runs probes through spawn_probe, as root and as an ordinary user, and gives their JSON lines back."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))

import identity  # noqa: E402

BIN = os.environ["SANCTUM_BIN"]
TIMEOUT_SECONDS = 60


@dataclass
class Outcome:
    code: int
    lines: list
    stderr: str
    stdout: str

    @property
    def only(self):
        assert len(self.lines) == 1, (self.code, self.stdout, self.stderr)
        return self.lines[0]


@dataclass
class Sandbox:
    who: identity.Identity
    folder: str
    options: list = field(default_factory=list)

    @property
    def home(self):
        return os.path.join(self.folder, "home")

    @property
    def workspace(self):
        return os.path.join(self.folder, "workspace")

    def environment(self):
        places = {name: os.path.join(self.folder, name.lower()) for name in
                  ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")}
        return {"PATH": "/usr/bin:/bin", "HOME": self.home, **places}

    def command(self, *words, options=()):
        return [os.path.join(BIN, "spawn_probe"), "--read", os.path.join(self.folder, "bin"), *self.options, *options,
                "--", *words]

    def probe(self, name, *words, options=(), **more):
        return self.run(os.path.join(self.folder, "bin", name), *words, options=options, **more)

    def run(self, *words, options=(), **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        ended = subprocess.run(self.command(*words, options=options), cwd=self.workspace, env=self.environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=TIMEOUT_SECONDS,
                               start_new_session=True, **self.who.popen, **more)
        stdout = ended.stdout.decode(errors="replace")
        lines = [json.loads(line) for line in stdout.splitlines() if line.startswith("{")]
        return Outcome(ended.returncode, lines, ended.stderr.decode(errors="replace"), stdout)


def make(name):
    """A sandbox of `root` or `user` with its own folder: home, workspace, and copies of the probes."""
    who = identity.identity_of(name)
    folder = identity.make_folder(who, "sanctum-probe-")
    for part in ("home", "workspace", "bin"):
        os.mkdir(os.path.join(folder, part), 0o755)
        who.own(os.path.join(folder, part))
    for probe in ("probe_network", "probe_kernel", "probe_process", "probe_files"):
        shutil.copy(os.path.join(BIN, probe), os.path.join(folder, "bin", probe))
    return Sandbox(who, folder)


def unmake(sandbox):
    shutil.rmtree(sandbox.folder, ignore_errors=True)
