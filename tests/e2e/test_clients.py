# SPDX-License-Identifier: Apache-2.0
"""Unmodified clients work inside a mission without a proxy variable or any other configuration, and the credential
that they do not have reaches the server. The table in the README is made from CLIENTS."""

import json
import shutil

import pytest

import identity as identities
from rig import API, BIN, PLAIN

URL = f"https://{API}/describe"
PYTHON = "/usr/bin/python3"

# name → command line; each prints the body of URL, a JSON text
CLIENTS = {
    "curl": ["curl", "-fsS", URL],
    "wget": ["wget", "-qO-", URL],
    "Node fetch": ["node", "-e", f"fetch('{URL}').then(r => r.text()).then(t => console.log(t))"],
    "Node https": ["node", "-e", f"require('https').get('{URL}', r => r.pipe(process.stdout))"],
    "Python urllib": [PYTHON, "-c", f"import urllib.request as u; print(u.urlopen('{URL}').read().decode())"],
    "Python requests": [PYTHON, "-c", f"import requests; print(requests.get('{URL}').text)"],
    "Python httpx": [PYTHON, "-c", f"import httpx; print(httpx.get('{URL}').text)"],
    "Python aiohttp": [PYTHON, "-c", "import aiohttp, asyncio\n"
                       "async def main():\n"
                       "    async with aiohttp.ClientSession() as client:\n"
                       f"        async with client.get('{URL}') as answer:\n"
                       "            print(await answer.text())\n"
                       "asyncio.run(main())"],
    "a static binary (own TLS)": ["./static_client", API, "/describe"],
}


@pytest.mark.parametrize("client", CLIENTS)
def test_client_reaches_the_upstream_and_the_credential_is_injected(rig, service, upstream, client):
    command = CLIENTS[client]
    if command[0].startswith("./"):
        rig.write(rig.work / "static_client", (BIN / "static_client").read_bytes(), 0o755)
    else:
        identities.require_program(command[0])

    outcome = rig.run(*command, profile=service)

    assert outcome.code == 0, outcome
    told = json.loads(outcome.text[outcome.text.index("{"):outcome.text.index("}") + 1])
    assert told["method"] == "GET" and told["has_authorization"], outcome
    sent = upstream.wait_for(1, "/describe")[0]
    assert sent.header("authorization") == f"Bearer {rig.secrets['api']}"
    assert outcome.of_type("exchange.intent")[0]["lease"], "the record names the lease"


@pytest.mark.parametrize("client", ["curl", "Python requests", "Node fetch"])
def test_a_plain_host_gets_no_credential(rig, service, upstream, client):
    command = [part.replace(API, PLAIN) for part in CLIENTS[client]]

    outcome = rig.run(*command, profile=service)

    assert outcome.code == 0, outcome
    assert upstream.wait_for(1, "/describe")[0].header("authorization") is None


@pytest.mark.parametrize("client", ["curl", "Python requests", "Node fetch"])
def test_a_host_that_the_profile_does_not_name_is_refused_readably(rig, service, upstream, client):
    command = [part.replace(API, "elsewhere.example.com").replace("-fsS", "-sS") for part in CLIENTS[client]]

    outcome = rig.run(*command, profile=service)

    assert "host_unknown" in outcome.text, outcome
    assert ("host_unknown", "elsewhere.example.com", "/describe") in outcome.refused
    assert upstream.exchanges == []


def test_what_the_agent_sends_as_credential_never_leaves(rig, service, upstream):
    outcome = rig.run("curl", "-fsS", "-H", "Authorization: Bearer of-the-agent", "-H", "Proxy-Authorization: x", URL,
                      profile=service)

    assert outcome.code == 0, outcome
    assert b"of-the-agent" not in upstream.raw
    assert upstream.exchanges[0].header("authorization") == f"Bearer {rig.secrets['api']}"
    assert upstream.exchanges[0].header("proxy-authorization") is None


# Clients of GnuTLS judge after the handshake and leave without an alert: theirs is a connection without an exchange.
UNTRUSTING = {
    "curl": ["curl", "-sS", "--cacert", "other.pem", "--capath", "/nowhere", URL],
    "Python urllib": ["/usr/bin/python3", "-c", "import ssl, sys, urllib.request as r; "
                      "r.urlopen(sys.argv[1], context=ssl.create_default_context(cafile='other.pem'))", URL],
}


