# SPDX-License-Identifier: Apache-2.0
"""The README's first own mission in five steps, with the files that the README shows, on a terminal, by a new user."""

import fnmatch
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import identity as identities
import test_clients
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


def test_the_quickstart_shows_the_main_job_and_leaves_nothing(identity):
    identities.require((SOURCE / "build/servers/usr/sbin/lighttpd").exists(), "no lighttpd (scripts/setup test)")
    folder = Path(identities.make_folder(identity, "sanctum-e2e-"))  # a short path: sockets are made below it
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), "LANG": "C.UTF-8",
                   "TMPDIR": str(folder), "SANCTUM_BIN": os.path.relpath(BIN, folder)}
    try:
        done = subprocess.run([SOURCE / "scripts/quickstart"], env=environment, stdin=subprocess.DEVNULL, text=True,
                              cwd=folder, capture_output=True, check=False, timeout=100, **identity.popen)
        left = list(folder.iterdir())
    finally:
        shutil.rmtree(folder)

    assert done.returncode == 0 and left == [], done.stdout + done.stderr
    assert "\n  yes  the push to main was refused\n" in done.stdout and "  NO  " not in done.stdout, done.stdout


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
    assert {"nginx", "haproxy", "squid", "mitmproxy", "sandbox-runtime"} == set(proxies)
    assert starts in README and work in README, f"README lacks these tables:\n{starts}\n\n{work}"


def test_the_figures_in_sentences_are_those_of_the_last_run():
    run = json.loads((SOURCE / "bench/results/last.json").read_text())
    ratios, rows = run["ratios"], {row["name"]: row["value"] for row in run["rows"]}
    costs = " ".join(README.split("\n## What it costs\n")[1].split("\n## ")[0].split())
    (start,), (times,), (wait,), (memory,) = (re.findall(pattern, costs) for pattern in (
        r"starts in about (\d+) ms more", r"without attribution and (\w+) times that with it",
        r"waits (\d+) µs longer", r"together use (\d+) MB"))

    assert int(start) == pytest.approx(ratios["startup_vs_exec_ms_added"], rel=0.1)
    assert times == {3: "three", 4: "four", 5: "five", 6: "six"}[round(ratios["connect_vs_native"])]
    assert rows["connect without the watch vs native"] == pytest.approx(1, rel=0.1)
    assert int(wait) == round(rows["latency added, one connection, p50 us"])
    assert int(memory) == round(ratios["pss_idle_mb"])


def test_each_client_of_the_first_table_is_run_by_the_test_that_it_names():
    rows = re.findall(r"(?m)^\| (.+) \| `(test_\w+)` \|$", README)
    clients = ", ".join(client for client, _ in rows)

    assert len(rows) >= 5 and [test for _, test in rows if not hasattr(test_clients, test)] == []
    for client in test_clients.CLIENTS:
        first, _, library = client.replace("(own TLS)", "").strip().partition(" ")
        assert first in clients and library in clients.replace("`", ""), f"README has no row for {client}"


def test_the_versions_of_agents_are_those_that_are_tested():
    tested = json.loads((SOURCE / "tests/agents/package.json").read_text())["dependencies"]
    for agent, package in (("Claude Code", "@anthropic-ai/claude-code"), ("Codex", "@openai/codex")):
        assert f"\n| {agent} | {tested[package]} |" in README


def names_of_tests(path):
    """Names of tests of a file, of all files of a folder: functions of Python, suites and their tests of C++."""
    files = [file for file in sorted(path.rglob("*")) if file.is_file()] if path.is_dir() else [path]
    found = set()
    for file in (file for file in files if file.suffix in (".py", ".cpp")):
        text = file.read_text()
        found |= set(re.findall(r"(?m)^(?:async )?def (test_\w+)", text))
        for suite_and_test in re.findall(r"(?m)^TEST(?:_[FP])?\((\w+), (\w+)\)", text):
            found |= set(suite_and_test)
    return found


# What a document calls a test: its file's path or name, the name of one, or a pattern of names "in" a file
NAMED_PATH = r"`((?:tests|scripts|package|bench)/[\w./-]+)"
NAMED_FILE = r"`(test_\w+\.py|\w+_test\.cpp)`"
NAMED_TEST = r"`(test_\w+)`"
NAMED_PATTERN = r"`(\w*\*[\w*]*)`"
NAMES_IN_FILES = r"((?:`[\w*]+`, )*`[\w*]+`) in\s+((?:`tests/[\w./-]+`(?:, )?)+)"


def missing_tests(text):
    """What a document names as a test and nobody has."""
    files = [file for file in (SOURCE / "tests").rglob("*") if file.suffix in (".py", ".cpp")]
    every, known = names_of_tests(SOURCE / "tests"), {file.name for file in files}
    missing = [path for path in re.findall(NAMED_PATH, text) if not (SOURCE / path).exists()]
    missing += [name for name in re.findall(NAMED_FILE, text) if name not in known]
    missing += [name for name in re.findall(NAMED_TEST, text) if name not in every]
    explained = set()
    for names, places in re.findall(NAMES_IN_FILES, text):
        paths = [SOURCE / place for place in re.findall(r"`(.*?)`", places)]
        there = set().union(*(names_of_tests(path) for path in paths if path.exists()))
        explained |= set(names[1:-1].split("`, `"))
        missing += [f"{name} in {places}" for name in names[1:-1].split("`, `") if not fnmatch.filter(there, name)]
    return missing + [f"{name}: of which file?" for name in re.findall(NAMED_PATTERN, text) if name not in explained]


@pytest.mark.parametrize("document", ["README.md", "SECURITY.md", "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_test_that_a_document_names_exists(document):
    text = (SOURCE / document).read_text()
    assert re.search(NAMED_PATH, text) and missing_tests(text) == []


@pytest.mark.parametrize("text", [
    "`tests/e2e/test_none.py`", "`test_none.py`", "`none_test.cpp`", "`test_none`", "`*none_such*`", "`*taken_back*`",
    "`*taken_back*`, `*none_such*` in `tests/e2e/test_vaults.py`", "`*taken_back*` in\n`tests/e2e/test_wall.py`",
    "`None` in `tests/unit/console/housekeeping_test.cpp`"])
def test_a_test_that_does_not_exist_is_found_missing(text):
    """The twin: each form of a name is really looked at."""
    assert len(missing_tests(text)) == 1
    assert missing_tests("`Prune`, `Audit*` in `tests/unit/console/housekeeping_test.cpp`, `test_wall.py`") == []


def test_every_section_of_the_readme_points_to_what_shows_it():
    sections = dict(re.findall(r"(?ms)^## (.+?)$(.*?)(?=^## |\Z)", README))
    assert len(sections) > 15 and sections.pop("Hacking"), "it is about the tests themselves"
    for name, text in sections.items():
        assert re.search(r"`tests/[\w./-]+|" + NAMED_FILE + "|" + NAMED_TEST, text), name
