# SPDX-License-Identifier: Apache-2.0
"""The logins of two agents with a subscription, as far as their own clients and a vault need them: Anthropic's for
Claude Code and OpenAI's for Codex, each with the API that the login is for.

`person(address)` is the browser and whoever sits before it: the address that a client shows goes in, the one that the
provider leads back to comes out. Refresh tokens rotate; one that comes a second time ends the login (RFC 9700 4.14.2).
"""

import hashlib
import json
import time
import urllib.parse
from dataclasses import dataclass

import jwts
from cryptography.hazmat.primitives.asymmetric import ec
from double_base import Double, Refusal, random_text, words

ACCOUNT = "5f0d1c2e-account"
EMAIL = "ada@example.org"


@dataclass(frozen=True)
class Dialect:
    """What one provider calls things."""
    hosts: tuple
    authorize: str
    token: str                # path of the token endpoint
    revoke: str               # path; empty: the provider has none
    client: str
    redirects: tuple          # beginnings of what a client may be led back to
    life: int                 # seconds of an access token
    is_json: bool             # whether the code is asked for in JSON (a refresh may be either)


CLAUDE = Dialect(("api.anthropic.com", "platform.claude.com", "claude.com"), "https://claude.com/cai/oauth/authorize",
                 "/v1/oauth/token", "", "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
                 ("http://localhost:", "https://platform.claude.com/oauth/code/callback"), 28800, True)
CODEX = Dialect(("chatgpt.com", "auth.openai.com"), "https://auth.openai.com/oauth/authorize", "/oauth/token",
                "/oauth/revoke", "app_EMoamEEZ73f0CkXaXp7hrann",
                ("http://localhost:1455/auth/callback", "https://auth.openai.com/deviceauth/callback"), 864000, False)


def refusal(status, error, text):
    return Refusal(status, {"error": error, "error_description": text})


def challenge_of(verifier):
    return jwts.to_text(hashlib.sha256(verifier.encode()).digest())


