# SPDX-License-Identifier: Apache-2.0
"""Delegation: an agent that starts a sub-agent. `sanctum-run` inside a mission with `delegate = true` asks the outer
launcher for a child mission: a sibling tree with a part of its parent's rules, which ends with it."""

import hashlib
import json
import os
import re
import signal
import socket

import pytest

import processes
from rig import API, BIN, PLAIN, mission_head

RUN = f"{BIN}/sanctum-run"


def parent_profile(delegates=True, more=""):
    head = mission_head("parent")
    if delegates:
        head = head.replace("[sandbox]", "delegate = true\n\n[sandbox]")
    head = head.replace('workspace = "."', f'workspace = "."\nread = ["{BIN}"]\nenvironment = {{ pass = ["LANG"] }}')
    return head + f"""\
[[service]]
name = "api"
catalog = "http-bearer"
account = "api"
grant = ["read", "write"]

[[host]]
name = "{PLAIN}"
match = ["GET /**", "POST /**"]
{more}
"""


CHILD = f"""schema = 1

[mission]
name = "child"
ttl = "1m"

[[service]]
name = "api"
catalog = "http-bearer"
account = "api"
grant = ["read"]
"""


@pytest.fixture
def machine(rig, service):
    """The API of `service`, whose agent may delegate and has a child's profile in its workspace."""
    rig.write(rig.work / "child.toml", CHILD)
    rig.parent = rig.profile(parent_profile(), "parent")
    return rig


def children_of(rig, outcome):
    return [rig.state / "missions" / record["child"] for record in outcome.of_type("child.started")]


def refusals_of(outcome):
    return [(record["reason"], record["detail"]) for record in outcome.of_type("child.refused")]


def receipt_of(folder):
    import base64
    envelope = json.loads((folder / "receipt.json").read_text())
    return json.loads(base64.b64decode(envelope["payload"]))


def test_a_child_mission_runs_with_its_own_record_and_both_receipts_refer_to_each_other(machine, upstream):
    script = (f"echo hello | {RUN} --profile child.toml -- sh -c "
              f"'cat; curl -sS https://{API}/describe >/dev/null && echo $SANCTUM_MISSION; echo oops >&2; exit 7'; "
              "echo code $?")

    outcome = machine.run("sh", "-c", script, profile=machine.parent)

    lines = outcome.text.splitlines()
    assert outcome.code == 0 and lines[0] == "hello" and lines[-1] == "code 7", outcome
    assert "oops" in outcome.errors
    (folder,) = children_of(machine, outcome)
    assert lines[1] == folder.name != outcome.folder.name
    (request,) = [exchange for exchange in upstream.exchanges if exchange.path == "/describe"]
    assert f"Bearer {machine.secrets['api']}" in dict(request.headers).values()
    parent, child = receipt_of(outcome.folder), receipt_of(folder)
    assert child["parent"] == outcome.folder.name and "parent" not in parent
    (row,) = parent["children"]
    assert row["mission"] == folder.name and (row["reason"], row["code"]) == ("exit", 7)
    assert row["receipt"] == hashlib.sha256((folder / "receipt.json").read_bytes()).hexdigest()
    assert {lease["state"] for lease in child["leases"]} <= {"gone", "expired"} and child["leases"]
    assert not parent["leases"] and "child of" in str(machine.sanctum("show", folder.name).stdout).lower()


def test_leases_of_a_child_mission_stand_below_its_parents(machine):
    """Also where another mission started between the two."""
    call = f"curl -sS -o /dev/null https://{API}/describe"
    parent = machine.start("sh", "-c", f"{call}; echo called; read go; {RUN} --profile child.toml -- sh -c '{call}'",
                           profile=machine.parent).wait_until_started()
    assert parent.read_line() == "called"
    other = machine.run("sh", "-c", call, profile=machine.parent)
    parent.send("go\n")
    outcome = parent.finish()
    (child,) = children_of(machine, outcome)

    lines = [json.loads(line) for line in machine.sanctum("leases", "--all", "--json").stdout.splitlines()]
    shown = machine.sanctum("leases", "--all").stdout.decode().splitlines()

    order = [outcome.folder.name, child.name, other.folder.name]
    assert [line["mission"] for line in lines] == order
    assert [line.get("parent") for line in lines] == [None, outcome.folder.name, None]
    assert [line.split()[0] for line in shown] == order
    assert shown[1].startswith(f"  {child.name} l1, child of {outcome.folder.name}  api, "), shown
    assert not shown[0].startswith(" ") and not shown[2].startswith(" "), shown


