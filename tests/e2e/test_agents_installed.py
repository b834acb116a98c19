# SPDX-License-Identifier: Apache-2.0
"""`sanctum init --agent NAME` finds an agent wherever npm, nvm, npx or its own installer put it, and what it writes
runs at the next command."""

import ctypes
import os
import shutil
from pathlib import Path

import pytest

import identity as identities
from agents import INSTALLED, link_tree, own_everything
from model_server import call, say

MS_BIND, MNT_DETACH = 0x1000, 2
NODE = Path("/usr/bin/node")


def link(target, at):
    at.parent.mkdir(parents=True, exist_ok=True)
    at.symlink_to(os.path.relpath(target, at.parent))
    return at


def npm_prefix(prefix, agent):
    """What `npm install --global --prefix PREFIX` leaves."""
    modules = prefix / "lib" / "node_modules"
    link_tree(INSTALLED / "node_modules", modules)
    return link(modules / agent.package / agent.program, prefix / "bin" / agent.name)


def below_local(home, agent):
    return npm_prefix(home / ".local", agent)


def below_nvm(home, agent):
    """A version of nvm has its node beside the packages; the shell that has nvm loaded finds it on PATH."""
    prefix = home / ".nvm" / "versions" / "node" / "v20.20.2"
    found = npm_prefix(prefix, agent)
    shutil.copy(NODE, prefix / "bin" / "node")
    return found


def below_npx(home, agent):
    modules = home / ".npm" / "_npx" / "5a2e1b0c" / "node_modules"
    link_tree(INSTALLED / "node_modules", modules)
    return modules / ".bin" / agent.name


def by_its_own_installer(home, agent):
    """Claude's installer keeps versions, each one file, and a link to the one in use. Codex comes as a package only."""
    version = home / ".local" / "share" / "claude" / "versions" / "2.1.332"
    version.parent.mkdir(parents=True)
    os.link(INSTALLED / "node_modules" / agent.package / agent.program, version)
    return link(version, home / ".local" / "bin" / "claude")


LAYOUTS = {"npm in ~/.local": below_local, "nvm": below_nvm, "npx": below_npx, "own installer": by_its_own_installer}
INSTALLATIONS = [*((name, layout) for name in ("claude", "codex") for layout in list(LAYOUTS)[:3]),
                 ("claude", "own installer")]


def expect_a_task_to_work(world, rig):
    world.init()

    outcome = world.ask("Make a file")

    assert outcome.code == 0 and "It said:" in outcome.text and "works" in outcome.text, outcome
    assert (rig.work / "made.txt").read_text() == "works\n"
    assert len(world.model.tasks) == 2


@pytest.fixture
def world(agent_world, rig):
    yield agent_world(call("echo works > made.txt; cat made.txt"), say("It said: {result}")).add_account()
    # Eight hundred megabytes that nobody could write to: nothing that the search for leaks must read.
    for packages in (".local/lib", ".local/share/claude", ".nvm", ".npm"):
        shutil.rmtree(rig.home / packages, ignore_errors=True)


@pytest.mark.parametrize("agent, layout", INSTALLATIONS, indirect=["agent"])
def test_an_agent_below_the_home_runs_at_the_next_command(world, agent, rig, layout):
    program = LAYOUTS[layout](rig.home, agent)
    own_everything(rig.identity, rig.home)
    private = rig.write(rig.make("home/.local/share/keyrings") / "login.keyring", "of the operator")
    if layout == "nvm":
        world.use(program.parent)

    expect_a_task_to_work(world, rig)

    text = (rig.work / "mission.toml").read_text()
    assert str(program.parent) in text, "PATH names where it was found"
    seen = rig.run("cat", str(private))
    assert seen.code != 0 and "No such file" in seen.errors, "nothing else of the home is shown"


def test_an_agent_below_usr_local_needs_no_line(world, agent, rig, tmp_path):
    identities.require(os.geteuid() == 0, "needs root to put something over /usr/local for these processes only")
    npm_prefix(tmp_path / "local", agent)
    for folder in [*tmp_path.parents[:2], tmp_path, tmp_path / "local"]:
        folder.chmod(0o755)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mount(bytes(tmp_path / "local"), b"/usr/local", None, MS_BIND, None) == 0
    try:
        expect_a_task_to_work(world, rig)
        assert "read  " not in (rig.work / "mission.toml").read_text()
    finally:
        libc.umount2(b"/usr/local", MNT_DETACH)


def test_an_agent_that_is_not_installed_is_said_to_be_missing(world, agent, rig):
    done = world.init()

    assert f"{agent.name} was not found" in done.stderr.decode()
    outcome = world.ask("Make a file")
    assert outcome.code == 127 and "command not found" in outcome.errors, outcome
