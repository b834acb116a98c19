# SPDX-License-Identifier: Apache-2.0
"""The double of the agents' logins, spoken to as their clients do it."""

import urllib.parse

import jwts
import pytest
from login_double import ACCOUNT, CLAUDE, CODEX, LoginDouble, challenge_of

VERIFIER = "v" * 64


@pytest.fixture(params=[CLAUDE, CODEX], ids=["claude", "codex"])
def double(request, tmp_path, authority):
    with LoginDouble(tmp_path / "login", authority, request.param) as made:
        yield made


def code_of(double, **changes):
    """What a client gets back after it sent its person to the provider."""
    redirect = f"{double.dialect.redirects[0]}4711/callback" if double.name == "claude" else double.dialect.redirects[0]
    asked = {"response_type": "code", "client_id": double.dialect.client, "redirect_uri": redirect, "scope": "a b",
             "code_challenge": challenge_of(VERIFIER), "code_challenge_method": "S256", "state": "s1", **changes}
    led = double.person(double.dialect.authorize + "?" + urllib.parse.urlencode(asked))
    return redirect, dict(urllib.parse.parse_qsl(led.partition("?")[2]))


def ask(double, web, **members):
    body = {"client_id": double.dialect.client, **members}
    kind = {"json": body} if double.dialect.is_json else {"data": body}
    return web.post(double.url[:-1] + double.dialect.token, **kind)


def log_in(double, web, verifier=VERIFIER):
    redirect, led = code_of(double)
    return ask(double, web, grant_type="authorization_code", code=led["code"], code_verifier=verifier,
               redirect_uri=redirect, **({"state": led["state"]} if double.name == "claude" else {}))


def test_a_code_gives_tokens_once_and_to_its_verifier_alone(double, web):
    assert log_in(double, web).status_code == 200
    assert log_in(double, web, "w" * 64).json()["error"] == "invalid_grant"
    redirect, led = code_of(double)
    once = {"grant_type": "authorization_code", "code": led["code"], "code_verifier": VERIFIER,
            "redirect_uri": redirect, "state": led["state"]}
    assert [ask(double, web, **once).status_code for _ in range(2)] == [200, 400]


def test_a_refresh_token_is_good_once_and_its_return_ends_the_login(double, web):
    first = log_in(double, web).json()
    second = ask(double, web, grant_type="refresh_token", refresh_token=first["refresh_token"]).json()
    assert double.is_alive(second["access_token"])

    again = ask(double, web, grant_type="refresh_token", refresh_token=first["refresh_token"])

    assert again.status_code == 400 and not double.is_alive(second["access_token"])


def test_the_api_takes_a_live_token_and_no_other(double, web):
    token = log_in(double, web).json()["access_token"]
    answers = [web.get(double.url + "v1/models", headers={"authorization": f"Bearer {value}"})
               for value in (token, token + "x")]
    assert [answer.status_code for answer in answers] == [200, 401]


@pytest.mark.parametrize("double", [CODEX], indirect=True)
def test_codex_gets_a_code_for_a_person_to_type_and_an_identity(double, web):
    base = double.url + "api/accounts/deviceauth/"
    device = web.post(base + "usercode", json={"client_id": double.dialect.client}).json()
    poll = {name: device[name] for name in ("device_auth_id", "user_code")}
    assert web.post(base + "token", json=poll).status_code == 403
    double.type_code(device["user_code"])

    got = web.post(base + "token", json=poll).json()
    answer = ask(double, web, grant_type="authorization_code", code=got["authorization_code"],
                 code_verifier=got["code_verifier"], redirect_uri="https://auth.openai.com/deviceauth/callback").json()

    claims = jwts.verify(answer["id_token"], double.key.public_key(), "ES256")
    assert claims["https://api.openai.com/auth"]["chatgpt_account_id"] == ACCOUNT
    assert web.post(double.url + "oauth/revoke", json={"token": answer["refresh_token"]}).status_code == 200
    assert not double.is_alive(answer["access_token"])