WIDER = {
    "a scope that the parent has not": ('grant = ["read"]', 'grant = ["read", "delete"]', 11,
                                        "is not granted `delete`"),
    "another account": ('account = "api"', 'account = "boss"', 10, "has another account"),
    "a longer life": ('ttl = "1m"', 'ttl = "3m"', 5, "longer than the parent's"),
    "another service": ('name = "api"', 'name = "other"', 8, "has no service `other`"),
    "a folder of the machine": ("[[service]]", '[sandbox]\nread = ["/var/log"]\n\n[[service]]', 8, "no place of"),
    "a folder to write": ("[[service]]", f'[sandbox]\nwrite = ["{BIN}"]\n\n[[service]]', 8, "the parent may write"),
    "another workspace": ("[[service]]", '[sandbox]\nworkspace = "sub"\n\n[[service]]', 8, "is its parent's"),
    "a variable": ("[[service]]", '[sandbox]\nenvironment = { pass = ["X"] }\n\n[[service]]', 8, "variable `X`"),
    "another host": ("[[service]]", '[[host]]\nname = "x.test"\nmatch = ["GET /**"]\n\n[[service]]', 8,
                     "covers x.test"),
    "more of a host": ("[[service]]", f'[[host]]\nname = "{PLAIN}"\nmatch = ["* /**"]\n\n[[service]]', 9,
                       "more than"),
    "a rule that allows": ("[[service]]", '[[rule]]\nverdict = "allow"\nservice = "api"\nmatch = ["PURGE /**"]\n\n'
                           "[[service]]", 10, "no rule that allows"),
    "a login of its own": ('grant = ["read"]', 'grant = ["read"]\nlogin = "capture"', 12, "may not log in to `api`"),
    "a milder approval": ("[[service]]", '[approval]\nhigh = "allow"\n\n[[service]]', 8, "milder than the parent's"),
}


@pytest.mark.parametrize("what", WIDER)
def test_a_profile_that_is_wider_than_the_parents_is_refused_with_its_line(machine, upstream, what):
    written, instead, line, sentence = WIDER[what]
    assert written in CHILD
    machine.write(machine.work / "child.toml", CHILD.replace(written, instead, 1))

    outcome = machine.run("sh", "-c", f"{RUN} --profile child.toml -- sh -c 'echo ran'; echo code $?",
                          profile=machine.parent)

    assert outcome.text.splitlines() == ["code 125"], outcome
    assert f"child.toml:{line}:" in outcome.errors and sentence in outcome.errors, outcome.errors
    told = outcome.errors.replace('account = "boss"', "").replace(str(machine.folder), "")
    assert "boss" not in told and "config.toml" not in told
    ((reason, detail),) = refusals_of(outcome)
    assert reason == "wider" and f"child.toml:{line}:" in detail
    assert not children_of(machine, outcome) and len(list((machine.state / "missions").iterdir())) == 1
    assert receipt_of(outcome.folder)["children_refused"] == {"wider": 1}


def test_an_override_is_checked_like_the_profile(machine):
    outcome = machine.run("sh", "-c", f"{RUN} --profile child.toml --ttl 1h -- true; {RUN} --profile child.toml "
                                      "--ttl 30s -- true && echo shorter", profile=machine.parent)

    assert "longer than the parent's" in outcome.errors and outcome.text == "shorter\n", outcome


