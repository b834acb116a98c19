# SPDX-License-Identifier: Apache-2.0
"""Real agents for tests: what each is called, how it is asked, and where its model is; installed by `scripts/setup
agents`. Nothing here helps an agent along: a mission is what `sanctum init --agent NAME` wrote."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import identity as identities
from model_server import ModelServer
from rig import SOURCE
from upstream import RecordingUpstream

INSTALLED = SOURCE / "build" / "agents"


@dataclass(frozen=True)
class Agent:
    name: str                 # of `sanctum init --agent`, and of the program
    host: str                 # of its model
    catalog: str
    key_header: str
    key_prefix: str           # what stands before the key in that header
    variable: str             # which holds the placeholder
    placeholder: str
    once: tuple               # arguments for one task without a terminal
    again: tuple              # the same, going on with the last conversation
    package: str              # of npm, its program below it
    program: str


AGENTS = {
    "claude": Agent("claude", "api.anthropic.com", "anthropic", "x-api-key", "", "ANTHROPIC_API_KEY",
                    "sk-ant-held-by-sanctum", ("--allowedTools", "Bash", "-p"), ("--allowedTools", "Bash", "-c", "-p"),
                    "@anthropic-ai/claude-code", "bin/claude.exe"),
    "codex": Agent("codex", "api.openai.com", "openai", "authorization", "Bearer ", "OPENAI_API_KEY",
                   "sk-held-by-sanctum", ("exec", "--skip-git-repo-check"),
                   ("exec", "resume", "--last", "--skip-git-repo-check"), "@openai/codex", "bin/codex.js"),
}


class AgentWorld:
    """A rig whose operator has one agent installed and its model's key in the store."""

    def __init__(self, rig, agent, authority, turns):
        identities.require((INSTALLED / ".installed").exists(), "the agents are not installed (scripts/setup agents)")
        self.rig, self.agent = rig, agent
        self.model = ModelServer(turns)
        self.upstream = RecordingUpstream(*authority.issue(agent.host), self.model.routes())
        rig.host(agent.host, self.upstream, authority.ca_file)

    def add_account(self, with_key=True):
        account = f'catalog = "{self.agent.catalog}"\nsource = "local"\nitem = "{self.agent.catalog}"'
        self.rig.account(self.agent.catalog, account)
        self.rig.configure()
        if not with_key:
            self.rig.expect_ok(self.rig.sanctum("vault", "remove", self.agent.catalog))
        return self

    @property
    def key(self):
        return self.rig.secrets[self.agent.catalog]

    def use(self, *folders):
        """Puts folders in front of the operator's PATH."""
        self.rig.environment["PATH"] = ":".join([*map(str, folders), self.rig.environment["PATH"]])
        return self

    def init(self):
        return self.rig.expect_ok(self.rig.sanctum("init", "--agent", self.agent.name))

    def ask(self, question, again=False, **run):
        """One task without a terminal."""
        arguments = self.agent.again if again else self.agent.once
        return self.rig.run(self.agent.name, *arguments, question, **run)

    def stop(self):
        self.upstream.stop()


def link_tree(source, target):
    """A tree of hard links: eight hundred megabytes in no time and no space."""
    try:
        shutil.copytree(source, target, symlinks=True, copy_function=os.link)
    except OSError:  # another file system
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, symlinks=True)


def own_everything(identity, folder):
    """Folders only: the files are links to what everybody may read."""
    for root, _, _ in os.walk(folder):
        identity.own(Path(root))
