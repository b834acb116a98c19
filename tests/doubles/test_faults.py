# SPDX-License-Identifier: Apache-2.0
"""Every scripted fault, at a double of each make: what arrives, and what the log says was issued."""

import concurrent.futures
import email.utils
import hashlib
import http.client
import json
import socket
import ssl
import time

import providers
import pytest
import requests
from double_base import words

SCOPES = ["read", "write"]


class Auth0Side:
    path = "/oauth/token"

    def __init__(self, double):
        self.double = double
        double.tenant()
        double.client("app", secret="s", grants=[providers.VAULT_GRANT])
        double.connection("c")
        double.connect("u", "c", SCOPES)
        self.fields = {"grant_type": providers.VAULT_GRANT, "client_id": "app", "client_secret": "s", "connection": "c",
                       "subject_token": double.refresh_token("app", "u"), "scope": "read",
                       "subject_token_type": f"{providers.TOKEN_TYPE}refresh_token",
                       "requested_token_type": providers.FEDERATED_TOKEN}


class GoogleSide:
    path = "/token"

    def __init__(self, double):
        self.double = double
        self.fields = {"grant_type": "refresh_token", "client_id": double.client_id, "scope": "read",
                       "client_secret": double.client_secret, "refresh_token": double.user_grant("u", SCOPES)}


@pytest.fixture(params=["auth0", "google"])
def side(request):
    return {"auth0": Auth0Side, "google": GoogleSide}[request.param](request.getfixturevalue(request.param))


@pytest.fixture
def ask(side, web):
    """Asks for a token; the first argument scripts a fault for it."""
    def asked(fault=None, **details):
        if fault:
            side.double.fail(fault, **details)
        return web.post(side.double.url.rstrip("/") + side.path, data=side.fields, timeout=10)
    return asked


def issued(side, number=-1):
    return [token["sha256"] for token in side.double.log(path=side.path)[number]["issued"]]


def is_logged(side, answer):
    return issued(side) == [hashlib.sha256(answer.json()["access_token"].encode()).hexdigest()]


def test_without_a_fault_the_log_has_what_was_asked_returned_and_issued(side, ask):
    answer = ask()
    entry = side.double.log(path=side.path)[-1]
    assert entry["asked"] == entry["returned"] == ["read"] and entry["status"] == 200 and entry["sent"] == "whole"
    assert is_logged(side, answer)


def test_a_fault_is_for_one_request_unless_more_are_named(side, ask):
    assert [ask("status", status=503).status_code, ask().status_code] == [503, 200]
    assert [ask("status", times=2).status_code, ask().status_code, ask().status_code] == [503, 503, 200]
    assert [ask("status", skip=1).status_code, ask().status_code] == [200, 503]
    ask("status", times=0)
    assert ask().status_code == 503
    side.double.mend()
    assert ask().status_code == 200


def test_a_fault_of_another_path_does_not_happen(side, ask):
    assert ask("status", path="/elsewhere").status_code == 200
    assert ask("status", path=side.path).status_code == 503


@pytest.mark.parametrize("form, names", [
    ("seconds", {"retry-after": "7"}), ("date", {"retry-after": None}), ("draft", {"ratelimit-reset": "7"}),
    ("reset", {"x-ratelimit-remaining": "0", "x-ratelimit-reset": None}), ("field", {"ratelimit": '"default";r=0;t=7'}),
    ("garbage", {"retry-after": "soon"}), ("none", {})])
def test_each_form_of_a_rate_limit(side, ask, form, names):
    answer = ask("rate_limited", form=form, seconds=7)
    limits = {name.lower(): value for name, value in answer.headers.items() if "rate" in name.lower() or "retry" in
              name.lower()}
    assert answer.status_code == 429 and "access_token" not in answer.text and not issued(side)
    assert all(name in limits and value in (None, limits[name]) for name, value in names.items())
    assert names or not limits
    if form == "date":
        told = email.utils.parsedate_to_datetime(limits["retry-after"]).timestamp()
        assert 5 < told - side.double.log()[-1]["time"] < 10


def test_a_rate_limit_may_come_as_another_status(ask):
    assert ask("rate_limited", form="reset", status=403).status_code == 403


def test_an_error_may_be_a_page(side, ask):
    answer = ask("status", status=502, body="<html>bad gateway</html>", content_type="text/html")
    assert answer.status_code == 502 and answer.headers["content-type"].startswith("text/html") and not issued(side)


def test_an_answer_that_is_lost_was_minted_and_one_that_was_closed_was_not(side, ask):
    with pytest.raises(requests.ConnectionError):
        ask("lost")
    assert len(issued(side)) == 1 and side.double.log(path=side.path)[-1]["sent"] == "none"
    with pytest.raises(requests.ConnectionError):
        ask("closed")
    assert not issued(side) and side.double.log(path=side.path)[-1]["fault"] == "closed"


def raw_answer(side, fault, **details):
    """What comes over the wire, for answers that a client refuses."""
    side.double.fail(fault, **details)
    context = ssl.create_default_context(cafile=side.double.ca_file)
    connection = http.client.HTTPSConnection("localhost", side.double.port, context=context, timeout=10)
    connection.request("POST", side.path, requests.compat.urlencode(side.fields),
                       {"Content-Type": "application/x-www-form-urlencoded"})
    return connection.getresponse()


def test_half_a_body_ends_before_its_length(side):
    answer = raw_answer(side, "half")
    with pytest.raises(http.client.IncompleteRead) as cut:
        answer.read()
    assert len(cut.value.partial) == int(answer.headers["content-length"]) // 2
    assert len(issued(side)) == 1


