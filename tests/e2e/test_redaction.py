# SPDX-License-Identifier: Apache-2.0
"""Answers that carry a credential of their own: what the catalog names by pointer never reaches the agent, and an
answer in which it cannot be found with certainty is not passed on."""

import base64
import gzip
import json
import secrets

import pytest

from rig import API

CATALOG = f"""\
schema = 1
name = "repos"
[[endpoint]]
name = "api"
hosts = ["{API}"]
kind = "http"
auth = {{ form = "bearer" }}
[[operation]]
id = "repos/get"
endpoint = "api"
method = "GET"
path = "/repos/{{repo}}"
any_of = [["read"]]
risk = "low"
says = "Read {{repo}}"
redact = ["/temp_clone_token", "/downloads/0/url"]
[[operation]]
id = "repos/plain"
endpoint = "api"
method = "GET"
path = "/plain/{{repo}}"
any_of = [["read"]]
risk = "low"
says = "Read {{repo}}"
"""

PROFILE = """\
schema = 1
[mission]
name = "redaction"
agent = "test"
purpose = "Read one repository"
ttl = "2m"
[sandbox]
workspace = "."
[[service]]
name = "repos"
catalog = "repos"
account = "repos"
grant = ["read"]
"""


@pytest.fixture
def token():
    return "gh-" + secrets.token_hex(20)


@pytest.fixture
def repos(rig, upstream, authority):
    rig.write(rig.make("config/sanctum/catalog.d") / "repos.toml", CATALOG)
    rig.host(API, upstream, authority.ca_file)
    rig.account("repos", 'catalog = "repos"\nsource = "local"\nitem = "repos"')
    rig.configure()
    return rig.profile(PROFILE)


def answer_of(token):
    return json.dumps({"name": "api", "temp_clone_token": token, "downloads": [{"url": f"https://x.test/?sig={token}"}],
                       "stars": 3})


def test_a_named_value_is_starred_and_the_rest_is_untouched(rig, repos, upstream, token):
    def pieces(exchange):
        exchange.read_body()
        exchange.start_chunked(200, [("Content-Type", "application/json; charset=utf-8")])
        for byte in answer_of(token).encode():
            exchange.send_chunk(bytes([byte]))
        exchange.end_chunked()
    upstream.routes["/repos/api"] = pieces

    outcome = rig.run("curl", "-fsS", f"https://{API}/repos/api", profile=repos)

    assert outcome.code == 0, outcome
    told = json.loads(outcome.text)
    assert told["name"] == "api" and told["stars"] == 3
    assert set(told["temp_clone_token"]) == {"*"} and set(told["downloads"][0]["url"]) == {"*"}
    assert token not in outcome.text
    ended = outcome.of_type("exchange.outcome")[0]
    assert ended["scrubbed"] == 2 and ended["evidence"]["redacted"] == "2"
    assert json.loads(base64.b64decode(outcome.receipt["payload"]))["counts"]["scrubbed"] == 2


def test_where_nothing_is_named_the_answer_passes_as_it_is(rig, repos, upstream, token):
    upstream.routes["/plain/api"] = lambda exchange: exchange.respond(200, answer_of(token))

    outcome = rig.run("curl", "-fsS", f"https://{API}/plain/api", profile=repos)

    assert outcome.text == answer_of(token), outcome
    assert outcome.of_type("exchange.outcome")[0]["scrubbed"] == 0


@pytest.mark.parametrize("case", ["text", "gzip", "torn", "large"])
def test_an_answer_that_cannot_be_redacted_is_not_passed_on(rig, repos, upstream, token, case):
    json_type = ("Content-Type", "application/json")
    body, headers = {"text": (answer_of(token), [("Content-Type", "text/plain")]),
                     "gzip": (gzip.compress(answer_of(token).encode()), [json_type, ("Content-Encoding", "gzip")]),
                     "torn": (answer_of(token)[:-1], [json_type]),
                     "large": (answer_of(token) + " " * (1 << 20), [json_type])}[case]
    upstream.routes["/repos/api"] = lambda exchange: exchange.respond(200, body, headers)

    outcome = rig.run("curl", "-sS", "-D", "-", f"https://{API}/repos/api", profile=repos)

    assert "502 Bad Gateway" in outcome.text and "sanctum-reason: upstream_unreachable" in outcome.text, outcome
    assert token not in outcome.text
    assert [record["outcome"] for record in outcome.of_type("exchange.outcome")] == ["scrub_stopped"]
