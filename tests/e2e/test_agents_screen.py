# SPDX-License-Identifier: Apache-2.0
"""The full-screen interface of an agent inside a mission, in tmux: it starts, takes input, follows the size, stops,
goes on and ends like without Sanctum."""

import shlex

import pytest

from agents import INSTALLED
from model_server import call, say
from rig import BIN
from tmux import TmuxShell

INPUT_LINE = {"claude": r"^❯\s*$", "codex": r"^› Ask Codex to do anything"}
# What it asks for besides its work, as README says: hosts that are refused, operations that are known
REFUSED = {"claude": {"downloads.claude.ai", "github.com"},
           "codex": {"github.com", "api.github.com", "chatgpt.com", "raw.githubusercontent.com"}}
KNOWN = {"claude": {"housekeeping/settings", "housekeeping/policy-limits"}, "codex": set()}
FULL_SCREEN = {"claude": "Claude Code v", "codex": r"OpenAI Codex \(v"}


@pytest.fixture
def shell(rig, agent, agent_world):
    """A shell in which the agent's mission was started and waits for a question."""
    world = agent_world(call("echo from the screen > made.txt; cat made.txt"),
                        say("It said: {result}")).use(INSTALLED / "node_modules" / ".bin").add_account()
    world.init()
    shell = TmuxShell(rig.folder, rig.environment, rig.work, rig.identity)
    try:
        shell.type(shlex.join([str(BIN / "sanctum-run"), "--", agent.name]) + "\n")
        shell.wait_for(INPUT_LINE[agent.name])
        yield shell
    finally:
        shell.close()


def ask(shell, text, answer):
    """Typed text must show before Enter, or it counts as pasted."""
    shell.type_visibly(text)
    shell.type("\r")
    return shell.wait_for(answer)


def end(shell, agent):
    ask(shell, "/exit", r"see: sanctum show")
    shell.wait_for(r"shell\$$")


def records_of_the_mission(rig):
    (folder,) = (rig.state / "missions").iterdir()
    return rig.records_of(folder)


def test_it_starts_takes_input_works_and_ends(shell, rig, agent):
    ask(shell, "Make a file", "It said:")
    end(shell, agent)
    assert (rig.work / "made.txt").read_text() == "from the screen\n"

    shell.type("echo code $?\n")
    shell.wait_for("^code 0$")
    records = records_of_the_mission(rig)
    assert [record["reason"] for record in records if record["type"] == "mission.ended"] == ["exit"]
    refused = {record["host"] for record in records if record["type"] == "exchange.refused"}
    known = {record["operation"] for record in records if record["type"] == "exchange.intent"}
    assert refused and refused <= REFUSED[agent.name], refused
    housekeeping = {operation for operation in known if operation.startswith("housekeeping/")}
    assert housekeeping == KNOWN[agent.name], known


def test_it_follows_the_size_of_the_terminal(shell, rig, agent):
    """tmux cuts what no longer fits; that the end of a long line shows again is the agent's doing."""
    words = [f"word{number}" for number in range(10, 24)]
    shell.type(" ".join(words))
    shell.wait_for("word10 .* word23")

    shell.resize(30, 60)

    shell.wait_for(r"word10 .*\n(.*\n)?.*word23", without="word10 .* word23")
    shell.type("\x03")
    shell.wait_for(INPUT_LINE[agent.name])
    end(shell, agent)


def test_ctrl_z_gives_the_shell_back_and_fg_the_agent(shell, rig, agent):
    shell.type("\x1a")
    shell.wait_for(r"Stopped.*sanctum-run")
    shell.type("echo prompt $((40+2))\n")
    shell.wait_for("^prompt 42$", without=FULL_SCREEN[agent.name])

    shell.type("fg\n")

    shell.wait_for(INPUT_LINE[agent.name])
    ask(shell, "Make a file", "It said:")
    end(shell, agent)


def test_revoking_ends_it_and_the_terminal_is_as_before(shell, rig, agent):
    shell.wait_for(FULL_SCREEN[agent.name])

    rig.expect_ok(rig.sanctum("revoke", "--all"))

    shell.wait_for(r"shell\$$")
    shell.type("echo code $?\n")
    shell.wait_for("^code 122$")
