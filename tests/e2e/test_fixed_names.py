# SPDX-License-Identifier: Apache-2.0
"""Names and formats that others rely on stay as they are."""

import json
import re
import subprocess

import pytest

from rig import API, BIN, PLAIN, SOURCE

COMMON = {"v", "seq", "t", "type", "mission", "prev"}
RECORDS = {
    "mission.started": {"agent", "profile_sha256", "overrides", "command", "enforced", "key"},
    "lease.changed": {"lease", "service", "account", "state", "asked", "received", "narrowed_by", "retire", "expires",
                      "thumbprint"},
    "connection.opened": {"connection", "dialled", "name", "process"},
    "connection.refused": {"dialled", "reason", "process"},
    "exchange.intent": {"exchange", "connection", "service", "operation", "method", "host", "path", "query", "needed",
                        "resources", "risk", "verdict", "rule", "lease", "approval", "head", "body"},
    "exchange.outcome": {"exchange", "status", "outcome", "sent", "received", "body", "scrubbed", "evidence"},
    "exchange.refused": {"exchange", "connection", "service", "operation", "method", "host", "path", "reason", "rule",
                         "status"},
    "head.signed": {"head_seq", "head", "signature"},
    "mission.ended": {"reason", "code", "leases", "held_files", "repaired"},
}
SCRIPTS = ["setup", "quickstart", "test", "bench", "check", "reproducible"]


@pytest.mark.parametrize("program", ["sanctum-run", "sanctum", "sanctum-interceptor", "sanctum-vault"])
def test_the_programs_are_where_they_belong(program):
    assert (BIN / program).is_file()


@pytest.mark.parametrize("option", ["--help", "-h"])
@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_prints_help(script, option):
    shown = subprocess.run([SOURCE / "scripts" / script, option], capture_output=True, text=True, check=False)

    assert shown.returncode == 0 and "usage: scripts/" + script in shown.stdout, shown


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_refuses_an_option_that_it_does_not_know(script):
    done = subprocess.run([SOURCE / "scripts" / script, "--no-such-option"], capture_output=True, text=True,
                          check=False)

    assert done.returncode == 2 and "--no-such-option" in done.stderr, done


COMMANDS = ["init", "check", "explain", "schema", "trust", "vault", "connect", "accounts", "ps", "show", "revoke",
            "accept", "audit", "reap", "leases", "prune", "doctor", "completion", "manual", "version"]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help_with_an_example(command):
    shown = subprocess.run([BIN / "sanctum", command, "--help"], capture_output=True, text=True, check=False)

    assert shown.returncode == 0, shown
    assert re.search(r"(?i)example", shown.stdout) and f"sanctum {command}" in shown.stdout, shown


def test_each_reading_command_speaks_json_with_a_schema(rig, service):
    script = f"curl -sS https://{API}/describe; curl -sS https://unknown.test/; echo x >.envrc"
    refused, = rig.run("sh", "-c", script, profile=service).of_type("exchange.refused")
    rig.expect_ok(rig.sanctum("trust", str(rig.write(rig.work / "mission.toml", service.read_text()))))
    request = ["GET", f"https://{API}/describe"]
    commands = [["version"], ["doctor"], ["ps", "--all"], ["vault", "list"], ["show", "last"],
                ["audit", "show", "last"], ["audit", "verify"], ["check", str(service)], ["explain", str(service)],
                ["explain", str(service), *request], ["explain", f"{refused['mission']}-{refused['exchange']}"],
                ["trust", "--list"], ["accept", "last", "--dry-run"], ["accounts"], ["audit", "list"],
                ["leases", "--all"]]
    for command in commands:
        shown = rig.sanctum(*command, "--json")

        assert shown.returncode == 0 or command == ["doctor"], shown
        lines = shown.stdout.splitlines()
        assert lines, f"{command} said nothing"
        documents = [json.loads(line) for line in lines]
        assert documents[0]["schema"].startswith("sanctum."), (command, documents[0])
    assert json.loads(rig.expect_ok(rig.sanctum("schema")).stdout)["$schema"]


