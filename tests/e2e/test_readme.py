# SPDX-License-Identifier: Apache-2.0
"""The README's first own mission in five steps, with the files that the README shows, on a terminal, by a new user."""

import json
import re

import pytest

from rig import BIN, SOURCE
from terminal import Terminal

PASSPHRASE = "secret horse battery"
TOKEN = "ghp_readme-canary-0123456789"
README = SOURCE.joinpath("README.md").read_text()
STEPS = README.split("## Your first own mission in five steps")[1].split("\n## ")[0]


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


# Rows of README's tables of costs: what is compared → what scripts/bench calls it
PROXIED = {
    "requests/s, kept connections": "keep-alive, 16 connections, requests/s",
    "their CPU time": "keep-alive, 16 connections, CPU per request",
    "new TLS connections/s": "new connections, requests/s",
    "their CPU time, each": "new connections, CPU per request",
    "10 MiB bodies, MB/s": "10 MiB bodies, MB/s",
    "time of one request, alone": "latency, one connection, p50 (not only what is added)",
    "time of one request, p99 of 32": "latency, 32 connections, p99 (not only what is added)",
}


def two_digits(value):
    return f"{value:.2f}" if value < 1 else f"{value:.1f}"


def table(head, rows):
    return "\n".join([f"| {' | '.join(head)} |", "| --- " * len(head) + "|",
                      *(f"| {' | '.join(row)} |" for row in rows)])


def test_the_figures_beside_the_peers_are_those_of_the_last_run():
    against = json.loads((SOURCE / "bench/results/last.json").read_text())["against"]
    proxies = list(against[PROXIED["10 MiB bodies, MB/s"]])
    starts = table(["ours / theirs", *against["start-up"]],
                   [["start-up", *map(two_digits, against["start-up"].values())]])
    work = table(["ours / theirs", *proxies],
                 [[name, *(two_digits(against[key][proxy]) for proxy in proxies)] for name, key in PROXIED.items()])

    assert {"bubblewrap", "sandlock", "nono", "firejail", "codex", "sandbox-runtime"} <= set(against["start-up"])
    assert {"nginx", "haproxy", "squid", "mitmproxy"} == set(proxies)
    assert starts in README and work in README, f"README lacks these tables:\n{starts}\n\n{work}"
