# SPDX-License-Identifier: Apache-2.0
"""Google: refreshes that may narrow, tokens of service accounts, Credential Access Boundaries, and a revocation that
takes the whole grant along. One server is oauth2.googleapis.com, sts.googleapis.com and storage.googleapis.com."""

import json
import re
import time
import urllib.parse

import jwts
from double_base import Double, Refusal, Token, words

ACCESS_SECONDS = 3599
JWT_SECONDS_MAX = 3600
SKEW_SECONDS = 300
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TYPE = "urn:ietf:params:oauth:token-type:access_token"
RULES_MAX = 10
READ_ROLES = {f"inRole:roles/storage.object{name}" for name in ("Viewer", "User", "Admin")}
WRITE_ROLES = {f"inRole:roles/storage.object{name}" for name in ("Creator", "User", "Admin")}
QUOTED = r"'((?:[^'\\]|\\.)*)'"     # a text of CEL
NAME_CONDITION = re.compile(rf"resource\.name\.startsWith\({QUOTED}\)")
LIST_CONDITION = re.compile(
    rf"api\.getAttribute\('storage\.googleapis\.com/objectListPrefix', ''\)\.startsWith\({QUOTED}\)")


def refusal(status, error, description):
    return Refusal(status, {"error": error, "error_description": description})


