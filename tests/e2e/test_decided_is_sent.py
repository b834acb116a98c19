# SPDX-License-Identifier: Apache-2.0
"""What was decided is what was sent: the bytes at the upstream give exactly the digests in the ledger."""

import json
import shlex

import pytest

from rig import API, PLAIN, body_digest, head_digest

NOT_DIGESTED = {"transfer-encoding", "connection"}  # and, where one was put on, the credential

REQUESTS = {
    "a plain GET": ["https://{host}/describe"],
    "a query": ["https://{host}/describe?b=2&a=1&a=%20x&empty="],
    "escapes in the path": ["https://{host}/describe/%7Euser/%E2%82%AC/a%2Bb"],
    "dot segments": ["--path-as-is", "https://{host}/a/../describe"],
    "many headers": ["-H", "X-One: 1", "-H", "X-Two:   2  ", "-H", "x-one: again", "https://{host}/describe"],
    "a body": ["--data-binary", "@body", "https://{host}/describe"],
    "a chunked body": ["-H", "Transfer-Encoding: chunked", "--data-binary", "@body", "https://{host}/describe"],
    "an upload": ["-T", "body", "-H", "Expect:", "https://{host}/describe"],
    "hop-by-hop headers": ["-H", "Connection: keep-alive, X-Gone", "-H", "X-Gone: 1", "-H", "TE: gzip",
                           "-H", "Keep-Alive: timeout=5", "https://{host}/describe"],
    "a credential of the agent's own": ["-H", "Authorization: Basic eDp5", "https://{host}/describe"],
}


@pytest.mark.parametrize("host", [API, PLAIN])
@pytest.mark.parametrize("request_", REQUESTS)
def test_the_bytes_at_the_upstream_give_the_digests_in_the_ledger(rig, service, upstream, request_, host):
    rig.write(rig.work / "body", bytes(range(256)) * 300)

    outcome = rig.run("curl", "-sS", *[part.format(host=host) for part in REQUESTS[request_]], profile=service)

    intents = {record["exchange"]: record for record in outcome.of_type("exchange.intent")}
    assert len(intents) == len(upstream.exchanges)
    if not upstream.exchanges:  # refused as ambiguous: then it is in the record as such
        assert outcome.refused, outcome
        return
    sent, = upstream.exchanges
    intent, = intents.values()
    left_out = NOT_DIGESTED | ({"authorization"} if host == API else set())
    headers = [(name, value) for name, value in sent.headers if name not in left_out]
    assert intent["head"] == head_digest(sent.method, f"https://{host}", sent.target, headers), sent.head
    done, = outcome.of_type("exchange.outcome")
    salt = json.loads((outcome.folder / "mission.json").read_text())["salt"]
    assert done["body"] == body_digest(salt, sent.body)
    assert done["sent"] == len(sent.body)
    assert (intent["method"], intent["host"]) == (sent.method, host)


def test_hop_by_hop_headers_and_what_connection_names_never_leave(rig, service, upstream):
    rig.run("curl", "-sS", *[part.format(host=API) for part in REQUESTS["hop-by-hop headers"]], profile=service)

    names = [name.lower() for name, _ in upstream.exchanges[0].headers]
    assert not {"x-gone", "keep-alive", "te"} & set(names), names


def test_the_path_that_is_decided_on_is_the_path_that_is_sent(rig, service, upstream):
    """`/public/../private` may not be judged as one and sent as the other."""
    urls = [f"https://{API}{path}" for path in ("/public/../describe", "/a/%2e%2e/describe", "//describe")]
    outcome = rig.run("curl", "-sS", "--path-as-is", *urls, profile=service)

    sent = {exchange.path for exchange in upstream.exchanges}
    assert sent <= {record["path"] for record in outcome.of_type("exchange.intent")}, outcome
    assert not any(".." in path or "%2e" in path.lower() for path in sent)


FORM = "application/x-www-form-urlencoded"
DENIED = """
[[rule]]
verdict = "deny"
service = "api"
match = ["* /describe/closed", "DELETE /describe/**"]
"""


def test_no_way_of_writing_a_request_walks_past_a_rule_that_forbids_it(rig, service, upstream):
    """Servers take `/closed/` for `/closed`, end a form's type at a blank or comma, and obey fields of the method."""
    rig.write(service, service.read_text() + DENIED, 0o600)
    closed = [["/describe/closed"], ["/describe/closed/"], ["/describe/CLOSED/"],
              *[["-d", "_method=DELETE", "-H", f"Content-Type: {kind}", "/describe/1"]
                for kind in (FORM, f"{FORM},x", f"{FORM} x", f"text/plain, {FORM}")],
              ["-d", "_method%00x=DELETE", "/describe/1"]]
    open_ = [["/describe/open/"], ["-d", "a=b", "-H", f"Content-Type: {FORM}", "/describe/1"],
             ["-H", "X-Method: DELETE", "-H", "DD-API-KEY: mine", "/describe/2"]]
    calls = [["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}\\n", *request[:-1], f"https://{API}{request[-1]}"]
             for request in closed + open_]
    script = "\n".join(shlex.join(call) for call in calls)

    outcome = rig.run("sh", "-c", script, profile=service)

    codes = outcome.text.split()
    assert len(codes) == len(calls) and set(codes[:3]) == {"403"} and set(codes[3:8]) == {"400"}, outcome
    assert set(codes[8:]) == {"404"} and len(upstream.exchanges) == len(open_), "the twins reach the server itself"
    assert upstream.exchanges[2].header("x-method") is None and upstream.exchanges[2].header("dd-api-key") is None
