# SPDX-License-Identifier: Apache-2.0
"""Claude Code and Codex with a subscription, as npm installs them: logged in by the operator outside, and logging in by
themselves within a mission. Provider and model are ours, everything else is theirs. They never hold a token."""

import os
import re
import select
import sys
from pathlib import Path

import httpx
import pytest

import identity as identities
import leak_sweep
from agents import INSTALLED
from model_server import ModelServer, Responses, call, respond_json, say
from test_connect import Connecting
from upstream import RecordingUpstream

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "doubles"))

from providers import CLAUDE, CODEX, LoginDouble  # noqa: E402

BIN_FOLDER = INSTALLED / "node_modules" / ".bin"
DIALECTS = {"claude": CLAUDE, "codex": CODEX}
WAIT_SECONDS = 60  # for a person's part; longer is never
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


class LoginWorld:
    """An operator whose agent has a subscription."""

    def __init__(self, rig, agent, authority, folder, turns):
        identities.require((INSTALLED / ".installed").exists(), "the agents are not installed (scripts/setup agents)")
        self.rig, self.agent, dialect = rig, agent, DIALECTS[agent.name]
        self.double = LoginDouble(folder, authority, dialect)
        self.model = ModelServer(turns)
        routes = {**self.model.routes(),
                  "/backend-api/codex/responses": lambda exchange: self.model._answer(exchange, Responses),
                  "/backend-api/codex/models": lambda exchange: respond_json(exchange, {"models": []}),
                  "/api/oauth/profile": lambda exchange: respond_json(exchange, {
                      "account": {"uuid": "5f0d1c2e-account", "email": "ada@example.org", "has_claude_max": True},
                      "organization": {"uuid": "0a-org", "organization_type": "claude_max"}})}
        self.upstream = RecordingUpstream(*authority.issue(dialect.hosts[0]), routes)
        rig.host(dialect.hosts[0], self.upstream, authority.ca_file)
        for host in dialect.hosts[1:]:
            rig.host(host, self.double, authority.ca_file)
        rig.environment["PATH"] = f"{BIN_FOLDER}:{rig.environment['PATH']}"

    def account(self, item):
        name = self.agent.name
        text = f'catalog = "{name}"\nsource = "login"\n' + (f'item = "{name}"\n' if item else "")
        self.rig._accounts.append(f'[[account]]\nname = "{name}"\n{text}')
        if item:
            self.rig.secrets["other"] = "canary-that-makes-a-store-51c0"
        self.rig.configure()
        return self

    def connect(self):
        connecting = Connecting(self.rig, self.agent.name, "--no-browser")
        httpx.get(self.double.person(connecting.address()), trust_env=False)
        assert connecting.finish() == 0, connecting.errors
        return self

    def init(self):
        self.rig.expect_ok(self.rig.sanctum("init", "--agent", self.agent.name))
        return self

    def ask(self, question):
        return self.rig.run(self.agent.name, *self.agent.once, question)

    @property
    def tokens(self):
        return {token.value: token for token in self.double.tokens.values() if token.kind != "login"}

    def check_calls(self):
        """Every request to the model carried a token that the provider issued."""
        calls = [exchange for exchange in self.upstream.exchanges if exchange.header("authorization")]
        assert len(calls) >= 2, [exchange.path for exchange in self.upstream.exchanges]
        for exchange in calls:
            token = self.tokens[exchange.header("authorization").removeprefix("Bearer ")]
            assert token.kind == "access_token" and "held-by-sanctum" not in exchange.header("authorization")

    def check_no_token_is_left(self, *outcomes):
        texts = [outcome.stdout + outcome.stderr for outcome in outcomes]
        for path in self.rig.folder.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.name not in ("store.sealed", "store.key"):
                texts.append(path.read_bytes())
        for token in self.tokens:
            assert not any(leak_sweep.find_in_bytes(text, token.encode()) for text in texts), "a token is inside"

    def stop(self):
        self.upstream.stop()
        self.double.stop()


@pytest.fixture
def login_world(rig, agent, authority, tmp_path):
    made = []

    def make(*turns):
        made.append(LoginWorld(rig, agent, authority, tmp_path / "login", turns))
        return made[-1]
    yield make
    for world in made:
        world.stop()


def test_an_agent_that_was_connected_works_without_a_login(login_world, rig):
    world = login_world(call("echo by subscription > made.txt; cat ~/.claude/.credentials.json ~/.codex/auth.json"),
                        say("It said: {result}")).account(item=True).connect().init()

    outcome = world.ask("Make a file")

    assert outcome.code == 0, outcome
    assert (rig.work / "made.txt").read_text() == "by subscription\n"
    assert "held-by-sanctum" in outcome.text, outcome
    world.check_calls()
    world.check_no_token_is_left(outcome)


class Typing:
    """A command of the agent's within a mission, and a person who answers it."""

    def __init__(self, rig, *command):
        self.running = rig.start(*command).wait_until_started()
        self.text = ""

    def read_until(self, pattern):
        while not (found := re.search(pattern, self.text)):
            output = self.running.process.stdout.fileno()
            is_ready = select.select([output], [], [], WAIT_SECONDS)[0]
            part = os.read(output, 4096) if is_ready else b""
            if not is_ready:
                self.running.process.kill()
            assert part, f"it ended: {self.text}\n{self.running.finish()}"
            self.text += ESCAPE.sub("", part.decode(errors="replace"))
        return found


@pytest.mark.parametrize("agent", ["codex"], indirect=True)
def test_codex_logs_in_by_itself_with_a_code_that_a_person_types(login_world, agent, rig):
    world = login_world(call("echo logged in > made.txt"), say("Done.")).account(item=False).init()
    script = f"codex login --device-auth && codex {' '.join(agent.once)} 'Make a file' </dev/null"

    typing = Typing(rig, "sh", "-c", script)
    code = typing.read_until(r"\b([A-Z0-9_]{9})\b")[1]
    world.double.type_code(code)
    outcome = typing.running.finish()

    assert outcome.code == 0, (typing.text, outcome)
    assert (rig.work / "made.txt").read_text() == "logged in\n"
    world.check_calls()
    world.check_no_token_is_left(outcome)
    assert not any(world.double.is_alive(token) for token in world.tokens), "the login ended with the mission"


@pytest.mark.parametrize("agent", ["claude"], indirect=True)
def test_claude_logs_in_by_itself_with_a_code_that_a_person_pastes(login_world, agent, rig):
    world = login_world(call("echo logged in > made.txt"), say("Done.")).account(item=False).init()
    once = " ".join(agent.once)
    script = f"CLAUDE_CODE_FULL_SIGN_IN_LINK=1 claude auth login && claude {once} 'Make a file' </dev/null"

    typing = Typing(rig, "sh", "-c", script)
    address = typing.read_until(r"(https://claude\.com/cai/oauth/authorize\?\S+)\s")[1]
    led = httpx.URL(world.double.person(address))
    typing.running.send(f"{led.params['code']}#{led.params['state']}\n")
    outcome = typing.running.finish()

    assert outcome.code == 0, (typing.text, outcome)
    assert (rig.work / "made.txt").read_text() == "logged in\n"
    world.check_calls()
    world.check_no_token_is_left(outcome)
