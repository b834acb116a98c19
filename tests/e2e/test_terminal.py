# SPDX-License-Identifier: Apache-2.0
"""On a terminal a mission behaves like any command started by a shell with job control."""

import json
import os
import shlex
import time
from pathlib import Path

import pytest

import processes
from rig import BIN
from terminal import Terminal


@pytest.fixture
def terminal(rig, service):
    """Starts terminals; the command line of a mission is `terminal.mission(...)`."""
    opened = []

    class Make:
        status = rig.folder / "status"

        @staticmethod
        def mission(*command, options=()):
            return [str(BIN / "sanctum-run"), "--profile", str(service), *options, "--", *command]

        def open(self, command, **extra):
            environment = dict(rig.environment, TERM="xterm", PS1="$ ", **extra)
            opened.append(Terminal(command, environment, rig.work, rig.identity))
            rig._known.add(opened[-1].process.pid)
            return opened[-1]

        def shell(self):
            shell = self.open(["/bin/bash", "--norc", "--noprofile", "-i"])
            shell.read_until(r"\$ ")
            return shell

        def typed(self, *command, options=()):
            return shlex.join(self.mission(*command, options=options)) + "\n"

    yield Make()
    for each in opened:
        each.close()


def test_the_command_has_the_terminal_itself(rig, terminal):
    screen = terminal.open(terminal.mission("sh", "-c", "tty; test -t 0 -a -t 1 -a -t 2 && echo all three"))

    screen.read_until(r"/dev/(pts/\d+|tty|console)")
    screen.read_until("all three")
    assert screen.wait() == 0


def test_the_commands_size_follows_the_terminal(rig, terminal):
    script = ("import os, signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])\n"
              "print(os.get_terminal_size(0), flush=True)\nsignal.sigwait([signal.SIGWINCH])\n"
              "print(os.get_terminal_size(0), flush=True)")
    screen = terminal.open(terminal.mission("/usr/bin/python3", "-c", script))
    screen.read_until("columns=80, lines=24")

    screen.resize(50, 132)

    screen.read_until("columns=132, lines=50")
    assert screen.wait() == 0


def test_ctrl_c_ends_the_command_with_130(rig, terminal):
    screen = terminal.open(terminal.mission("sh", "-c", "echo ready; exec cat"))
    screen.read_until("ready")

    screen.type("\x03")

    assert screen.wait() == 130


def test_ctrl_c_goes_to_the_command_and_ends_nothing_else(rig, terminal):
    screen = terminal.open(terminal.mission("bash", "-c", "trap 'echo caught' INT; echo ready; while read x; do "
                                            'echo "got $x"; done; read y; echo "then $y"'))
    screen.read_until("ready")

    screen.type("\x03")
    screen.read_until("caught")
    screen.type("still here\n")
    screen.read_until("(got|then) still here")

    screen.type("\x04\x04")
    screen.wait()


def test_ctrl_z_stops_and_fg_continues(rig, terminal):
    shell = terminal.shell()
    shell.type(terminal.typed("sh", "-c", "echo ready; read line; echo got $line"))
    shell.read_until("ready\r\n")

    shell.type("\x1a")
    shell.read_until("Stopped")
    shell.type("echo prompt $((40+2))\n")
    shell.read_until("prompt 42\r\n")
    shell.type("fg\n")
    shell.read_until("sanctum-run")
    shell.type("hello\n")

    shell.read_until("got hello\r\n")
    shell.read_until(r"\$ ")
    shell.type("echo code $?\n")
    shell.read_until("code 0\r\n")


def test_a_mission_stopped_by_ctrl_z_runs_nothing(rig, terminal):
    """The whole namespace is frozen, not only the foreground group."""
    shell = terminal.shell()
    count = "echo ready; (setsid sh -c 'while :; do date +%N >beat; done') & read line"
    shell.type(terminal.typed("bash", "-c", count))
    shell.read_until("ready\r\n")

    shell.type("\x1a")
    shell.read_until("Stopped")
    states = settled_states(rig)
    shell.type("fg\n")
    shell.read_until("sanctum-run")
    shell.type("\n")
    shell.read_until(r"\$ ")

    # D: a shell that waits in vfork(2) for a child that was stopped before its exec. It runs nothing either.
    assert "T" in states and set(states) <= {"T", "D"}, states


def settled_states(rig):
    """States of the agent's processes, once none is on its way from one to another (a fork under way shows as D)."""
    deadline = time.monotonic() + 30
    while True:
        fields = [processes.stat_fields(pid) for pid in agents_of(rig)]
        states = [each[0] for each in fields if each]
        if set(states) == {"T"} or time.monotonic() > deadline:
            return states
        os.sched_yield()


