# SPDX-License-Identifier: Apache-2.0
"""The process contract of sanctum-run: exit codes, untouched output, options."""

import json
import os
import signal
import subprocess

import pytest

from rig import API, BIN


@pytest.mark.parametrize("code", [0, 1, 42, 121, 122, 124, 125, 127])
def test_the_commands_own_code_comes_back_unchanged(rig, service, code):
    outcome = rig.run("sh", "-c", f"exit {code}", profile=service)

    assert outcome.code == code, outcome
    assert outcome.status[-1]["event"] == "ended" and outcome.status[-1]["exit-code"] == code
    assert outcome.status[-1]["reason"] == "exit"
    assert (outcome.ended["reason"], outcome.ended["code"]) == ("exit", code)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV, signal.SIGUSR1])
def test_a_command_killed_by_signal_n_ends_with_128_and_n(rig, service, number):
    outcome = rig.run("sh", "-c", f"kill -{number} $$", profile=service)

    assert outcome.code == 128 + number, outcome
    assert outcome.status[-1]["reason"] == "signal" and outcome.ended["reason"] == "signal"


def test_a_command_that_does_not_exist_is_127_with_the_remedy(rig, service):
    outcome = rig.run("no-such-command", profile=service)

    assert outcome.code == 127, outcome
    assert "no-such-command" in outcome.errors
    shown = rig.sanctum("show", "last").stdout.decode()
    assert "End          the command was not found (127)\n" in shown, shown


def test_a_command_that_exists_outside_but_not_inside_is_127_with_the_line_to_add(rig, service):
    tool = rig.write(rig.make("tools") / "my-tool", "#!/bin/sh\necho ran\n", 0o755)

    outcome = rig.run(str(tool), profile=service)

    assert outcome.code == 127, outcome
    assert "read" in outcome.errors and str(tool.parent) in outcome.errors, outcome


def test_a_command_that_a_mount_covers_is_127_and_says_so(rig, service):
    empty = rig.make("empty")

    outcome = rig.run("sh", "-c", "true", profile=service, options=["--mount", f"{empty}:/usr:ro"])

    assert outcome.code == 127 and "a mount covers it" in outcome.errors, outcome


def test_the_same_command_runs_once_it_is_mounted(rig, service):
    tool = rig.write(rig.make("tools") / "my-tool", "#!/bin/sh\necho ran\n", 0o755)

    outcome = rig.run(str(tool), profile=service, options=["--mount", f"{tool.parent}:{tool.parent}:ro"])

    assert (outcome.code, outcome.text) == (0, "ran\n"), outcome


def test_a_file_that_cannot_be_executed_is_126(rig, service):
    rig.write(rig.work / "text", "just text", 0o644)

    assert rig.run("./text", profile=service).code == 126
    assert b"the command could not be executed (126)" in rig.sanctum("show", "last").stdout


def test_time_that_runs_out_is_124(rig, service):
    outcome = rig.run("sleep", "600", profile=service, options=["--ttl", "5s"])

    assert outcome.code == 124, outcome
    assert outcome.status[-1]["reason"] == "ttl" and outcome.ended["reason"] == "ttl"


@pytest.mark.parametrize("is_sealed", [True, False])
def test_a_command_that_succeeds_is_no_success_when_its_record_cannot_be_sealed(rig, service, is_sealed):
    running = rig.start("cat", profile=service).wait_until_started()
    receipts = rig.state / "receipts.jsonl"
    if not is_sealed:
        receipts.mkdir()
    running.process.stdin.close()
    running.process.stdin = None
    outcome = running.finish()

    assert (outcome.code, outcome.status[-1]["reason"]) == ((0, "exit") if is_sealed else (137, "lost")), outcome
    assert ("could not be sealed" in outcome.errors and "sanctum reap" in outcome.errors) is not is_sealed, outcome
    if not is_sealed:
        receipts.rmdir()
        rig.expect_ok(rig.sanctum("reap"))
        assert (outcome.folder / "receipt.json").exists(), "what was missing is made good"


def test_a_revoked_mission_is_122(rig, service):
    running = rig.start("sleep", "600", profile=service).wait_until_started()

    rig.expect_ok(rig.sanctum("revoke", running.mission))
    outcome = running.finish()

    assert outcome.code == 122, outcome
    assert outcome.status[-1]["reason"] == "revoked" and outcome.ended["reason"] == "revoked"


def test_stdout_holds_the_commands_bytes_and_nothing_else(rig, service):
    everything = bytes(range(256)) * 4096
    rig.write(rig.work / "bytes", everything)

    outcome = rig.run("cat", "bytes", profile=service, options=["-v"])

    assert outcome.stdout == everything


def test_stderr_is_silent_when_it_is_no_terminal(rig, service):
    outcome = rig.run("true", profile=service)

    assert (outcome.stdout, outcome.stderr) == (b"", b"")


def test_stdin_arrives_byte_by_byte(rig, service):
    outcome = rig.run("cat", profile=service, input="first\nsecond")

    assert outcome.text == "first\nsecond"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2])
def test_signals_are_forwarded_to_the_command(rig, service, number):
    name = signal.Signals(number).name[3:]
    script = f"trap 'echo got {name}; exit 7' {name}; echo ready; while :; do read line || sleep 600 & wait; done"
    running = rig.start("sh", "-c", script, profile=service).wait_until_started()
    assert running.read_line() == "ready"

    running.signal(number)
    outcome = running.finish()

    assert outcome.text == f"got {name}\n", outcome
    assert outcome.code == 7