def test_an_operator_who_forbids_delegation_starts_no_mission_that_asks_for_it(machine):
    plain = machine.profile(parent_profile(delegates=False), "plain")
    machine.extra("[bounds]\ndelegate = false")
    machine.configure()

    refused = machine.run("sh", "-c", "echo ran", profile=machine.parent)
    by_flag = machine.run("sh", "-c", "echo ran", profile=plain, options=["-c", "mission.delegate=true"])
    allowed = machine.run("sh", "-c", "echo ran", profile=plain)

    for outcome in (refused, by_flag):
        assert outcome.code == 125 and "above the operator's bound" in outcome.errors and not outcome.text, outcome
    assert allowed.code == 0 and allowed.text == "ran\n", allowed


def test_without_delegate_there_is_no_socket_and_a_second_mission_is_125_with_the_remedy(machine):
    plain = machine.profile(parent_profile(delegates=False), "plain")
    script = f"ls /run/sanctum; {RUN} --profile child.toml -- echo ran; echo code $?"

    without = machine.run("sh", "-c", script, profile=plain)
    listing = machine.run("sh", "-c", "ls /run/sanctum; find /dev /etc /run | sort | sha256sum", profile=machine.parent)

    assert "delegate.sock" not in without.text and without.text.endswith("code 125\n"), without
    assert "delegate = true" in without.errors and "ran" not in without.text.splitlines()
    inside = set(listing.text.splitlines()[:-1])
    assert inside - set(without.text.splitlines()) == {"delegate.sock"}


def test_only_the_socket_is_added_inside(machine):
    plain = machine.profile(parent_profile(delegates=False), "plain")
    script = ("find / -xdev -not -path '/proc/*' 2>/dev/null | sort; env | cut -d= -f1 | sort; "
              "cut -d' ' -f5 /proc/self/mountinfo")

    def seen(profile):  # but for the name that the authority's own hash gives its certificate
        lines = machine.run("sh", "-c", script, profile=profile).text.splitlines()
        return {line for line in lines if not re.fullmatch(r"/etc/ssl/certs/[0-9a-f]{8}\.0", line)}

    assert seen(machine.parent) ^ seen(plain) == {"/run/sanctum/delegate.sock"}


DESCRIPTORS = """
import os, socket, subprocess, sys
kept = socket.socketpair()
given = {"socket": lambda: kept[0].fileno(), "folder": lambda: os.open("/tmp", os.O_RDONLY),
         "place": lambda: os.open("child.toml", os.O_PATH), "file": lambda: os.open("child.toml", os.O_RDONLY),
         "event": lambda: os.eventfd(0), "pidfd": lambda: os.pidfd_open(os.getpid()),
         "namespace": lambda: os.open("/proc/self/ns/net", os.O_RDONLY)}[sys.argv[1]]()
done = subprocess.run([sys.argv[2], "--profile", "child.toml", "--", "echo", "ran"], stdin=given)
print("code", done.returncode)
"""


@pytest.mark.parametrize("kind", ["socket", "folder", "place", "event", "pidfd", "namespace"])
def test_what_is_no_file_pipe_or_terminal_is_not_handed_over(machine, kind):
    machine.write(machine.work / "give.py", DESCRIPTORS)

    outcome = machine.run("python3", "give.py", kind, RUN, profile=machine.parent)

    assert outcome.text == "code 125\n" and "descriptor 0 is a" in outcome.errors, outcome
    assert [reason for reason, _ in refusals_of(outcome)] == ["descriptor"]


def test_a_file_is_handed_over(machine):
    machine.write(machine.work / "give.py", DESCRIPTORS)

    outcome = machine.run("python3", "give.py", "file", RUN, profile=machine.parent)

    assert outcome.text.splitlines() == ["ran", "code 0"], outcome


