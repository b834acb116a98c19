# SPDX-License-Identifier: Apache-2.0
"""Claude Code and Codex, as npm installs them, do their work inside a mission that `sanctum init` wrote: the model is
ours, everything else is theirs. The key reaches the model and never the agent."""

import json
import os
import subprocess
import threading

import pytest

import identity as identities
import leak_sweep
import processes
from agents import INSTALLED
from model_server import call, say

BIN_FOLDER = INSTALLED / "node_modules" / ".bin"
PAGE_BYTES, PAGE_ENTRY_BYTES = 4096, 8
MEMORY_STEP_BYTES = 1 << 20
WAIT_SECONDS = 300      # to look into gigabytes of memory

# What both ask for beside their work, without being told to.
HOUSEKEEPING_KNOWN = {"claude": {"housekeeping/settings", "housekeeping/policy-limits"}, "codex": set()}
HOUSEKEEPING_REFUSED = {"claude": set(), "codex": {"github.com", "api.github.com", "chatgpt.com",
                                                   "raw.githubusercontent.com"}}
WORK = {"claude": {"messages/create"}, "codex": {"responses/create"}}


@pytest.fixture
def ready(agent_world):
    """A world in which `sanctum-run -- AGENT` is the next thing to type."""
    def make(*turns):
        world = agent_world(*turns).use(BIN_FOLDER).add_account()
        world.init()
        return world
    return make


def test_a_tool_call_is_done_with_a_key_that_the_agent_never_holds(ready, agent, rig):
    world = ready(call(f"echo written by the agent > made.txt; printenv {agent.variable}"),
                  say("The command said: {result}"))

    outcome = world.ask("Make a file")

    assert outcome.code == 0, outcome
    assert (rig.work / "made.txt").read_text() == "written by the agent\n"
    assert agent.placeholder in outcome.text, "what the agent has instead of the key"
    sent = [exchange.header(agent.key_header) for exchange in world.upstream.exchanges]
    assert len(sent) >= 2 and set(sent) == {agent.key_prefix + world.key}, "every request that left had the key"
    assert agent.placeholder.encode() not in b"".join(exchange.head for exchange in world.upstream.exchanges)
    assert all(record["lease"] for record in outcome.of_type("exchange.intent"))


def test_a_conversation_goes_on_where_it_stopped(ready, rig):
    world = ready(call("echo first > notes.txt"), say("Noted."), call("cat notes.txt; echo second >> notes.txt"),
                  call("cat notes.txt"), say("Now it says: {result}"))

    first = world.ask("Remember the word cucumber")
    second = world.ask("Go on", again=True)

    assert first.code == 0 and "Noted." in first.text, first
    assert second.code == 0 and "first\nsecond" in second.text, second
    assert (rig.work / "notes.txt").read_text() == "first\nsecond\n"
    assert any("cucumber" in question for question in world.model.tasks[-1].questions), "the kept home kept it"


def test_no_process_of_the_agent_holds_the_key_while_it_works(ready, rig, agent):
    identities.require(os.geteuid() == 0, "needs root to look into the processes")
    is_asked, may_answer = threading.Event(), threading.Event()

    def answer_slowly(task):
        is_asked.set()
        may_answer.wait(WAIT_SECONDS)
        return say("Done: {result}")(task)

    world = ready(call(f"printenv {agent.variable}"), answer_slowly)
    running = rig.start(agent.name, *agent.once, "Say what you see", stdin=subprocess.DEVNULL).wait_until_started()
    try:
        assert is_asked.wait(WAIT_SECONDS), "the second question carries the tool's result: the key was used"
        roles = running.roles()
        tree = processes.descendants_of(roles["init"])
        codings, placeholder = likely_codings(world.key), agent.placeholder.encode()
        found = set().union(*(sweep(pid, placeholder, *codings) for pid in tree))
        twin = sweep(roles["interceptor"], *codings)
    finally:
        may_answer.set()
    outcome = running.finish()

    assert outcome.code == 0, outcome
    assert found == {placeholder}, "the agent has the placeholder, and the key in no coding"
    assert world.key.encode() in twin, "the same search finds the key where it is"


