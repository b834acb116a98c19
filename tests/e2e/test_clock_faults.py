# SPDX-License-Identifier: Apache-2.0
"""Somebody sets the machine's wall clock while a mission runs, or a machine boots with a wrong one. Leases end by the
boot-time clock, records keep their order, and a credential that could be given back is not forgotten.

The programs run with skewed_clock.so in front of the C library; the providers have the right time."""

import json
import os
import re
import shlex
import signal
import struct
from datetime import datetime

import pytest

import rig as rigs
from test_vaults import (API, app_key, auth0, auth0_process, github, lease_ends, operator,  # noqa: F401
                         WAIT)

HOUR_MS = 3_600_000
ISSUES = "https://api.github.com/repos/acme/api/issues"
CALLS = f"""
while read -r what; do
  case $what in
    read) set -- {ISSUES} ;;
    write) set -- -d '{{"title":"t"}}' {ISSUES} ;;
    calendar) set -- https://{API}/describe ;;
  esac
  curl -sS -o /dev/null -w '%{{http_code}}\\n' "$@"
done
"""


class SkewedClock:
    """The programs of a build, each behind a line that gives it the clock of `file`."""

    def __init__(self, rig):
        self.file = rig.write(rig.folder / "skew", bytes(8))
        folder = rig.folder / "skewed"
        for made in (folder, rig.folder / "share"):
            made.mkdir()
        (rig.folder / "share/sanctum").symlink_to(rigs.BIN.parent / "share/sanctum")
        library = rigs.BIN / "skewed_clock.so"
        for name in ("sanctum", "sanctum-run", "sanctum-vault", "sanctum-interceptor"):
            program = folder / f"{name}.real"
            program.write_bytes((rigs.BIN / name).read_bytes())
            program.chmod(0o755)
            words = " ".join(shlex.quote(str(word)) for word in (f"SKEW_FILE={self.file}", f"LD_PRELOAD={library}"))
            (folder / name).write_text(f'#!/bin/sh\nexec env {words} {shlex.quote(str(program))} "$@"\n')
            (folder / name).chmod(0o755)
        self.folder = folder

    def set(self, milliseconds):
        with open(self.file, "r+b") as file:
            file.write(struct.pack("=q", milliseconds))


@pytest.fixture
def clock(rig, monkeypatch):
    made = SkewedClock(rig)
    monkeypatch.setattr(rigs, "BIN", made.folder)
    return made


def ask(running, what):
    running.send(f"{what}\n")
    return running.read_line()


def end(running):
    running.process.stdin.close()
    running.process.stdin = None
    return running.finish()


def times(records):
    return [datetime.fromisoformat(record["t"].replace("Z", "+00:00")).timestamp() * 1000 for record in records]


@pytest.mark.parametrize("step", [2 * HOUR_MS, -2 * HOUR_MS])
def test_a_clock_that_is_set_ends_no_lease_and_is_corrected(rig, operator, clock, github, auth0, step):  # noqa: F811
    running = rig.start("sh", "-c", CALLS, profile=operator).wait_until_started()
    assert ask(running, "read") == "200" and ask(running, "calendar") == "200"
    clock.set(step)
    assert ask(running, "read") == "200" and ask(running, "calendar") == "200"
    assert len(github.issued()) == 1 and len(auth0.log(path="/oauth/token")) == 1, "the same leases"
    assert ask(running, "write") == "201", "signed with the provider's own time"
    clock.set(0)
    assert ask(running, "read") == "200" and ask(running, "write") == "201"
    assert len(github.issued()) == 2

    outcome = end(running)

    assert outcome.code == 0, outcome
    assert set(github.revoked()) == set(github.issued())
    assert sorted(lease["state"] for lease in lease_ends(outcome)) == ["gone", "gone", "parked"]
    [told] = [lease["detail"] for lease in lease_ends(outcome) if "clock was" in lease["detail"]]
    side = "ahead of" if step > 0 else "behind"
    seconds = re.search(rf"this machine's clock was (\d+) s {side} that of GitHub, and was corrected for", told)
    assert abs(int(seconds[1]) * 1000 - abs(step)) < 60_000, told
    assert [record["seq"] for record in outcome.records] == list(range(len(outcome.records)))
    spread = max(times(outcome.records)) - min(times(outcome.records))
    assert spread > abs(step) / 2, "the records do have the times of the clock that was set"


def test_a_reaper_whose_clock_is_wrong_does_not_forget_what_it_could_give_back(rig, operator, clock,  # noqa: F811
                                                                               github):
    running = rig.start("sh", "-c", WAIT, profile=operator).wait_until_started()
    assert running.read_line() == "held"
    github.down()
    os.kill(running.roles()["vault"], signal.SIGKILL)
    running.finish()
    [issued] = github.issued()

    def state():
        leases = [json.loads(line) for line in rig.sanctum("leases", "--all", "--json").stdout.splitlines()]
        return [lease["state"] for lease in leases if lease["thumbprint"] == issued]

    for wrong in (20 * HOUR_MS, -20 * HOUR_MS):
        clock.set(wrong)
        rig.expect_ok(rig.sanctum("reap"))
        assert state() == ["parked"] and not github.revoked(), wrong
    github.up()
    clock.set(20 * HOUR_MS)
    rig.expect_ok(rig.sanctum("reap"))
    assert state() == ["gone"] and set(github.revoked()) == {issued}