MALFORMED = """
import ctypes, fcntl, json, os, socket, sys
def memfd(text, seals=0xf):
    fd = os.memfd_create("request", os.MFD_ALLOW_SEALING)
    os.write(fd, text)
    if seals:
        fcntl.fcntl(fd, 1033, seals)
    return fd
good = {"v": 1, "profile_name": "p", "profile": "schema = 1", "ttl": "", "name": "", "settings": [], "environment": [],
        "working_directory": os.getcwd(), "command": ["true"], "variables": {}}
word = b'{"v":1,"request":"child"}'
files = [0, 1, 2]
requests = {
    "garbage": (b"\\x00garbage", []),
    "no descriptors": (word, []),
    "too many": (word, [memfd(b"{}")] + files + [0]),
    "not sealed": (word, [memfd(json.dumps(good).encode(), 0)] + files),
    "not json": (word, [memfd(b"{")] + files),
    "no command": (word, [memfd(json.dumps(dict(good, command=[])).encode())] + files),
    "a newer version": (word, [memfd(json.dumps(dict(good, v=2)).encode())] + files),
    "dots": (word, [memfd(json.dumps(dict(good, working_directory="/a/../b")).encode())] + files),
    "a zero byte": (word, [memfd(json.dumps(dict(good, command=["a\\0b"])).encode())] + files),
    "a member missing": (word, [memfd(b'{"v":1}')] + files),
}
for name, (text, descriptors) in requests.items():
    client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client.connect("/run/sanctum/delegate.sock")
    try:
        socket.send_fds(client, [text], descriptors)
        answer = json.loads(client.recv(1 << 16))
        print(name, "|", answer["event"], "|", answer["what"], flush=True)
    except OSError as error:
        print(name, "| lost |", error, flush=True)
"""


def test_a_malformed_request_gets_a_reason_and_is_on_record(machine):
    machine.write(machine.work / "ask.py", MALFORMED)

    outcome = machine.run("python3", "ask.py", profile=machine.parent)

    lines = [line.split(" | ") for line in outcome.text.splitlines()]
    assert len(lines) == 10 and all(event == "refused" and what for _, event, what in lines), outcome
    assert [reason for reason, _ in refusals_of(outcome)] == ["request"] * 10
    assert outcome.code == 0 and not children_of(machine, outcome)


def start_pair(machine, command="trap 'echo child term; exit 3' TERM; echo up; while :; do sleep 0.05; done",
               around="exec {}"):
    inner = f"{RUN} --profile child.toml -- sh -c \"{command}\""
    running = machine.start("sh", "-c", around.format(inner), profile=machine.parent).wait_until_started()
    assert running.read_line() == "up"
    (child,) = json.loads(machine.sanctum("show", running.mission, "--json").stdout)["children"]
    running.child = child
    running.everyone = processes.descendants_of(running.pid)
    shown = json.loads(machine.sanctum("show", child, "--json").stdout)
    assert shown["parent"] == running.mission
    running.child_processes = [pid for pid in shown["processes"].values() if pid > 0]
    for pid in list(running.child_processes):
        running.child_processes += processes.descendants_of(pid)
    assert len(running.child_processes) >= 6
    return running


def client_of(running):
    """The sanctum-run inside that asked for the child."""
    (client,) = [pid for pid in processes.descendants_of(running.pid)
                 if processes.command_of(pid).startswith(f"{RUN} --profile child.toml")]
    return client


def expect_child_gone(running):
    for pid in running.child_processes:
        assert processes.wait_for_end(pid), f"{pid} {processes.command_of(pid)} outlived its parent mission"


USES_A_LEASE = f"curl -sS https://{API}/describe >/dev/null; echo up; while :; do sleep 0.05; done"


def test_when_the_parents_launcher_is_killed_the_child_is_gone_and_its_leases_have_their_end(machine):
    running = start_pair(machine, USES_A_LEASE)

    os.kill(running.roles()["launcher"], signal.SIGKILL)
    running.process.wait()
    expect_child_gone(running)
    for pid in running.everyone:
        assert processes.wait_for_end(pid), f"{pid} {processes.command_of(pid)} outlived its launcher"
    machine.expect_ok(machine.sanctum("reap"))
    running.finish()

    child = receipt_of(machine.state / "missions" / running.child)
    # The client inside dies with the parent's tree; the kernel does not say which of the two is noticed first.
    assert child["end"]["reason"] in ("revoked", "signal") and child["parent"] == running.mission
    assert child["leases"] and {lease["state"] for lease in child["leases"]} <= {"gone", "expired"}
    parent = receipt_of(machine.state / "missions" / running.mission)
    assert parent["end"]["reason"] == "lost" and parent["children"][0]["mission"] == running.child