@pytest.mark.parametrize("client", UNTRUSTING)
def test_a_client_that_does_not_trust_the_mission_is_on_record_with_the_reason(rig, service, upstream, authority,
                                                                               client):
    identities.require_program(UNTRUSTING[client][0])
    rig.write(rig.work / "other.pem", authority.ca_file.read_bytes())

    outcome = rig.run(*UNTRUSTING[client], profile=service)
    trusting = rig.run("curl", "-fsS", URL, profile=service)

    assert outcome.code not in (0, 125), outcome
    (opened,), (refused,) = outcome.of_type("connection.opened"), outcome.of_type("connection.refused")
    assert (refused["connection"], refused["dialled"]) == (opened["connection"], opened["dialled"])
    assert refused["reason"] == "certificate_not_trusted", refused
    assert trusting.code == 0 and trusting.of_type("connection.refused") == []
    assert len(upstream.exchanges) == 1


@pytest.mark.parametrize("size", [0, 1, 65536, 10 * 1024 * 1024])
def test_bodies_of_any_size_arrive_whole(rig, service, upstream, size):
    rig.write(rig.work / "body", bytes(range(256)) * (size // 256) + b"x" * (size % 256))

    script = f"curl -fsS --data-binary @body {URL} && curl -fsS https://{API}/bytes/{size} | wc -c"
    outcome = rig.run("sh", "-c", script, profile=service)

    assert outcome.code == 0, outcome
    assert f'"bytes": {size}' in outcome.text and outcome.text.strip().endswith(str(size)), outcome
    assert upstream.exchanges[0].body == (rig.work / "body").read_bytes()


# ---- git ------------------------------------------------------------------------------------------------------------

GIT_PROFILE = """\
schema = 1
[mission]
name = "git"
agent = "test"
purpose = "Clone and push one branch"
ttl = "2m"
[sandbox]
workspace = "."
[[service]]
name = "git"
catalog = "git-http"
account = "quickstart"
grant = ["fetch", "push"]
resources = { repo = ["demo.git"], ref = ["agent/**"] }
"""

GIT_NAME = "git.quickstart.test"
CLONE = (f"git clone -q https://{GIT_NAME}/git/demo.git && cd demo && git config user.name a && "
         "git config user.email a@b")


@pytest.fixture
def git_service(rig, git_host):
    rig.host(GIT_NAME, f"127.0.0.1:{git_host.port}", git_host.ca_file)
    rig.account("quickstart", f'catalog = "git-http"\nhosts = ["{GIT_NAME}"]\nbase_path = "/git"\nsource = "local"\n'
                'item = "quickstart"\nusername = "agent"\ngrant = ["fetch", "push"]\nresources = { repo = ["**"] }',
                secret=git_host.password)
    rig.configure()
    return rig.profile(GIT_PROFILE, "git")


def test_git_clones_fetches_and_pushes_twenty_megabytes(rig, git_service, git_host):
    script = (f"{CLONE} && git fetch -q && git checkout -q -b agent/big && head -c 20000000 /dev/urandom > big && "
              "git add big && git commit -q -m big && git push -q origin agent/big && git rev-parse HEAD")

    outcome = rig.run("sh", "-ec", script, profile=git_service)

    assert outcome.code == 0, outcome
    assert git_host.git("rev-parse", "refs/heads/agent/big") == outcome.text.split()[-1]
    pushes = [record for record in outcome.of_type("exchange.intent") if record["operation"] == "git.push"]
    assert {"repo": ["demo.git"], "ref": ["refs/heads/agent/big"]} in [push["resources"] for push in pushes]


@pytest.mark.parametrize("refspec", ["HEAD:main", "HEAD:agent", "HEAD:refs/tags/v1", ":agent/old",
                                     "HEAD:agent/y HEAD:main"])
def test_git_push_of_a_ref_outside_the_grant_is_refused(rig, git_service, git_host, refspec):
    """Deleting needs `push:delete`; one ref outside refuses the whole push."""
    git_host.git("branch", "agent/old", "main")
    before = git_host.git("for-each-ref")

    outcome = rig.run("sh", "-c", f"{CLONE} && date > new && git add new && git commit -q -m new && "
                      f"git push origin {refspec}", profile=git_service)

    assert outcome.code != 0, outcome
    refused = outcome.of_type("exchange.refused")
    assert {record["reason"] for record in refused} <= {"resource_outside", "scope_missing"} and refused
    assert [(record["status"], record["sent_status"]) for record in refused] == [(403, 200)]
    assert outcome.errors.count("[remote rejected]") == len(refspec.split()), outcome
    assert f"(sanctum: {refused[0]['reason']}" in outcome.errors, "git prints why, behind each ref"
    assert f"remote: sanctum: decision {outcome.folder.name}-e" in outcome.errors, outcome
    assert git_host.git("for-each-ref") == before


def test_git_push_with_options_for_the_server_is_refused_and_without_them_passes(rig, git_service, git_host):
    """`merge_request.target=main` and the like are no refs, so no grant of refs limits them."""
    git_host.git("config", "receive.advertisePushOptions", "true")

    outcome = rig.run("sh", "-c", f"{CLONE} && date > new && git add new && git commit -q -m new && "
                      "git push -o merge_request.target=main origin HEAD:agent/opt; git push -q origin HEAD:agent/ok",
                      profile=git_service)

    assert outcome.code == 0 and "leave out -o" in outcome.errors, outcome
    assert "[remote rejected] HEAD -> agent/opt (sanctum: request_invalid" in outcome.errors, outcome
    assert git_host.git("for-each-ref", "refs/heads/agent/ok")
    assert not git_host.git("for-each-ref", "refs/heads/agent/opt")


@pytest.mark.parametrize("options", ["--atomic", "--porcelain", "-q", "--progress"])
@pytest.mark.parametrize("protocol", [0, 1, 2])
def test_git_push_shows_the_reason_in_every_protocol_and_form(rig, git_service, git_host, options, protocol):
    before = git_host.git("for-each-ref")

    outcome = rig.run("sh", "-c", f"{CLONE} && date > new && git add new && git commit -q -m new && git -c "
                      f"protocol.version={protocol} push {options} origin HEAD:agent/ok HEAD:main",
                      profile=git_service)

    assert outcome.code != 0, outcome
    shown = outcome.text + outcome.errors
    assert shown.count("[remote rejected] (sanctum: resource_outside" if options == "--porcelain"
                       else "(sanctum: resource_outside") == 2, outcome
    assert "refs/heads/main" in shown or "-> main" in shown, outcome
    assert git_host.git("for-each-ref") == before


def test_a_refused_large_push_shows_the_reason_and_the_next_push_passes(rig, git_service, git_host):
    """Twenty megabytes go in chunks behind a probe; nothing of them reaches the server."""
    script = (f"{CLONE} && head -c 20000000 /dev/urandom > big && git add big && git commit -q -m big && "
              "(git push -q origin HEAD:main && echo pushed || echo rejected) && git push -q origin HEAD:agent/big")
    main = git_host.git("rev-parse", "refs/heads/main")

    outcome = rig.run("sh", "-ec", script, profile=git_service)

    assert outcome.code == 0 and outcome.text == "rejected\n", outcome
    assert "[remote rejected] HEAD -> main (sanctum: resource_outside (resources.ref))" in outcome.errors, outcome
    assert git_host.git("rev-parse", "refs/heads/main") == main
    sent = [record for record in outcome.of_type("exchange.outcome") if record["sent"] > 20_000_000]
    assert len(sent) == 1, "only the allowed push went out"
    assert git_host.git("log", "-1", "--format=%s", "agent/big") == "big"


def test_another_repository_of_the_same_host_is_refused(rig, git_service, git_host):
    shutil.copytree(git_host.repository, git_host.repository.parent / "other.git", dirs_exist_ok=True)

    outcome = rig.run("git", "clone", "-q", f"https://{GIT_NAME}/git/other.git", profile=git_service)

    assert outcome.code != 0 and "remote: " in outcome.errors, "git shows the refusal's text"
    assert "resource_outside" in [reason for reason, _, _ in outcome.refused], outcome