def test_the_agents_environment_is_exactly_what_was_asked_for(rig, service):
    outcome = rig.run("env", "-0", profile=service, options=["-e", "CI=1", "-e", "PASSED"],
                      environment={"PASSED": "yes", "NOT_PASSED": "secret", "SSH_AUTH_SOCK": "/x", "GITHUB_TOKEN": "t",
                                   "SSL_CERT_FILE": "/nowhere", "HTTPS_PROXY": "http://127.0.0.1:1"})

    inside = dict(line.split("=", 1) for line in outcome.text.split("\0") if line)
    assert inside["CI"] == "1" and inside["PASSED"] == "yes"
    assert inside["SANCTUM_MISSION"] == outcome.folder.name and inside["SANCTUM_POLICY"]
    for name in ("NOT_PASSED", "SSH_AUTH_SOCK", "GITHUB_TOKEN", "HTTPS_PROXY", "XDG_DATA_HOME", "XDG_STATE_HOME"):
        assert name not in inside, name
    assert inside.get("SSL_CERT_FILE") != "/nowhere"


def test_the_agent_can_read_its_own_rules_and_not_write_them(rig, service):
    outcome = rig.run("sh", "-c", 'cat "$SANCTUM_POLICY"; echo x >"$SANCTUM_POLICY"', profile=service)

    assert json.loads(outcome.text)["schema"] == "sanctum.policy/1", outcome
    assert outcome.code != 0


def test_settings_override_the_profile_and_are_recorded(rig, service):
    outcome = rig.run("true", profile=service, options=["-c", 'mission.purpose="another"', "--ttl", "30s"])

    assert outcome.code == 0, outcome
    started = outcome.of_type("mission.started")[0]
    assert any("purpose" in override for override in started["overrides"]), started
    assert any("ttl" in override for override in started["overrides"]), started


def test_an_override_above_the_operators_bound_is_refused(rig, service):
    config = rig.configuration / "config.toml"
    rig.write(config, config.read_text() + '\n[bounds]\nttl = "5m"\n', 0o600)

    outcome = rig.run("true", profile=service, options=["--ttl", "6m"])

    assert outcome.code == 125 and "ttl" in outcome.errors, outcome


def test_dry_run_prints_the_plan_and_runs_nothing(rig, service):
    outcome = rig.run("touch", "ran", profile=service, options=["--dry-run"])

    assert outcome.code == 0, outcome
    assert not (rig.work / "ran").exists()
    assert API in outcome.text + outcome.errors
    assert not (rig.state / "missions").exists() or not list((rig.state / "missions").iterdir())


def test_a_writable_mount_is_writable_and_a_read_only_one_is_not(rig, service):
    rig.make("shared")
    mount = f"{rig.folder}/shared"

    wrote = rig.run("sh", "-c", f"echo x >{mount}/file", profile=service, options=["--mount", f"{mount}:{mount}"])
    refused = rig.run("sh", "-c", f"echo y >{mount}/file", profile=service, options=["--mount", f"{mount}:{mount}:ro"])

    assert wrote.code == 0 and (rig.folder / "shared/file").read_text() == "x\n", wrote
    assert refused.code != 0 and (rig.folder / "shared/file").read_text() == "x\n", refused


def test_files_made_in_the_workspace_belong_to_its_owner(rig, service):
    outcome = rig.run("sh", "-c", "echo x >made; mkdir folder; touch folder/inner", profile=service)

    assert outcome.code == 0, outcome
    for name in ("made", "folder", "folder/inner"):
        assert os.stat(rig.work / name).st_uid == rig.identity.uid


def test_help_and_version_are_there_for_both_programs():
    for program in ("sanctum-run", "sanctum"):
        shown = subprocess.run([BIN / program, "--help"], capture_output=True, text=True, check=False)
        assert shown.returncode == 0 and "usage" in shown.stdout.lower(), shown
    helped = subprocess.run([BIN / "sanctum", "help", "audit", "list"], capture_output=True, text=True, check=False)
    assert helped.returncode == 0 and "--since" in helped.stdout, helped
    version = subprocess.run([BIN / "sanctum", "version"], capture_output=True, text=True, check=False)
    assert version.returncode == 0 and version.stdout.strip(), version


@pytest.mark.parametrize("command", [["--help"], ["completion", "bash"], ["schema", "profile"], ["vault", "--help"]])
def test_output_that_cannot_be_written_is_said_and_is_no_success(command):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([BIN / "sanctum", *command], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1 and "could not be written" in done.stderr, done


@pytest.mark.parametrize("arguments", [["--no-such-option", "--", "true"], ["--ttl", "soon", "--", "true"], [],
                                       ["--mount", "relative:/x", "--", "true"], ["-c", "nonsense", "--", "true"]])
def test_a_wrong_call_is_125_and_says_what_is_wrong(rig, service, arguments):
    done = subprocess.run([BIN / "sanctum-run", "--profile", service, *arguments], cwd=rig.work, env=rig.environment,
                          capture_output=True, text=True, check=False, **rig.identity.popen)

    assert done.returncode == 125, done
    assert done.stdout == "" and done.stderr.strip(), done