def test_revoking_the_parent_ends_the_child_and_its_receipt_is_in_the_parents(machine):
    running = start_pair(machine, USES_A_LEASE)

    machine.expect_ok(machine.sanctum("revoke", running.mission))
    outcome = running.finish()
    expect_child_gone(running)

    assert outcome.code == 122
    (row,) = receipt_of(outcome.folder)["children"]
    folder = machine.state / "missions" / running.child
    assert (row["reason"], row["code"]) == ("revoked", 122)
    assert row["receipt"] == hashlib.sha256((folder / "receipt.json").read_bytes()).hexdigest()


def test_revoking_the_child_leaves_the_parent(machine):
    running = start_pair(machine, around="{}; echo code $?")

    machine.expect_ok(machine.sanctum("revoke", running.child))
    outcome = running.finish()

    assert outcome.text.splitlines()[-1] == "code 122" and outcome.code == 0, outcome
    assert receipt_of(outcome.folder)["children"][0]["reason"] == "revoked"


def test_a_service_taken_back_by_its_name_alone_is_taken_from_every_mission_that_has_it_and_from_no_other(machine,
                                                                                                          upstream):
    loop = (f"echo up; while curl -fsS https://{API}/describe >/dev/null; do sleep 0.05; done; echo refused; "
            "read x </dev/zero")
    running = start_pair(machine, loop)
    upstream.wait_for(2, "/describe")

    other = machine.expect_ok(machine.sanctum("revoke", "--service", "nowhere")).stdout.decode()
    assert other == "no mission that has service nowhere is running\n"
    told = machine.expect_ok(machine.sanctum("revoke", "--service", "api")).stdout.decode()

    assert running.read_line() == "refused"
    assert {line.rsplit(" ", 1)[-1] for line in told.splitlines()} >= {running.mission}, told
    assert all(line.startswith("revoked service api of ") for line in told.splitlines()), told
    machine.expect_ok(machine.sanctum("revoke", running.mission))
    running.finish()


def test_a_service_taken_back_from_the_parent_is_taken_from_the_child(machine, upstream):
    loop = (f"echo up; while curl -fsS https://{API}/describe >/dev/null; do sleep 0.05; done; echo refused; "
            "read x </dev/zero")
    running = start_pair(machine, loop)
    upstream.wait_for(2, "/describe")

    machine.expect_ok(machine.sanctum("revoke", running.mission, "--service", "api"))

    assert running.read_line() == "refused"
    machine.expect_ok(machine.sanctum("revoke", running.mission))
    running.finish()
    records = machine.records_of(machine.state / "missions" / running.child)
    assert "service_revoked" in json.dumps([record for record in records if record["type"] == "exchange.refused"])


def test_signals_are_passed_on_and_the_code_comes_back(machine):
    running = start_pair(machine, around="trap '' TERM; {}; echo code $?")
    os.kill(client_of(running), signal.SIGTERM)
    outcome = running.finish()

    assert outcome.text.splitlines()[-2:] == ["child term", "code 3"], outcome
    assert receipt_of(outcome.folder)["children"][0]["code"] == 3


def test_when_the_client_is_killed_the_child_ends(machine):
    """The parent goes on until the child has ended: else it might end the child first."""
    running = start_pair(machine, around="{}; echo code $?; read -r word; true")
    os.kill(client_of(running), signal.SIGKILL)
    assert running.read_line() == "code 137"
    expect_child_gone(running)
    outcome = running.finish()

    assert outcome.code == 0, outcome
    assert receipt_of(outcome.folder)["children"][0]["reason"] == "signal"


def test_a_child_starts_children_only_where_it_may_and_not_without_end(machine):
    deeper = CHILD.replace('ttl = "1m"', 'ttl = "1m"\ndelegate = true') + (
        f'\n[sandbox]\nread = ["{BIN}"]\n')
    machine.write(machine.work / "deeper.toml", deeper)
    machine.write(machine.work / "seeing.toml", CHILD + f'\n[sandbox]\nread = ["{BIN}"]\n')
    run = f"{RUN} --profile deeper.toml --"
    last = f"{RUN} --profile seeing.toml -- {RUN} --profile child.toml -- echo too deep"

    once = machine.run("sh", "-c", f"{run} {RUN} --profile child.toml -- echo second; echo $?", profile=machine.parent)
    closed = machine.run("sh", "-c", f"{last}; echo $?", profile=machine.parent)
    third = machine.run("sh", "-c", f"{run} {run} {run} echo third; echo $?", profile=machine.parent)

    assert once.text.splitlines() == ["second", "0"], once
    assert closed.text.splitlines() == ["125"] and "delegate = true" in closed.errors, closed
    assert third.text.splitlines() == ["125"] and "deeper.toml:6:" in third.errors, third