def test_a_header_can_come_twice(side):
    answer = raw_answer(side, "twice", header="X-Twice")
    assert answer.headers.get_all("x-twice") == ["a", "b"]


def test_a_slow_provider_is_slow_before_or_after_it_minted(side, ask, web):
    for fault in ("slow", "slow_answer"):
        began = time.monotonic()
        assert is_logged(side, ask(fault, seconds=0.3)) and time.monotonic() - began >= 0.3
    count = len(side.double.log(path=side.path))
    side.double.fail("slow_answer", seconds=5)
    with pytest.raises(requests.Timeout):
        web.post(side.double.url.rstrip("/") + side.path, data=side.fields, timeout=(10, 0.3))
    assert len(side.double.wait_for(count + 1, path=side.path)) == count + 1 and len(issued(side)) == 1


def test_answers_that_leave_together_are_all_minted_before(side, authority):
    side.double.fail("together", times=3)
    minted = []

    def one(_):
        with requests.Session() as session:
            session.trust_env, session.verify = False, str(authority.ca_file)
            assert session.post(side.double.url.rstrip("/") + side.path, data=side.fields, timeout=30).ok
        minted.append(len(side.double.log(path=side.path)))
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        [*pool.map(one, range(3))]
    assert minted == [3, 3, 3]


def test_an_answer_can_come_byte_by_byte(side, ask):
    assert is_logged(side, ask("trickle", seconds=0.0005))


def test_another_content_type_an_encoding_a_wrong_clock_and_a_large_body(side, ask):
    assert ask("wrong_type").headers["content-type"].startswith("text/html")
    assert is_logged(side, ask("gzip"))
    told = email.utils.parsedate_to_datetime(ask("skew", seconds=90).headers["date"]).timestamp()
    assert 80 < told - time.time() < 100
    assert len(ask("large", bytes=300000).content) > 300000
    assert ask("hang_up").headers["connection"] == "close"


def test_any_body_and_any_field_can_be_put_into_an_answer(side, ask):
    assert ask("body", body='{"access_token": "a", "access_token": "b"}').text.count("access_token") == 2
    assert side.double.log(path=side.path)[-1]["sent"] == "replaced" and len(issued(side)) == 1
    answer = ask("fields", fields={"token_type": "mac", "expires_in": None}).json()
    assert answer["token_type"] == "mac" and "expires_in" not in answer


def test_a_token_may_be_wider_than_asked_and_the_log_says_so(side, ask):
    answer = ask("wider", scopes=["admin"])
    entry = side.double.log(path=side.path)[-1]
    assert set(words(answer.json()["scope"])) == {"admin", "read"}
    assert entry["asked"] == ["read"] and set(entry["returned"]) == {"admin", "read"} and is_logged(side, answer)


@pytest.mark.parametrize("length", [20, 9000])
def test_a_token_may_have_a_surprising_length(side, ask, length):
    assert len(ask("mint", length=length).json()["access_token"]) == length


def test_a_provider_that_is_down_refuses_and_comes_back_where_it_was(side, ask):
    port = side.double.port
    side.double.down()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), 5)
    side.double.up()
    assert side.double.port == port and ask().status_code == 200


def test_an_expired_certificate_is_refused_and_a_new_one_is_not(side, ask):
    side.double.certificate("expired")
    with pytest.raises(requests.exceptions.SSLError):
        ask()
    side.double.certificate("now")
    assert ask().status_code == 200


def test_concurrent_requests_each_have_their_line(google, authority):
    held = GoogleSide(google)

    def one(_):
        with requests.Session() as session:
            session.trust_env, session.verify = False, str(authority.ca_file)
            return session.post(f"{google.url}token", data=held.fields).json()["access_token"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        tokens = [*pool.map(one, range(24))]
    logged = [json.dumps(entry["issued"][0]["sha256"]) for entry in google.log(path="/token")]
    assert len(set(tokens)) == len(set(logged)) == 24


def test_a_rotation_whose_answer_is_lost_leaves_no_good_token(auth0, web):
    auth0.client("app", secret="s", grants=["refresh_token"], refresh_token={"rotation_type": "rotating"})
    asked = {"grant_type": "refresh_token", "client_id": "app", "client_secret": "s",
             "refresh_token": auth0.refresh_token("app", "u", scope="openid offline_access")}
    auth0.fail("lost", grant="device_code")
    auth0.fail("lost", grant="refresh_token")
    with pytest.raises(requests.ConnectionError):
        web.post(f"{auth0.url}oauth/token", data=asked)
    entry = auth0.log(grant="refresh_token")[-1]
    assert {token["kind"] for token in entry["issued"]} >= {"access_token", "refresh_token"}
    assert web.post(f"{auth0.url}oauth/token", data=asked).json()["error"] == "invalid_grant"


def test_a_revocation_can_take_effect_later(auth0, web):
    side = Auth0Side(auth0)
    subject = side.fields["subject_token"]
    auth0.fail("later", path="/oauth/revoke", seconds=5)
    answer = web.post(f"{auth0.url}oauth/revoke", data={"client_id": "app", "client_secret": "s", "token": subject})
    assert answer.status_code == 200 and auth0.is_alive(subject)
    auth0.wait_for(1, fault="later", status=None)  # written once it has taken effect
    assert not auth0.is_alive(subject)
    assert hashlib.sha256(subject.encode()).hexdigest() in auth0.revoked()
