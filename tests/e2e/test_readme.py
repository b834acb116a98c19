# SPDX-License-Identifier: Apache-2.0
"""The README's first own mission in five steps, with the files that the README shows, on a terminal, by a new user."""

import re

import pytest

from rig import BIN, SOURCE
from terminal import Terminal

PASSPHRASE = "secret horse battery"
TOKEN = "ghp_readme-canary-0123456789"
STEPS = SOURCE.joinpath("README.md").read_text().split("## Your first own mission in five steps")[1].split("\n## ")[0]


def shown(language):
    """The blocks of one language in the five steps, without the indentation of a list."""
    blocks = re.findall(rf"```{language}\n(.*?)```", STEPS, re.DOTALL)
    return [re.sub(r"(?m)^ {3}", "", block) for block in blocks]


@pytest.fixture
def typed(rig):
    """Runs a command on a terminal of its own, as a user without any XDG variable; returns code and what it showed."""
    environment = {name: value for name, value in rig.environment.items() if not name.startswith("XDG_")}
    environment.update(TERM="xterm", PATH=f"{BIN}:{environment['PATH']}")

    def run(command, *answers):
        screen = Terminal(["bash", "-c", f"{command}; echo =ended= $?"], environment, rig.work, rig.identity)
        rig._known.add(screen.process.pid)
        for prompt, answer in answers:
            screen.read_until(prompt)
            screen.type(answer + "\n")
        found = screen.read_until(r"(?s)(.*)=ended= (\d+)\r\n")
        screen.wait()
        screen.close()
        assert TOKEN not in found.group(1)
        return int(found.group(2)), found.group(1)
    return run


# Root keeps its files in the machine's own folders, which no test may touch.
@pytest.mark.parametrize("identity", ["user"], indirect=True)
def test_the_five_steps_work_as_they_are_written(rig, typed):
    configuration, mission = shown("toml")
    init, add = next(block for block in shown("sh") if "vault init" in block).split("\n")[:2]
    run, show, verify = [line.partition("#")[0].strip() for line in shown("sh")[-1].splitlines()]
    run = run.replace("your-agent", "sh -c 'echo it ran; env'")
    asked = ("(?i)passphrase.*: ", PASSPHRASE)

    assert typed(init, asked, ("again: ", PASSPHRASE))[0] == 0
    assert typed(add, asked, ("(?i)github-token.*: ", TOKEN), ("again: ", TOKEN))[0] == 0
    rig.write(rig.make("home/.config/sanctum") / "config.toml", configuration, 0o600)
    assert typed("sanctum init --agent generic")[0] == 0
    rig.write(rig.work / "mission.toml", mission)
    checked = typed("sanctum check mission.toml")
    explained = typed("sanctum explain mission.toml GET https://api.github.com/repos/acme/api/issues")
    outside = typed("sanctum explain mission.toml GET https://api.github.com/repos/acme/other/issues")
    ran = typed(run, (r"\[y/N\] ", "y"), asked)
    receipt = typed(show)
    verified = typed(verify)

    assert checked[0] == 0 and "no mistakes" in checked[1], checked
    assert explained[0] == 0 and explained[1].startswith("allow"), explained
    assert outside[0] == 3 and "resource_outside" in outside[1], outside
    assert ran[0] == 0 and "it ran" in ran[1] and "ghp_" not in ran[1], ran
    assert receipt[0] == 0 and "triage-issues" in receipt[1] and "sealed" in receipt[1], receipt
    assert verified[0] == 0 and "sealed" in verified[1], verified