BUDGETED = '\n[budget]\ncalls = 5\n'


def test_a_child_takes_its_budget_from_its_parents(machine, upstream):
    parent = machine.profile(parent_profile(more=BUDGETED), "budgeted")
    machine.write(machine.work / "child.toml", CHILD + "\n[budget]\ncalls = 3\n")
    machine.write(machine.work / "silent.toml", CHILD)
    get = f"curl -s -o /dev/null -w '%{{http_code}} ' https://{API}/describe"
    many = "; ".join([get] * 4)
    script = (f"{RUN} --profile silent.toml -- true; echo silent $?; {get}; "
              f"{RUN} --profile child.toml -- sh -c \"{many}\"; echo; "
              f"{RUN} --profile child.toml -- echo ran; echo again $?; {get}; {get}; echo")

    outcome = machine.run("sh", "-c", script, profile=parent)

    assert outcome.text.splitlines() == ["silent 125", "200 200 200 200 403 ", "again 125", "200 403 "], outcome
    assert "budget for `calls`" in outcome.errors and "has 1 left of its budget" in outcome.errors
    assert [reason for reason, _ in refusals_of(outcome)] == ["wider", "budget"]
    assert len(upstream.exchanges) == 5


def test_nothing_of_the_agents_environment_reaches_the_programs_outside(machine):
    machine.write(machine.work / "evil.toml", "this is no configuration")
    script = ("export LD_PRELOAD=$PWD/evil.so SANCTUM_CONFIG=$PWD/evil.toml XDG_STATE_HOME=$PWD/evil "
              f"XDG_CONFIG_HOME=$PWD LANG=C.UTF-8 FOO=bar SANCTUM_PROFILE=child.toml; "
              f"{RUN} -- env 2>/dev/null; echo code $?")

    outcome = machine.run("sh", "-c", script, profile=machine.parent)

    lines = outcome.text.splitlines()
    assert lines[-1] == "code 0" and not (machine.work / "evil").exists(), outcome
    names = {line.split("=")[0] for line in lines[:-1]}
    assert not names & {"LD_PRELOAD", "SANCTUM_CONFIG", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "FOO", "SANCTUM_PROFILE"}
    assert len(children_of(machine, outcome)) == 1


def test_a_child_sees_no_more_of_the_machine_than_its_parent(machine):
    """Inner places of the parent come along, masks and files that run later are covered in the same way."""
    machine.make("home/work/docs")
    machine.write(machine.work / "docs" / "text", "kept\n")
    machine.make("home/work/.git/hooks")
    machine.write(machine.work / ".git" / "hooks" / "pre-commit", "#!/bin/sh\n", 0o755)
    server = socket.socket(socket.AF_UNIX)
    folder = machine.make("home/work/run")
    server.bind(str(folder / "docker.sock"))
    os.chmod(folder / "docker.sock", 0o666)
    server.listen()
    parent = machine.profile(parent_profile().replace(f'read = ["{BIN}"]', f'read = ["{BIN}", "docs"]'), "docs")
    inner = ("echo x >docs/text; echo x >.git/hooks/pre-commit; mv .git/hooks .git/moved; mv run moved; "
             "test -S run/docker.sock && echo socket; echo y >fine && echo wrote; ls -d docs/text")
    script = f"mv run elsewhere; mv .git/hooks .git/else; {RUN} --profile child.toml -- sh -c '{inner}'; rm fine"

    outcome = machine.run("sh", "-c", script, profile=parent)

    assert outcome.text.splitlines() == ["wrote", "docs/text"], outcome
    assert (machine.work / "docs" / "text").read_text() == "kept\n"
    assert (machine.work / "run" / "docker.sock").exists() and (machine.work / ".git" / "hooks").exists()


