# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the end-to-end tests. Every test that takes `rig` is run as root and as an ordinary user."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import identity as identities  # noqa: E402
import processes  # noqa: E402
from agents import AGENTS, AgentWorld  # noqa: E402
from authority import Authority  # noqa: E402
from rig import API, PLAIN, Rig, mission_head  # noqa: E402
from upstream import RecordingUpstream  # noqa: E402


def pytest_configure(config):
    identities.adopt_orphans()
    identities.leave_mount_namespace()
    # What the machine's own environment says about certificates is nothing that a test may depend on.
    for name in list(os.environ):
        if name.startswith(("GIT_", "PYTHON", "XDG_", "SANCTUM_MISSION")) or name.endswith(("_CA_BUNDLE", "_PROXY")):
            del os.environ[name]


@pytest.fixture(params=["root", "user"])
def identity(request):
    return identities.identity_of(request.param)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def certificate(authority):
    return authority.issue(API, PLAIN)


@pytest.fixture
def upstream(certificate):
    with RecordingUpstream(*certificate) as server:
        yield server


@pytest.fixture
def rig(request, identity):
    """A machine of an operator; everything that must hold after a mission is checked when the test has passed."""
    made = Rig(identity)
    yield made
    try:
        if not getattr(request.node, "failed", False):
            made.check_everything()
    finally:
        made.remove()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.failed = report.failed


@pytest.fixture
def service(rig, upstream, authority):
    """A rig with one API behind a bearer token and one plain host, both served by `upstream`; returns the profile."""
    rig.host(API, upstream, authority.ca_file).host(PLAIN, upstream)
    rig.account("api", f'catalog = "http-bearer"\nhosts = ["{API}"]\nsource = "local"\nitem = "api"')
    rig.configure()
    return rig.profile(PROFILE)


PROFILE = mission_head("e2e") + f"""\
[[service]]
name = "api"
catalog = "http-bearer"
account = "api"
grant = ["read", "write"]

[[host]]
name = "{PLAIN}"
match = ["GET /**", "POST /**"]
"""


class GitHost:
    """tests/support/git_host.py as a running server."""

    def __init__(self, folder):
        support = Path(__file__).resolve().parents[1] / "support"
        self._process = subprocess.Popen([sys.executable, support / "git_host.py", folder], stdout=subprocess.PIPE,
                                         text=True)
        processes.expected.add(self._process.pid)
        told = json.loads(self._process.stdout.readline())
        self.port, self.ca_file, self.repository = told["port"], told["ca_file"], Path(told["repository"])
        self.password = Path(told["password_file"]).read_text()

    def git(self, *arguments):
        return subprocess.run(["git", "-c", "safe.directory=*", f"--git-dir={self.repository}", *arguments], check=True,
                              capture_output=True, text=True).stdout.strip()

    def stop(self):
        self._process.terminate()
        self._process.wait()
        processes.expected.discard(self._process.pid)
        self._process.stdout.close()


@pytest.fixture
def git_host(tmp_path):
    identities.require((Path(__file__).resolve().parents[2] / "build/servers/usr/sbin/lighttpd").exists(),
                       "lighttpd is not there (scripts/setup test)")
    host = GitHost(tmp_path / "host")
    yield host
    host.stop()


@pytest.fixture(params=["claude", "codex"])
def agent(request):
    return AGENTS[request.param]


@pytest.fixture
def agent_world(rig, agent, authority):
    """Makes the world of one agent from the turns of its model; the test installs it and runs `init`."""
    made = []

    def make(*turns):
        made.append(AgentWorld(rig, agent, authority, turns))
        return made[-1]
    yield make
    for world in made:
        world.stop()