class GoogleDouble(Double):
    name = "google"
    hosts = ("oauth2.googleapis.com", "sts.googleapis.com", "storage.googleapis.com", "www.googleapis.com")

    def __init__(self, folder, authority, port=0, client_id="google-client", client_secret="google-secret"):
        self.client_id, self.client_secret = client_id, client_secret
        self.service_accounts = {}
        self.has_expiry = True   # whether the answer of a boundary exchange says expires_in
        super().__init__(folder, authority, port)

    # ---- what there is ---------------------------------------------------------------------------------------------
    def user_grant(self, user, scopes):
        """The refresh token of a user who consented."""
        return self.mint(None, "refresh_token", "1//0", 100, user=user, scopes=list(scopes)).value

    def service_account(self, email, public_key):
        self.service_accounts[email] = public_key

    # ---- serving ---------------------------------------------------------------------------------------------------
    def handle(self, request):
        answers = {("POST", "/token"): self.token, ("POST", "/v1/token"): self.boundary,
                   ("POST", "/revoke"): self.revoke, ("GET", "/tokeninfo"): self.tokeninfo}
        if (request.method, request.path) in answers:
            return answers[request.method, request.path](request)
        found = re.fullmatch(r"/storage/v1/b/([^/]+)/o/(.+)", request.path)
        if found:
            return self.storage(request, found.group(1), urllib.parse.unquote(found.group(2)))
        found = re.fullmatch(r"/storage/v1/b/([^/]+)/o", request.path)
        if found:
            return self.storage(request, found.group(1), None)
        found = re.fullmatch(r"/([^/]+)/(.+)", request.path)    # the XML API
        if found:
            return self.storage(request, found.group(1), urllib.parse.unquote(found.group(2)))
        raise refusal(404, "not_found", request.path)

    def token(self, request):
        asked = request.form()
        request.note.update(grant=asked.get("grant_type"), client=asked.get("client_id"),
                            asked=words(asked["scope"]) if "scope" in asked else None)
        if asked.get("grant_type") == "refresh_token":
            return self._refresh(request, asked)
        if asked.get("grant_type") == JWT_GRANT:
            return self._service_account_token(request, asked)
        raise refusal(400, "unsupported_grant_type", f"Invalid grant_type: {asked.get('grant_type')}")

    def _refresh(self, request, asked):
        if (asked.get("client_id"), asked.get("client_secret")) != (self.client_id, self.client_secret):
            raise refusal(401, "invalid_client", "Unauthorized")
        grant = self.live(asked.get("refresh_token"), "refresh_token")
        if not grant:
            raise refusal(400, "invalid_grant", "Token has been expired or revoked.")
        wanted = words(asked.get("scope")) or grant.more["scopes"]
        if not set(wanted) <= set(grant.more["scopes"]):
            raise refusal(400, "invalid_scope", "Some requested scopes were not granted.")
        return self._answer(request, grant, grant.more["user"], wanted)

    def _answer(self, request, parent, user, scopes):
        scopes = request.changed(scopes)
        token = self.mint(request, "access_token", "ya29.", 220, ttl=ACCESS_SECONDS, parent=parent, user=user,
                          scopes=scopes)
        request.note.update(user=user, returned=scopes)
        return 200, {"access_token": token.value, "expires_in": ACCESS_SECONDS, "scope": " ".join(scopes),
                     "token_type": "Bearer"}

    def _service_account_token(self, request, asked):
        claims = None
        for email, key in self.service_accounts.items():
            claims = claims or jwts.verify(asked.get("assertion", ""), key)
            if claims and claims.get("iss") != email:
                claims = None
        if claims is None:
            raise refusal(400, "invalid_grant", "Invalid JWT Signature.")
        now = time.time()
        if claims.get("aud") not in (f"{self.url}token", "https://oauth2.googleapis.com/token"):
            raise refusal(400, "invalid_grant", "Invalid JWT: Failed audience check.")
        if not (claims.get("iat", 0) <= now + SKEW_SECONDS and now - SKEW_SECONDS < claims.get("exp", 0)
                and claims["exp"] - claims["iat"] <= JWT_SECONDS_MAX):
            raise refusal(400, "invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes) and in a "
                                                "reasonable timeframe.")
        scopes = words(claims.get("scope"))
        if not scopes:
            raise refusal(400, "invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        request.note["asked"] = scopes
        return self._answer(request, None, claims.get("sub", claims["iss"]), scopes)

    def boundary(self, request):
        """A child of a token, for parts of Cloud Storage only; it expires with its parent and cannot be revoked."""
        asked = request.form()
        request.note["grant"] = asked.get("grant_type")
        if asked.get("grant_type") != EXCHANGE_GRANT or asked.get("subject_token_type") != ACCESS_TYPE \
                or asked.get("requested_token_type") != ACCESS_TYPE:
            raise refusal(400, "invalid_request", "Invalid grant_type, subject_token_type or requested_token_type.")
        parent = self.live(asked.get("subject_token"), "access_token")
        if not parent:
            raise refusal(400, "invalid_grant", "The subject token is invalid or expired.")
        try:
            # Quoted once for itself and once for the form.
            rules = json.loads(urllib.parse.unquote(asked["options"]))["accessBoundary"]["accessBoundaryRules"]
            resources = [rule["availableResource"] for rule in rules]
            request.note["asked"] = [f"{rule['availableResource']} {','.join(rule['availablePermissions'])}"
                                     for rule in rules]
        except (KeyError, ValueError, TypeError):
            raise refusal(400, "invalid_request", "Invalid access boundary.") from None
        prefix = "//storage.googleapis.com/projects/_/buckets/"
        if "%" not in asked["options"] or not 1 <= len(rules) <= RULES_MAX \
                or not all(resource.startswith(prefix) for resource in resources):
            raise refusal(400, "invalid_request", "Invalid access boundary.")
        token = self.mint(request, "boundary_token", "ya29.dr.", 500, parent=parent, rules=rules)
        token.expires_at = parent.expires_at
        request.note.update(returned=request.note["asked"], user=parent.more["user"])
        body = {"access_token": token.value, "issued_token_type": ACCESS_TYPE, "token_type": "Bearer"}
        if self.has_expiry:
            body["expires_in"] = int(parent.expires_at - time.time())
        return 200, body

    def revoke(self, request):
        """Either token of a grant ends the grant: the refresh token and every access token under it."""
        value = request.form().get("token") or request.query.get("token")
        token = self.live(value, "access_token", "refresh_token")
        if not token:
            raise refusal(400, "invalid_token", "Token expired or revoked")
        self.take_away(request, token.parent if isinstance(token.parent, Token) else token)
        return 200, {}

    def tokeninfo(self, request):
        token = self.live(request.query.get("access_token") or request.form().get("access_token"), "access_token")
        if not token:
            raise refusal(400, "invalid_token", "Invalid Value")
        return 200, {"azp": self.client_id, "aud": self.client_id, "scope": " ".join(token.more["scopes"]),
                     "exp": str(int(token.expires_at)), "expires_in": str(int(token.expires_at - time.time())),
                     "email": token.more["user"], "access_type": "offline"}

    def storage(self, request, bucket, name):
        """An object, or (no name) the list of a bucket's objects below `prefix`."""
        token = self.live(request.bearer(), "access_token", "boundary_token")
        if not token:
            raise Refusal(401, {"error": {"code": 401, "message": "Invalid Credentials"}}, error="Invalid Credentials")
        roles = READ_ROLES if request.method == "GET" else WRITE_ROLES
        prefix = request.query.get("prefix", "")
        if token.kind == "boundary_token" and not any(_admits(rule, bucket, name, prefix, roles)
                                                      for rule in token.more["rules"]):
            raise Refusal(403, {"error": {"code": 403, "message": "Access denied."}}, error="Access denied.")
        return 200, {"bucket": bucket, "name": name, "prefix": prefix}


def _admits(rule, bucket, name, prefix, roles):
    if rule["availableResource"] != f"//storage.googleapis.com/projects/_/buckets/{bucket}":
        return False
    if not roles & set(rule["availablePermissions"]):
        return False
    condition = rule.get("availabilityCondition", {}).get("expression")
    if not condition:
        return True
    return any(_holds(part, bucket, name, prefix) for part in condition.split(" || "))


def _holds(part, bucket, name, prefix):
    """One half of a condition. A list is of the bucket itself, whose name no prefix of objects begins."""
    of_name, of_list = NAME_CONDITION.fullmatch(part), LIST_CONDITION.fullmatch(part)
    if of_name and name is not None:
        return f"projects/_/buckets/{bucket}/objects/{name}".startswith(_unquoted(of_name.group(1)))
    return bool(of_list) and name is None and prefix.startswith(_unquoted(of_list.group(1)))


def _unquoted(text):
    return re.sub(r"\\(.)", r"\1", text)