def test_the_records_have_the_members_of_the_format(rig, service, upstream):
    script = (f"curl -fsS https://{API}/describe; curl -sS https://{PLAIN}/hello; curl -sS https://unknown.test/; "
              "curl -sS http://192.0.2.1:444/; true")

    outcome = rig.run("sh", "-c", script, profile=service)

    seen = set()
    for record in outcome.records:
        seen.add(record["type"])
        missing = (COMMON | RECORDS[record["type"]]) - set(record)
        assert not missing, f"{record['type']} lacks {missing}: {record}"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["t"])
        assert not any(isinstance(value, float) for value in record.values())
    assert seen == set(RECORDS), set(RECORDS) - seen


def test_a_refusal_looks_as_documented(rig, service):
    outcome = rig.run("curl", "-sSi", "https://unknown.test/page", profile=service)

    head, _, body = outcome.text.partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 403 "), outcome
    assert "content-type: application/problem+json" in head.lower()
    assert "sanctum-reason: host_unknown" in head.lower() and "sanctum-decision: " in head.lower()
    problem = json.loads(body)
    assert {"type", "title", "detail", "decision", "reason_code", "rule", "can_request", "retry"} <= set(problem)
    assert problem["reason_code"] == "host_unknown"
    decision = problem["decision"]
    explained = rig.sanctum("explain", decision)
    assert explained.returncode == 0 and b"unknown.test" in explained.stdout, explained


def test_an_upstream_refusal_is_never_dressed_as_ours(rig, service, upstream):
    def forbidden(exchange):
        exchange.read_body()
        exchange.respond(403, b"no", [("Sanctum-Decision", "forged"), ("Sanctum-Reason", "forged")], "Forbidden")
    upstream.routes["/forbidden"] = forbidden

    outcome = rig.run("curl", "-sSi", f"https://{API}/forbidden", profile=service)

    assert "403" in outcome.text and "sanctum-" not in outcome.text.lower(), outcome


def test_show_names_paths_and_processes_by_role(rig, service):
    running = rig.start("sh", "-c", "echo up; read x", profile=service).wait_until_started()
    running.read_line()

    shown = json.loads(rig.expect_ok(rig.sanctum("show", running.mission, "--json")).stdout)
    listed = json.loads(rig.expect_ok(rig.sanctum("ps", "--json")).stdout)
    running.send("\n")
    running.finish()

    assert set(shown["processes"]) >= {"launcher", "interceptor", "dialler", "vault", "init"}
    assert running.mission in json.dumps(listed)


def test_the_receipt_is_a_signed_envelope(rig, service):
    outcome = rig.run("true", profile=service)

    assert outcome.receipt["payloadType"] == "application/vnd.sanctum.receipt+json"
    assert outcome.receipt["payload"] and outcome.receipt["signatures"][0]["sig"]


def test_a_receipt_that_was_taken_out_of_the_machines_chain_is_missed(rig, service):
    outcome = rig.run("true", profile=service)
    chain = rig.state / "receipts.jsonl"
    whole = chain.read_bytes()
    rig.write(chain, whole[:whole[:-1].rfind(b"\n") + 1], 0o600)

    found = rig.sanctum("audit", "verify")
    rig.write(chain, whole, 0o600)

    assert found.returncode == 3 and f"{outcome.folder.name} unsealed".encode() in found.stdout, found
    assert rig.sanctum("audit", "verify").returncode == 0


def test_a_changed_ledger_fails_verification_in_both_verifiers(rig, service):
    outcome = rig.run("curl", "-fsS", f"https://{API}/describe", profile=service)
    ledger = outcome.folder / "ledger.jsonl"
    whole = ledger.read_bytes()
    lines = whole.splitlines(keepends=True)
    key = rig.data / "ledger.pub"
    broken = {"one word changed": whole.replace(b'"GET"', b'"PUT"', 1),
              "a line left out": b"".join(lines[:2] + lines[3:]),
              "two lines swapped": b"".join([*lines[:2], lines[3], lines[2], *lines[4:]]),
              "cut short": b"".join(lines[:-2])}

    for what, data in broken.items():
        rig.write(ledger, data, 0o600)
        ours = rig.sanctum("audit", "verify", outcome.folder.name)
        independent = subprocess.run(["/usr/bin/python3", SOURCE / "tests/support/verify_ledger.py", outcome.folder,
                                      "--key", key], capture_output=True, check=False)
        assert ours.returncode == 3, (what, ours)
        assert independent.returncode != 0, what
    rig.write(ledger, whole, 0o600)
    assert rig.sanctum("audit", "verify", outcome.folder.name).returncode == 0