def is_touched(pages, begin, size):
    """Whether any page of the range is in memory or swapped out: the two highest bits of its entry."""
    entries = os.pread(pages.fileno(), size // PAGE_BYTES * PAGE_ENTRY_BYTES, begin // PAGE_BYTES * PAGE_ENTRY_BYTES)
    return max(entries[PAGE_ENTRY_BYTES - 1::PAGE_ENTRY_BYTES], default=0) >= 0x40


def sweep(pid, *needles):
    """What of `needles` a process holds in memory of its own; its program is the same file for everybody."""
    overlap = max(map(len, needles))
    found = set()
    with open(f"/proc/{pid}/mem", "rb", 0) as memory, open(f"/proc/{pid}/pagemap", "rb", 0) as pages:
        for begin, end, line in leak_sweep.readable_mappings(pid):
            fields = line.split()
            if "w" not in fields[1] and len(fields) > 5 and fields[5].startswith("/"):
                continue
            for at in range(begin, end, MEMORY_STEP_BYTES):
                try:
                    if not is_touched(pages, at, min(MEMORY_STEP_BYTES, end - at)):
                        continue  # a run time reserves a thousand times what it uses
                    data = os.pread(memory.fileno(), min(MEMORY_STEP_BYTES + overlap, end - at), at)
                except (OSError, OverflowError):
                    break  # unmapped meanwhile
                found |= {needle for needle in needles if needle in data}
    return found


def likely_codings(secret):
    """Those in which software keeps a header's value: searching for all of them takes minutes in these agents."""
    named = leak_sweep.encodings(secret.encode())
    return [named[name] for name in ("raw", "base64+0", "base64+1", "base64+2", "hex", "utf-16le")]


def test_housekeeping_is_classified_and_breaks_nothing(ready, agent):
    world = ready(call("true"), say("All well."))

    outcome = world.ask("Do nothing")

    assert outcome.code == 0 and "All well." in outcome.text, outcome
    known = {record["operation"] for record in outcome.of_type("exchange.intent")}
    assert known == HOUSEKEEPING_KNOWN[agent.name] | WORK[agent.name], "and nothing else was let through"
    refused = {host for reason, host, _ in outcome.refused}
    assert {reason for reason, _, _ in outcome.refused} <= {"host_unknown"}, outcome.refused
    assert refused <= HOUSEKEEPING_REFUSED[agent.name], outcome.refused
    assert bool(refused) == bool(HOUSEKEEPING_REFUSED[agent.name]), "each refusal is on record"


@pytest.mark.parametrize("agent", ["claude"], indirect=True)
def test_all_that_claude_reports_home_is_refused_by_name(ready, agent, rig):
    """Codex's reports are off in the settings that init writes."""
    world = ready(call("true"), say("All well."))
    profile = rig.work / "mission.toml"
    rig.write(profile, profile.read_text().replace('CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC = "1", ', ""))
    rig.expect_ok(rig.sanctum("trust", str(profile)))

    outcome = world.ask("Do nothing")

    assert outcome.code == 0 and "All well." in outcome.text, outcome
    assert outcome.refused and {reason for reason, _, _ in outcome.refused} <= {"host_unknown", "operation_unknown"}
    assert {exchange.path.split("?")[0] for exchange in world.upstream.exchanges} <= {
        "/", "/v1/messages", "/v1/messages/count_tokens", "/api/hello", "/api/claude_code/settings",
        "/api/claude_code/policy_limits"}


def test_the_agents_own_sandbox_is_off(ready, agent, rig):
    """It could not start inside this one; the mission's own walls stand, as the next tests show."""
    world = ready(call("echo no second wall"), say("{result}"))

    outcome = world.ask("Say it")

    assert outcome.code == 0 and "no second wall" in outcome.text, outcome
    if agent.name == "codex":
        told = json.loads(world.upstream.exchanges[-1].body)["client_metadata"]
        assert json.loads(told["x-codex-turn-metadata"])["sandbox"] == "none"
    else:
        settings = json.loads((rig.state / "homes" / "claude-code" / ".claude" / "settings.json").read_text())
        assert settings["sandbox"]["enabled"] is False


def test_a_tool_call_to_the_models_own_api_is_allowed(ready, agent):
    """The twin of the next: the same means, a host of the mission."""
    world = ready(call(f"curl -sS https://{agent.host}/v1/models"), say("It said: {result}"))

    outcome = world.ask("List the models")

    assert outcome.code == 0 and '"object": "list"' in outcome.text, outcome
    assert world.upstream.wait_for(1, "/v1/models")[0].header(agent.key_header) == agent.key_prefix + world.key


def test_a_tool_call_to_another_host_is_refused_and_the_agent_says_so(ready, rig):
    world = ready(call("curl -sS https://elsewhere.example.com/v1/models"), say("It said: {result}"))

    outcome = world.ask("Look elsewhere")

    assert outcome.code == 0 and "host_unknown" in outcome.text, outcome
    assert ("host_unknown", "elsewhere.example.com", "/v1/models") in outcome.refused
    assert all(exchange.path != "/v1/models" for exchange in world.upstream.exchanges)


def test_files_outside_are_neither_read_nor_written(ready, rig):
    secret = rig.write(rig.folder / "outside.txt", "of the operator")
    world = ready(call(f"cat {secret}; echo changed > {secret}; echo x > /usr/share/x; echo seen > inside.txt"),
                  say("It said: {result}"))

    outcome = world.ask("Look around")

    assert outcome.code == 0, outcome
    assert "No such file or directory" in outcome.text and "Read-only file system" in outcome.text, outcome
    assert "of the operator" not in outcome.text and secret.read_text() == "of the operator"
    assert (rig.work / "inside.txt").read_text() == "seen\n", "the twin: the workspace is there"


def test_without_the_credential_nothing_is_sent_and_the_operator_is_told(agent_world, agent, rig):
    world = agent_world(say("Never said.")).use(BIN_FOLDER).add_account(with_key=False)
    world.init()

    outcome = world.ask("Say something")

    assert outcome.code == 125 and f"`sanctum vault add {agent.catalog}`" in outcome.errors, outcome
    assert world.upstream.exchanges == [] and "Never said." not in outcome.text


def test_without_an_account_init_says_what_to_do(agent_world, agent, rig):
    world = agent_world(say("Never said.")).use(BIN_FOLDER)
    rig.configure()

    done = world.init()

    assert f"sanctum vault add {agent.catalog}" in done.stdout.decode()
    outcome = world.ask("Say something")
    assert outcome.code != 0 and world.upstream.exchanges == [], outcome