def agents_of(rig):
    """Live processes whose working directory is the workspace and which are no shell of ours."""
    found = []
    for pid in processes.all_pids():
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
            where = environment + os.fsencode(os.readlink(f"/proc/{pid}/cwd"))
        except OSError:  # it has ended, or is somebody else's
            continue
        if b"SANCTUM_MISSION=" in environment and str(rig.work).encode() in where:
            found.append(pid)
    return found


RAW = "stty raw -echo; echo re''ady; exec sleep 600"


def test_what_a_killed_command_left_unread_is_nothing_for_the_shell(rig, terminal):
    """A terminal answers questions of the command (its kind, the cursor's place) as if they were typed."""
    shell = terminal.shell()
    shell.type(terminal.typed("sh", "-c", RAW))
    shell.read_until("ready")

    shell.type("echo typed $((40+2))\r")
    rig.expect_ok(rig.sanctum("revoke", "--all"))
    shell.read_until(r"was revoked\r\n")
    shell.read_until(r"\$ ")
    shell.type("echo code $?\n")

    assert "typed 42" not in shell.text_until("code 122\r\n")


def test_what_was_typed_ahead_of_a_command_that_ends_is_the_shells(rig, terminal):
    shell = terminal.shell()
    shell.type(terminal.typed("sh", "-c", "echo ready; while ! test -e go; do sleep 0.05; done"))
    shell.read_until("ready\r\n")

    shell.type("echo typed $((40+2))\n")
    (rig.work / "go").touch()

    shell.read_until("typed 42\r\n")


def test_a_command_that_dies_by_a_signal_leaves_the_modes_it_found(rig, terminal):
    screen = terminal.open(terminal.mission("sh", "-c", "stty raw -echo; kill -9 $$"))
    found = screen.modes()

    assert screen.wait() == 128 + 9
    assert screen.modes() == found


def test_the_modes_a_command_leaves_on_purpose_stay(rig, terminal):
    screen = terminal.open(terminal.mission("stty", "-echo"))
    found = screen.modes()

    assert screen.wait() == 0
    assert screen.modes() != found


def test_a_closed_terminal_ends_the_mission(rig, terminal):
    screen = terminal.open(terminal.mission("bash", "-c", "trap '' HUP TERM INT; echo ready; while :; do read x || "
                                            "wait; done"))
    screen.read_until("ready")
    children = processes.descendants_of(screen.process.pid)

    screen.hang_up()

    assert screen.wait() != 0
    for pid in children:
        assert processes.wait_for_end(pid), f"{pid} {processes.command_of(pid)} outlived its terminal"


def test_no_prompt_without_a_terminal(rig, service):
    """An untrusted profile: with a terminal we ask, without one it is 125 with the command to run."""
    profile = rig.write(rig.work / "mission.toml", service.read_text())

    outcome = rig.run("true", profile=profile, input="y\n")

    assert outcome.code == 125, outcome
    assert f"sanctum trust {profile}" in outcome.errors, outcome


def test_an_untrusted_profile_is_asked_about_on_a_terminal(rig, service, terminal):
    profile = rig.write(rig.work / "mission.toml", service.read_text())
    screen = terminal.open([str(BIN / "sanctum-run"), "--profile", str(profile), "--", "echo", "it ran"])

    screen.read_until(r"(?i)trust")
    screen.type("y\n")

    screen.read_until("it ran")
    assert screen.wait() == 0


def test_the_terminal_cannot_be_typed_into_from_inside(rig, terminal):
    """TIOCSTI would let the agent type into the operator's shell after it has ended."""
    script = "import fcntl, termios\nfor c in b'id\\n':\n    fcntl.ioctl(0, termios.TIOCSTI, bytes([c]))"
    screen = terminal.open(terminal.mission("/usr/bin/python3", "-c", script))

    screen.read_until("PermissionError|OSError")
    assert screen.wait() == 1


def test_a_session_of_its_own_on_request(rig, terminal):
    script = "ps -o sid= -p $$; ps -o pgid= -p $$; echo $$"
    screen = terminal.open(terminal.mission("sh", "-c", script, options=["--new-session"]))

    found = screen.read_until(r"(\d+)\s+(\d+)\s+(\d+)")

    assert screen.wait() == 0
    assert found.group(1) == found.group(2), "the command leads a session of its own"


def test_kill_zero_reaches_nobody_of_ours(rig, service):
    running = rig.start("sh", "-c", "kill -KILL 0", profile=service)

    outcome = running.finish()

    assert outcome.code == 137, outcome
    assert outcome.ended["reason"] == "signal"
    assert json.loads((outcome.folder / "receipt.json").read_text())["signatures"]