def test_a_child_may_be_given_the_workspace_to_read_only(machine):
    machine.write(machine.work / "reader.toml", CHILD + '\n[sandbox]\nread = ["."]\n')
    script = "echo a >by-parent; {} --profile {} -- sh -c 'echo b >by-child'; ls by-*; rm -f by-*"

    reads = machine.run("sh", "-c", script.format(RUN, "reader.toml"), profile=machine.parent)
    writes = machine.run("sh", "-c", script.format(RUN, "child.toml"), profile=machine.parent)

    assert reads.text.split() == ["by-parent"] and writes.text.split() == ["by-child", "by-parent"], (reads, writes)


def test_the_parents_rules_hold_for_the_child(machine, upstream):
    rule = '\n[[rule]]\nverdict = "deny"\nservice = "api"\nmatch = ["GET /hello"]\n'
    parent = machine.profile(parent_profile(more=rule), "strict")
    get = "curl -s -o /dev/null -w '%{{http_code}} ' https://" + API + "/{}"
    requests = f'{get.format("hello")}; {get.format("describe")}; {get.format("x")} -X POST'
    script = f'{RUN} --profile child.toml -- sh -c "{requests}"'

    outcome = machine.run("sh", "-c", script, profile=parent)

    assert outcome.text == "403 200 403 ", outcome
    assert [exchange.path for exchange in upstream.exchanges] == ["/describe"]


def test_what_a_child_leaves_for_somebody_to_run_is_held_back_at_the_parents_end(machine):
    script = f"{RUN} --profile child.toml -- sh -c 'echo evil >.envrc'"

    outcome = machine.run("sh", "-c", script, profile=machine.parent)

    assert outcome.ended["held_files"], outcome
    assert not (machine.work / ".envrc").exists()


def test_a_command_that_only_the_machine_has_is_127_and_nothing_more_is_told(machine):
    tool = machine.write(machine.make("home/tools") / "tool", "#!/bin/sh\n", 0o755)

    outcome = machine.run("sh", "-c", f"{RUN} --profile child.toml -- {tool}; echo $?; {RUN} --profile child.toml -- "
                                      f"{tool}x; echo $?", profile=machine.parent)

    assert outcome.text.split() == ["127", "127"], outcome
    assert "found on this machine" not in outcome.errors and "command not found" in outcome.errors
    rows = receipt_of(outcome.folder)["children"]
    assert [(row["reason"], row["code"]) for row in rows] == [("setup", 127)] * 2


ON_A_TERMINAL = """
import os, pty, subprocess, sys
ours, theirs = pty.openpty()
script = "test -t 0 && test -t 1 && echo typed $(head -1)"
done = subprocess.run([sys.argv[1], "--profile", "child.toml", "--", "sh", "-c", script],
                      stdin=theirs, stdout=theirs, preexec_fn=lambda: os.write(ours, b"words\\n"))
print(done.returncode, os.read(ours, 4096).decode().split())
"""


def test_a_terminal_of_the_agents_is_handed_over(machine):
    machine.write(machine.work / "terminal.py", ON_A_TERMINAL)

    outcome = machine.run("python3", "terminal.py", RUN, profile=machine.parent)

    assert outcome.text.split(" ", 1)[0] == "0" and "'typed', 'words'" in outcome.text, outcome


def test_many_children_are_counted_apart(machine):
    script = f"for i in 1 2 3; do {RUN} --profile child.toml --name child-$i -- sh -c 'exit '$i & done; wait; echo done"

    outcome = machine.run("sh", "-c", script, profile=machine.parent)

    rows = receipt_of(outcome.folder)["children"]
    assert sorted((row["name"], row["code"]) for row in rows) == [(f"child-{i}", i) for i in (1, 2, 3)], outcome
    assert {receipt_of(folder)["parent"] for folder in children_of(machine, outcome)} == {outcome.folder.name}
    assert outcome.folder.name in machine.sanctum("ps", "--all").stdout.decode()
