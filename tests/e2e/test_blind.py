# SPDX-License-Identifier: Apache-2.0
"""The agent is blind: the credential that its requests carry is nowhere where it could look, in no coding, although the
upstream does its best to give it away."""

import base64
import json
import os
import pytest

import identity as identities
import leak_sweep
import processes
from process_memory import memory_of
from rig import API

PYTHON = "/usr/bin/python3"

# Talks raw TLS so that every byte it is sent is kept: head, framing, trailers.
CLIENT = f"""
import socket, ssl, sys
kept = open('received', 'wb')
for path in sys.argv[1:]:
    stream = ssl.create_default_context().wrap_socket(socket.create_connection(('{API}', 443)), server_hostname='{API}')
    stream.sendall(f'POST {{path}} HTTP/1.1\\r\\nHost: {API}\\r\\nAccept-Encoding: gzip, br\\r\\n'
                   'Content-Length: 5\\r\\nTE: trailers\\r\\nConnection: close\\r\\n\\r\\nhello'.encode())
    while True:
        try:
            data = stream.recv(65536)
        except OSError as error:
            data = b''
        if not data:
            break
        kept.write(data)
kept.flush()
everything = open('received', 'rb').read()
print('ready', flush=True)
input()
"""


@pytest.fixture
def blind(rig, service, upstream):
    rig.write(rig.work / "client.py", CLIENT)
    running = rig.start(PYTHON, "client.py", "/echo", "/disclose", "/disclose-compressed", "/describe",
                        profile=service).wait_until_started()
    assert running.read_line() == "ready"
    assert len(upstream.exchanges) == 4 and rig.secrets["api"].encode() in upstream.raw, "the server had it"
    yield running
    running.send("\n")
    running.finish()


def expect_clean(rig, what, data):
    found = leak_sweep.find_in_bytes(data, rig.secrets["api"].encode())
    assert not found, f"{what} holds the secret: {found}"


def test_no_byte_that_was_sent_to_the_agent_holds_the_secret(rig, blind):
    received = (rig.work / "received").read_bytes()

    assert received.count(b"HTTP/1.1 ") == 4, received[:2000]
    expect_clean(rig, "what the agent received", received)


def test_the_sweep_itself_finds_every_coding(rig, service):
    """The twin: were the secret there, it would have been found."""
    raw = rig.secrets["api"].encode()
    for coded in (raw, base64.b64encode(raw), base64.b64encode(b"a" + raw), base64.b64encode(b"ab" + raw),
                  raw.hex().encode(), raw.hex().upper().encode(), base64.urlsafe_b64encode(raw),
                  "".join(f"%{b:02X}" for b in raw).encode(),
                  "".join(f"\\u{b:04x}" for b in raw).encode()):
        assert leak_sweep.find_in_bytes(b"before" + coded + b"after", raw), coded


def test_the_secret_is_in_no_process_of_the_tree(rig, blind):
    identities.require(os.geteuid() == 0, "needs root to look into the processes")
    tree = processes.descendants_of(blind.roles()["init"])

    assert tree
    for pid in tree:
        for place, data in memory_of(pid):
            expect_clean(rig, f"process {pid} {place}", data)


def test_the_secret_is_not_in_init(rig, blind):
    """Pid 1 of the sandbox is a fork of the launcher; a copy of anything the launcher knew would be there."""
    identities.require(os.geteuid() == 0, "needs root to look into the process")

    for place, data in memory_of(blind.roles()["init"]):
        expect_clean(rig, f"init {place}", data)


def test_the_secret_never_reaches_the_launcher(rig, blind):
    identities.require(os.geteuid() == 0, "needs root to look into the process")

    for place, data in memory_of(blind.roles()["launcher"]):
        expect_clean(rig, f"launcher {place}", data)


def test_looking_into_memory_would_find_it(rig, blind):
    """The twin: the interceptor holds the lease, so the same search finds it there."""
    identities.require(os.geteuid() == 0, "needs root to look into the process")
    raw = rig.secrets["api"].encode()

    assert any(leak_sweep.find_in_bytes(data, raw) for _, data in memory_of(blind.roles()["interceptor"]))


def test_the_agents_own_search_finds_nothing(rig, service, upstream):
    """From inside, with all that a process may read there: variables, files, /proc, the mounts, the policy."""
    script = ("curl -fsS https://%s/describe >/dev/null; "
              "(env; head -qc 65536 /proc/*/environ /proc/*/cmdline /proc/self/mountinfo /run/sanctum/* /etc/* ~/.* ; "
              "find / -xdev -type f -size -64k -not -path '/usr/*' -not -path '/proc/*' "
              "-exec head -qc 65536 {} + ; head -qc 65536 /proc/net/* ) 2>/dev/null | head -c 50000000" % API)

    outcome = rig.run("bash", "-c", script, profile=service)

    assert len(outcome.stdout) > 1000
    expect_clean(rig, "what the agent could read", outcome.stdout)


def test_cookies_bought_with_the_credential_stay_outside(rig, service, upstream):
    def login(exchange):
        exchange.read_body()
        exchange.respond(200, b"in", [("Set-Cookie", "session=worth-as-much-as-the-token; Path=/"),
                                      ("X-Other", "stays")])
    upstream.routes["/login"] = login

    outcome = rig.run("curl", "-sSi", f"https://{API}/login", profile=service)

    assert "worth-as-much" not in outcome.text and "x-other: stays" in outcome.text.lower(), outcome


def test_the_ledger_counts_what_was_scrubbed(rig, blind):
    records = rig.records_of(rig.state / "missions" / blind.mission)
    scrubbed = [record["scrubbed"] for record in records if record["type"] == "exchange.outcome"]

    assert sum(1 for count in scrubbed if count) >= 2, scrubbed
    assert json.dumps(records).find(rig.secrets["api"]) < 0