class LoginDouble(Double):
    """`dialect`: CLAUDE or CODEX."""

    def __init__(self, folder, authority, dialect, port=0):
        self.dialect, self.hosts = dialect, dialect.hosts
        self.name = "claude" if dialect is CLAUDE else "codex"
        self.codes, self.devices = {}, {}
        self.key = ec.generate_private_key(ec.SECP256R1())
        super().__init__(folder, authority, port)

    # ---- the person ------------------------------------------------------------------------------------------------
    def person(self, address):
        """Consents to what the address asks for; returns where the browser is led."""
        place, _, query = address.partition("?")
        asked = dict(urllib.parse.parse_qsl(query))
        assert place == self.dialect.authorize, address
        assert asked["client_id"] == self.dialect.client and asked["response_type"] == "code", asked
        assert asked["code_challenge_method"] == "S256" and len(asked["code_challenge"]) == 43, asked
        assert asked["redirect_uri"].startswith(self.dialect.redirects), asked
        code = self._code(asked["code_challenge"], asked["redirect_uri"], words(asked["scope"]), asked.get("state"))
        return asked["redirect_uri"] + "?" + urllib.parse.urlencode({"code": code, "state": asked["state"]})

    def type_code(self, user_code):
        """What a person does who was shown a code."""
        next(device for device in self.devices.values() if device["user_code"] == user_code)["is_typed"] = True

    def code_for(self, verifier, redirect, scope, state):
        """The code that a client with this verifier is led back with."""
        return self._code(challenge_of(verifier), redirect, words(scope), state)

    def _code(self, challenge, redirect, scopes, state=None):
        code = random_text(43)
        self.codes[code] = {"challenge": challenge, "redirect": redirect, "scopes": scopes, "state": state}
        return code

    # ---- serving ---------------------------------------------------------------------------------------------------
    def handle(self, request):
        if request.method == "POST" and request.path == self.dialect.token:
            return self.token(request)
        if request.method == "POST" and self.dialect.revoke and request.path == self.dialect.revoke:
            return self.revoke(request)
        if request.path.startswith("/api/accounts/deviceauth/"):
            return self.device(request)
        return self.api(request)

    def token(self, request):
        kind = (request.header("content-type") or "").split(";")[0]
        asked = request.json() if kind == "application/json" else request.form()
        request.note.update(grant=asked.get("grant_type"), client=asked.get("client_id"))
        if asked.get("client_id") != self.dialect.client:
            raise refusal(401, "invalid_client", "unknown client")
        if asked.get("grant_type") == "refresh_token":
            return self._refresh(request, asked)
        if asked.get("grant_type") != "authorization_code":
            raise refusal(400, "unsupported_grant_type", "not here")
        if self.dialect.is_json != (kind == "application/json"):
            raise refusal(400, "invalid_request", f"not as {kind}")
        code = self.codes.pop(asked.get("code"), None)
        if not code or challenge_of(asked.get("code_verifier", "")) != code["challenge"] or \
                asked.get("redirect_uri") != code["redirect"]:
            raise refusal(400, "invalid_grant", "Invalid 'code' in request.")
        if self.dialect.is_json and asked.get("state") != code["state"]:
            raise refusal(400, "invalid_request", "state")
        return self._login(request, None, code["scopes"])

    def _refresh(self, request, asked):
        old = self.tokens.get(asked.get("refresh_token"))
        if not old or not old.is_alive or old.kind != "refresh_token":
            if old:
                self.take_away(request, old.more["login"])
            raise refusal(400, "invalid_grant", "Refresh token not found or invalid")
        old.is_revoked = True
        return self._login(request, old.more["login"], old.more["scopes"])

    def _login(self, request, login, scopes):
        login = login or self.mint(None, "login", "login_")
        request.note.update(user=EMAIL, returned=scopes)
        prefixes = {"access_token": "sk-ant-oat01-", "refresh_token": "sk-ant-ort01-"} if self.dialect is CLAUDE \
            else {"access_token": "", "refresh_token": "rt_"}
        access = None if self.dialect is CLAUDE or (request.fault or {}).get("length") else self._jwt("access")
        life = (request.fault or {}).get("life", self.dialect.life)
        access = self.mint(request, "access_token", prefixes["access_token"], 108, access, life, login)
        refresh = self.mint(request, "refresh_token", prefixes["refresh_token"], 108, parent=login, login=login,
                            scopes=scopes)
        answer = {"token_type": "Bearer", "access_token": access.value, "refresh_token": refresh.value,
                  "expires_in": life, "scope": " ".join(scopes)}
        if self.dialect is CLAUDE:
            return 200, {**answer, "organization": {"uuid": "0a-org", "name": "Ada's"},
                         "account": {"uuid": ACCOUNT, "email_address": EMAIL}}
        return 200, {**answer, "id_token": self.mint(request, "id_token", value=self._jwt("id"), parent=login).value}

    def _jwt(self, kind):
        now = int(time.time())
        return jwts.sign({"sub": "user-1", "email": EMAIL, "iat": now, "exp": now + self.dialect.life, "jti": kind +
                          random_text(20), "https://api.openai.com/auth": {
                              "chatgpt_account_id": ACCOUNT, "chatgpt_plan_type": "pro", "chatgpt_user_id": "user-1"}},
                         self.key, "ES256")

    def revoke(self, request):
        """One that was replaced is not known any more, and no error (RFC 7009 2.2)."""
        token = self.live(request.json().get("token"))
        if token:
            self.take_away(request, token.more.get("login", token))
        return 200, {}

    def device(self, request):
        """Codex' own: the verifier is the provider's, and comes with the code."""
        asked = request.json()
        if request.path.endswith("/usercode"):
            device = {"device_auth_id": random_text(24), "user_code": random_text(9).upper(), "interval": "1"}
            self.devices[device["device_auth_id"]] = {**device, "is_typed": False}
            return 200, device
        device = self.devices.get(asked.get("device_auth_id"))
        if not device or device["user_code"] != asked.get("user_code") or not device["is_typed"]:
            raise Refusal(403, {"error": {"code": "deviceauth_authorization_pending"}})
        verifier = random_text(64)
        code = self._code(challenge_of(verifier), "https://auth.openai.com/deviceauth/callback",
                          ["openid", "profile", "email", "offline_access"])
        return 200, {"authorization_code": code, "code_verifier": verifier, "code_challenge": challenge_of(verifier)}

    def api(self, request):
        token = self.live(request.bearer(), "access_token")
        if not token:
            return 401, {"type": "error", "error": {"type": "authentication_error", "message": "Invalid bearer token"}}
        return 200, {"object": "list", "data": [], "asked": json.dumps(request.path)}
